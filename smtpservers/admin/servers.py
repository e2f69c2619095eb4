"""Admin pages of servers: the list, the tabbed form, and the history of changes.

Three levels of access: users who may change or view servers see everything but secrets; ``view_fleet`` shows names,
states and quotas only; ``pause_smtpserver`` adds the actions of the list.
"""

from collections.abc import Collection
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.contrib.admin import SimpleListFilter
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.defaultfilters import linebreaksbr
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST
from simple_history.admin import SimpleHistoryAdmin
from simple_history.template_utils import HistoricalRecordContextHelper
from simple_history.utils import bulk_update_with_history
from unfold.decorators import action

from adminpages.fresh_sign_in import asks_first
from adminpages.pages import Deletion, ModelAdmin
from mail.links import utm
from smtpservers import inventory, presets, send_test_starters, tasks
from smtpservers.admin import list_row, states
from smtpservers.forms.server import OrderForm, ServerForm, secret_state, unreadable
from smtpservers.forms.validators import hints
from smtpservers.limits import circuit_breaker, pause_history, throttling
from smtpservers.limits.reservations import lock_account, refit_period, reopen
from smtpservers.models import SECRETS, SmtpServer
from smtpservers.routing.candidates import missing_signature
from smtpservers.routing.rules import users_of
from words.texts import translated


def _in_pairs(*names: str) -> list[tuple[str, ...]]:
    return [names[at : at + 2] for at in range(0, len(names), 2)]


# For users who may only view: the form's order, two fields per row, without tabs.
READ_ONLY_FIELDSETS = (
    (None, {"fields": (("preset", "name"),)}),
    (
        "SMTP",
        {
            "fields": (
                *_in_pairs("host", "port", "timeout_seconds", "username", "password_state", "oauth_account"),
                *_in_pairs("mail_from", "mail_to", "mail_to_unknown", "mail_cc", "mail_bcc", "is_active"),
                *_in_pairs("use_tls", "handles_email_validation", "trusted_certificate", "mechanism", "never_tls"),
                *_in_pairs("is_own_relay", "dkim", "requires_dkim"),
            )
        },
    ),
    (_("Notes"), {"fields": ("notes_text",)}),
    (
        _("Miscellaneous"),
        {
            "fields": (
                *_in_pairs("domain_name", "language", "api_key_state", "display_order", "weight", "max_per_month"),
                *_in_pairs("month_start_day", "time_zone", "max_per_day", "max_per_hour", "rate_limit", "rate_unit"),
                *_in_pairs("max_connections", "messages_per_connection", "pipelining"),
                *_in_pairs("unsubscribe_url", "use_unsubscribe_link", "relays_unsubscribes", "precedence"),
                *_in_pairs("use_precedence", "return_path", "use_return_path", "use_verp", "provider_configuration"),
                *_in_pairs("spam_address", "use_spam_address", "abuse_address", "use_abuse_address"),
            )
        },
    ),
    (
        "UTM",
        {
            "fields": (
                ("unknown_first_name", "unknown_last_name"),
                *_in_pairs(*utm.PER_CAMPAIGN),
                *((name, utm.switch_of(name)) for name in utm.PER_LINK),
                ("replaces_utm", "tags_text_links"),
            )
        },
    ),
)
SAVE_AND_TEST = "_save_and_test"  # The name of a button.
SHORT = "short"  # In the address of the page that adds a server.
FLEET_COLUMNS = ("name", "state_alone", "quota")


class ServerStateFilter(SimpleListFilter):
    """Active, untested, paused by the system, full by its quota or as the provider reported, or inactive."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("active", gettext("Active")),
            ("untested", gettext("Untested")),
            ("paused", gettext("Paused")),
            ("full", gettext("Full")),
            ("inactive", gettext("Inactive")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SmtpServer]) -> QuerySet[SmtpServer]:
        now = timezone.now()
        is_paused = list_row.paused(now)
        # Written out: in SQL, NOT of a comparison with NULL is NULL.
        is_not_full = (Q(full_until=None) | Q(full_until__lte=now)) & list_row.has_room()
        is_full = Q(full_until__gt=now) | list_row.used_up()
        conditions = {
            "active": Q(is_active=True, tested_at__isnull=False) & ~is_paused & is_not_full,
            "untested": Q(is_active=True, tested_at=None) & ~is_paused,
            "paused": Q(is_active=True) & is_paused,
            "full": Q(is_active=True, tested_at__isnull=False) & ~is_paused & is_full,
            "inactive": Q(is_active=False),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


class QuotaFilter(SimpleListFilter):
    """The used percentage of this period's quota."""

    title = _("quota")
    parameter_name = "quota"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            (
                "nearly",
                gettext("Nearly full (from %(percent)s%%)") % {"percent": list_row.NEARLY_FULL_PERCENT},
            ),
            ("full", gettext("Used up")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SmtpServer]) -> QuerySet[SmtpServer]:
        conditions = {"nearly": list_row.nearly_full, "full": list_row.used_up}
        return queryset.filter(conditions.get(self.value() or "", Q)())


class WholeText(HistoricalRecordContextHelper):  # type: ignore[misc]  # simple-history ships no types.
    """Shows history changes in full, so that old notes can be read again."""

    def __init__(self, model: type[SmtpServer], record: Any) -> None:
        super().__init__(model, record, max_displayed_delta_change_chars=20_000)

    def prepare_delta_change_value(self, change: Any, value: Any) -> Any:
        if isinstance(value, bool):
            return gettext("on") if value else gettext("off")
        return "" if value is None else super().prepare_delta_change_value(change, value)


@admin.register(SmtpServer)
class SmtpServerAdmin(SimpleHistoryAdmin, ModelAdmin):  # type: ignore[misc]  # Both ship no types.
    """The servers."""

    form = ServerForm
    asks_fresh_sign_in = True
    list_display = (
        "name",
        "state",
        "address",
        "quota",
        "last_success",
        "display_order",
        "send_test_button",
    )
    card = ("name", "state", "state_alone", "quota")  # One of the two states is a column.
    list_filter = (ServerStateFilter, QuotaFilter, ("use_tls", admin.BooleanFieldListFilter))
    list_editable = ("display_order",)
    list_per_page = 100
    ordering_field = "display_order"
    ordering = ("display_order", "id")
    actions = ("activate", "deactivate", "resume", "export")
    actions_detail = ("send_test_page",)
    list_before_template = "admin/smtpservers/smtpserver/list_before.html"
    change_form_outer_before_template = "smtpservers/state.html"
    object_history_template = "admin/smtpservers/smtpserver/history.html"
    object_history_list_template = "admin/smtpservers/smtpserver/history_list.html"

    class Media:
        css = {"all": ("smtpservers/servers.css",)}
        js = ("smtpservers/tabs.js", "smtpservers/form.js", "smtpservers/presets.js", "smtpservers/list.js")

    # --- permissions

    def has_view_permission(self, request: HttpRequest, obj: SmtpServer | None = None) -> bool:
        """``view_fleet`` opens the list; one server's page needs the permission to view or change it."""
        return bool(super().has_view_permission(request, obj)) or (
            obj is None
            and (request.user.has_perm("smtpservers.view_fleet") or request.user.has_perm("smtpservers.send_test"))
        )

    def has_pause_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("smtpservers.pause_smtpserver") or self.has_change_permission(request))

    def has_send_test_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("smtpservers.send_test"))

    def has_settings_permission(self, request: HttpRequest) -> bool:
        return self._sees_settings(request)

    def _sees_settings(self, request: HttpRequest) -> bool:
        """Tell whether the user may see more of a server than its name, state and quota."""
        return bool(super().has_view_permission(request) or self.has_change_permission(request))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Fill in what is known about the provider that the address names."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        preset = presets.PRESETS.get(str(given.get("preset", "")))
        if SHORT in request.GET:
            given["mail_to"] = getattr(request.user, "email", "")  # Gets the test.
        return given if preset is None else {**given, **preset.values, "preset": preset.key}

    # --- the list

    def get_queryset(self, request: HttpRequest) -> QuerySet[SmtpServer]:
        return list_row.with_current_period(super().get_queryset(request), timezone.now())

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        columns = self.list_display if self._sees_settings(request) else FLEET_COLUMNS
        if self.has_send_test_permission(request):
            return (*columns, "send_test_button") if "send_test_button" not in columns else columns
        return tuple(column for column in columns if column != "send_test_button")

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> Any:
        return ("name",) if self._sees_settings(request) else None

    def get_list_filter(self, request: HttpRequest) -> tuple[Any, ...]:
        return self.list_filter if self._sees_settings(request) else (ServerStateFilter, QuotaFilter)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        """Search only visible fields: a search through hidden ones would reveal them letter by letter."""
        if not self._sees_settings(request):
            return ("name",)
        return ("name", "host", "username", "mail_from", "domain_name", "notes")

    def get_changelist_form(self, request: HttpRequest, **kwargs: Any) -> type["ModelForm[SmtpServer]"]:
        form: type[ModelForm[SmtpServer]] = super().get_changelist_form(request, form=OrderForm, **kwargs)
        return form

    @admin.display(description=_("State"), ordering="is_active")
    def state(self, server: SmtpServer) -> SafeString:
        return states.state_badge(server, timezone.now(), with_reason=True)

    @admin.display(description=_("State"), ordering="is_active")
    def state_alone(self, server: SmtpServer) -> SafeString:
        """The state without the server's reply, for users who may not read it."""
        return states.state_badge(server, timezone.now(), with_reason=False)

    @admin.display(description=_("Address"), ordering="host")
    def address(self, server: SmtpServer) -> SafeString:
        note = inventory.first_line(server.notes)
        return format_html(
            '<div>{}<br>{}<span class="server-note" title="{}">{}</span></div>',
            list_row.address(server),
            list_row.security_badge(server),
            note[:300],
            note,
        )

    @admin.display(description=_("Quota this period"), ordering="units_used")
    def quota(self, server: SmtpServer) -> SafeString:
        return list_row.quota_bar(server, timezone.now())

    @admin.display(description=_("Last success"), ordering="last_success_at")
    def last_success(self, server: SmtpServer) -> str | SafeString:
        return list_row.last_success(server, timezone.now())

    @admin.display(description=_("Test"))
    def send_test_button(self, server: SmtpServer) -> SafeString:
        return format_html(
            '<a class="server-button" href="{}" aria-label="{}">{}</a>',
            reverse("delivery:send_test", args=[server.pk]),
            gettext("Send test through %(server)s") % {"server": server.name},
            gettext("Send test"),
        )

    def what_keeps(self, objs: QuerySet[Any] | Collection[Any]) -> list[str]:
        return users_of([server.pk for server in objs])

    def deletion(self, obj: SmtpServer) -> Deletion:
        gone = [gettext("The server with its settings, password and API key")]
        gone.append(gettext("Its quota counts, holds, rejected senders and test messages' progress"))
        if obj.is_active:
            gone.append(gettext("Its place in the fleet: queued mail uses other servers or waits"))
        return Deletion(
            gone,
            [
                gettext("Sent messages, attempts and replies, under Messages"),
                gettext("Figures by server, under Reports"),
            ],
        )

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SmtpServer]) -> None:
        """Delete one by one: each deletion waits for claims in progress."""
        for server in queryset:
            server.delete()

    # --- the list's actions: all of them POST

    @admin.action(description=_("Activate"), permissions=["pause"])
    def activate(self, request: HttpRequest, servers: QuerySet[SmtpServer]) -> None:
        self._switch(request, servers, is_active=True)

    @admin.action(description=_("Deactivate"), permissions=["pause"])
    def deactivate(self, request: HttpRequest, servers: QuerySet[SmtpServer]) -> None:
        self._switch(request, servers, is_active=False)
        self._warn_without_active(request)

    def _switch(self, request: HttpRequest, servers: QuerySet[SmtpServer], *, is_active: bool) -> None:
        changed = list(servers.filter(is_active=not is_active))
        for server in changed:
            server.is_active = is_active
            server.version += 1
        bulk_update_with_history(changed, SmtpServer, ["is_active", "version"], default_user=request.user)
        if not changed and is_active:
            text = gettext("The selected servers were already active.")
        elif not changed:
            text = gettext("The selected servers were already inactive.")
        elif is_active:
            text = ngettext(
                "%(name)s is now active.",
                "%(n)s servers are now active.",
                len(changed),
            )
        else:
            text = ngettext(
                "%(name)s is now inactive. Queued mail uses other servers or waits.",
                "%(n)s servers are now inactive. Queued mail uses other servers or waits.",
                len(changed),
            )
        self.message_user(request, text % _named(changed))

    @admin.action(description=_("Resume"), permissions=["pause"])
    def resume(self, request: HttpRequest, servers: QuerySet[SmtpServer]) -> None:
        resumed = [server for server in servers if self._resume(request, server)]
        if resumed:
            text = ngettext(
                "%(name)s resumed. The next message shows whether it works.",
                "%(n)s servers resumed. The next messages show whether they work.",
                len(resumed),
            )
            self.message_user(request, text % _named(resumed))
        else:
            self.message_user(request, gettext("None of the selected servers was paused."))

    def _resume(self, request: HttpRequest, server: SmtpServer) -> bool:
        # All three: a server may be paused, full and throttled at the same time.
        if not any([circuit_breaker.resume(server.pk), reopen(server.pk), throttling.reset(server.pk)]):
            return False
        self.log_change(request, server, "Resumed.")
        pause_history.note(server.pk, "Resumed.", request.user)
        for tell in send_test_starters.RESUME_WATCHERS.values():
            tell(timezone.now())
        return True

    @admin.action(description=_("Export as CSV"), permissions=["settings"])
    @method_decorator(asks_first)
    def export(self, request: HttpRequest, servers: QuerySet[SmtpServer]) -> HttpResponse:
        chosen = list(servers)
        for server in chosen:
            self.log_change(request, server, "Exported, without secrets.")
        return HttpResponse(
            inventory.settings_file(chosen),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="servers.csv"', "Cache-Control": "no-store"},
        )

    def _warn_without_active(self, request: HttpRequest) -> None:
        if not SmtpServer.objects.filter(is_active=True).exists():
            messages.warning(request, gettext("Campaigns wait, because no server is active. Activate one."))

    # --- one server

    def get_urls(self) -> list[Any]:
        resume = self.admin_site.admin_view(require_POST(self.resume_view))
        switch = self.admin_site.admin_view(require_POST(self.switch_view))
        own = [
            path("<int:server_id>/resume/", resume, name="smtpservers_smtpserver_resume"),
            path("<int:server_id>/switch/", switch, name="smtpservers_smtpserver_switch"),
        ]
        return [*own, *super().get_urls()]

    def switch_view(self, request: HttpRequest, server_id: int) -> HttpResponse:
        """Activate or deactivate one server, as ``state`` says, and go back to its page."""
        if not self.has_pause_permission(request):
            raise PermissionDenied
        server = get_object_or_404(SmtpServer, pk=server_id)
        wanted = request.POST.get("state")
        one = SmtpServer.objects.filter(pk=server.pk)
        if wanted == "active":
            self.activate(request, one)
        elif wanted == "inactive":
            self.deactivate(request, one)
        if not self.has_view_permission(request, server):
            return redirect("admin:smtpservers_smtpserver_changelist")
        return redirect("admin:smtpservers_smtpserver_change", server.pk)

    def resume_view(self, request: HttpRequest, server_id: int) -> HttpResponse:
        """Resume one server and go back: to Home if the button stood there, otherwise to the server's page."""
        if not self.has_pause_permission(request):
            raise PermissionDenied
        server = get_object_or_404(SmtpServer, pk=server_id)
        if self._resume(request, server):
            self.message_user(
                request, gettext("%(server)s resumed. The next message shows whether it works.") % {"server": server}
            )
        else:
            self.message_user(request, gettext("%(server)s wasn't paused any more.") % {"server": server})
        if "home" in request.POST or not self.has_view_permission(request, server):
            return redirect("admin:index")
        return redirect("admin:smtpservers_smtpserver_change", server.pk)

    def response_add(self, request: HttpRequest, obj: SmtpServer, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._test(request, obj) or super().response_add(request, obj, *args, **kwargs)

    def response_change(self, request: HttpRequest, obj: SmtpServer) -> HttpResponse:
        return self._test(request, obj) or super().response_change(request, obj)

    def _test(self, request: HttpRequest, server: SmtpServer) -> HttpResponse | None:
        if SAVE_AND_TEST not in request.POST or not self.has_send_test_permission(request):
            return None
        return send_test_starters.begin_test(request, server)

    def hold(self, row: SmtpServer) -> None:
        lock_account(row)  # In the lock order of everybody who changes its account.

    @method_decorator(sensitive_post_parameters(*SECRETS))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    def get_fieldsets(self, request: HttpRequest, obj: SmtpServer | None = None) -> Any:
        if self._may_save(request, obj):
            return [(None, {"fields": list(ServerForm.base_fields)})]
        return READ_ONLY_FIELDSETS

    def get_form(self, request: HttpRequest, obj: SmtpServer | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        form.is_short = obj is None and SHORT in request.GET
        return form

    def get_exclude(self, request: HttpRequest, obj: SmtpServer | None = None) -> tuple[str, ...]:
        return SECRETS

    def _may_save(self, request: HttpRequest, obj: SmtpServer | None) -> bool:
        return bool(self.has_change_permission(request, obj) if obj else self.has_add_permission(request))

    @admin.display(description=_("Password"))
    def password_state(self, server: SmtpServer) -> str:
        return secret_state(server, "password")

    @admin.display(description=_("API key"))
    def api_key_state(self, server: SmtpServer) -> str:
        return secret_state(server, "api_key")

    @admin.display(description=_("Notes"))
    def notes_text(self, server: SmtpServer) -> SafeString:
        return linebreaksbr(server.notes)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Warn at once if a secret cannot be read: sending fails until somebody fixes it."""
        server = context.get("original")
        if server is not None and request.method == "GET":  # A rejected form has errors of its own, about typed values.
            troubles = {unreadable(server, name) for name in SECRETS} - {""}
            context["secret_troubles"] = sorted(troubles)
        if server is not None:
            context["state"] = states.with_missing_key(states.state_of(server, timezone.now()), server)
            context["may_resume"] = context["may_switch"] = self.has_pause_permission(request)
            if context["state"].needs_password and self.has_change_permission(request, server):
                context["password_link"] = states.password_field(server)
        context["may_send_test"] = self.has_send_test_permission(request)
        if self._may_save(request, server) and context["may_send_test"] and (server is None or not server.tested_at):
            context["offers_test"], context["show_save"] = SAVE_AND_TEST, False  # It replaces the main button.
        if server is None and SHORT in request.GET:
            others = ("show_save_and_continue", "show_save_and_add_another", "show_save_as_new")
            context |= {"is_short": True, **dict.fromkeys(others, False)}
        return super().render_change_form(request, context, *args, **kwargs)

    @action(description=_("Send test"), icon="send", permissions=["send_test"])  # type: ignore[untyped-decorator]
    def send_test_page(self, request: HttpRequest, object_id: int) -> HttpResponse:
        return redirect("delivery:send_test", object_id)

    def save_model(self, request: HttpRequest, obj: SmtpServer, form: "ModelForm[SmtpServer]", change: bool) -> None:
        """Store an edit and end all pauses and throttling; a new display order ends none."""
        if isinstance(form, OrderForm):
            obj._history_user = request.user  # type: ignore[attr-defined]
            obj.save(update_fields=["display_order"])
            return
        if not change:
            obj.tested_at = None
        obj.paused_reason, obj.paused_until, obj.pause_awaits_account = "", None, False
        obj.outage_at, obj.failures, obj.failed_at = None, 0, None
        obj.full_until, obj.full_reason = None, ""
        obj.slow_factor, obj.slowed_at, obj.learned_rate = 1.0, None, None
        named = [str(form.fields[name].label) for name in form.changed_data if name.removeprefix("remove_") in SECRETS]
        if named:
            obj._change_reason = f"Changed: {', '.join(named)}."  # type: ignore[attr-defined]  # The value is in no history.
        if "unsubscribe_url" in form.changed_data:
            obj.unsubscribe_probed_at, obj.unsubscribe_problem = None, ""
        lock_account(obj)
        super().save_model(request, obj, form, change)
        if obj.has_unsubscribe_page:
            transaction.on_commit(partial(tasks.probe_unsubscribe.delay, obj.pk), robust=True)
            host = urlsplit(obj.unsubscribe_url).hostname
            self.message_user(
                request,
                gettext("Testing one-click unsubscribe on %(host)s. Reload this page to see the result.")
                % {"host": host},
            )
        refit_period(obj, timezone.now())
        for tell in send_test_starters.SAVE_WATCHERS.values():
            tell(obj, timezone.now())
        self._give_hints(request, obj, form)

    def _give_hints(self, request: HttpRequest, server: SmtpServer, form: "ModelForm[SmtpServer]") -> None:
        # Only secrets typed just now: a comparison with stored ones would tell whether a guess in the notes is right.
        secrets = tuple(form.cleaned_data.get(name) or "" for name in SECRETS)
        has_password, has_api_key = bool(server.password), bool(server.api_key)
        now = timezone.now()
        for hint in hints(server, secrets=secrets, has_password=has_password, has_api_key=has_api_key, now=now):
            messages.warning(request, hint)
        if unsigned := missing_signature(server):
            messages.warning(request, translated(unsigned))
        if "is_active" in form.changed_data and not server.is_active:
            self._warn_without_active(request)

    # --- history: read-only. Reverting to an old version could restore the user name of an old password

    def history_form_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """No page for a single version: simple-history saves it on POST, even for users who may only view."""
        raise Http404

    def revert_disabled(self, request: HttpRequest, obj: SmtpServer | None = None) -> bool:
        return True

    def get_historical_record_context_helper(self, request: HttpRequest, historical_record: Any) -> WholeText:
        return WholeText(self.model, historical_record)


def _named(servers: list[SmtpServer]) -> dict[str, str]:
    """Return what a sentence about the servers may name."""
    return {"name": servers[0].name if servers else "", "n": f"{len(servers):,}"}
