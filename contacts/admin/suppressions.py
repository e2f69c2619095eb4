"""Admin pages of suppressions: add, search, import, export, lift.

A suppression is never edited, and lifting one needs a reason.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import action

from adminpages.fresh_sign_in import asks_first
from adminpages.instants import day, stamp
from adminpages.pages import ModelAdmin
from contacts.admin.cells import chip, download
from contacts.consent import changes
from contacts.consent.suppressed import SUPPRESSED_ELSEWHERE, active
from contacts.forms.suppression import LiftForm, SuppressionExportForm, SuppressionFileForm, SuppressionForm
from contacts.models import ConsentEvent, Contact, Suppression, SuppressionLift
from contacts.transfer import import_suppressions
from contacts.transfer.csv_file import CsvRefused
from mail.addresses import fold
from words.texts import translated

if TYPE_CHECKING:
    from django.contrib.auth.models import User

NAMED_AT_MOST = 20
LIFTED_AT_MOST = 1_000  # More would be no decision about people, and each adds a row to the history.


class KindFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types.
    title = gettext_lazy("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("address", _("Address")), ("domain", _("Domain"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> QuerySet[Suppression]:
        match self.value():
            case "address":
                return queryset.exclude(email_key__startswith="@")
            case "domain":
                return queryset.filter(email_key__startswith="@")
        return queryset


class SuppressionStateFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types.
    title = gettext_lazy("status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("holds", _("Active")), ("ends", _("Active until a date")), ("over", _("Expired"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> QuerySet[Suppression]:
        now = timezone.now()
        match self.value():
            case "holds":
                return queryset.filter(active(now))
            case "ends":
                return queryset.filter(expires_at__gt=now)
            case "over":
                return queryset.filter(expires_at__lte=now)
        return queryset


@admin.register(Suppression)
class SuppressionAdmin(ModelAdmin):
    form = SuppressionForm
    list_display = ["what", "why", "source", "since", "until"]
    card = ["what", "why", "since"]
    list_filter = [("reason", ChoicesDropdownFilter), KindFilter, SuppressionStateFilter]
    list_filter_submit = True
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["email", "source"]
    search_help_text = gettext_lazy("Search by address, domain or source.")
    empty_hint = gettext_lazy(
        "Suppressed addresses and domains get no mail. Addresses that a server rejects as unknown are added"
        " automatically."
    )
    list_per_page = 50
    ordering = ["-pk"]  # In order of arrival; there may be a million, and time has no index.
    fields = ["email", "reason", "source", "expires_at"]
    actions = ["lift_chosen"]
    actions_list = ["import_file", "export_file", "see_lifted"]
    actions_detail = ["lift_one"]

    class Media:
        css = {"all": ["contacts/contacts.css"]}

    # --- permissions

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return False  # Suppressions are lifted instead, with a reason.

    def has_lift_permission(self, request: HttpRequest, object_id: object = None) -> bool:
        return bool(request.user.has_perm("contacts.delete_suppression"))

    def has_import_permission(self, request: HttpRequest) -> bool:
        return bool(self.has_add_permission(request))

    def has_export_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("contacts.export_suppression"))

    def has_lifted_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("contacts.view_suppressionlift"))

    # --- the list

    @admin.display(description=gettext_lazy("Address or domain"), ordering="email_key")
    def what(self, suppression: Suppression) -> str:
        return suppression.email

    @admin.display(description=gettext_lazy("Since"), ordering="pk")
    def since(self, suppression: Suppression) -> str:
        return stamp(suppression.created_at)

    @admin.display(description=gettext_lazy("Reason"), ordering="reason")
    def why(self, suppression: Suppression) -> SafeString:
        return chip(suppression.reason, suppression.get_reason_display())

    @admin.display(description=gettext_lazy("Until"), ordering="expires_at")
    def until(self, suppression: Suppression) -> SafeString | str:
        if suppression.expires_at is None:
            return _("Permanent")
        ends_on = day(suppression.expires_at)
        is_over = _is_over(suppression)
        return chip("expired", _("Expired"), _("Ended on %(day)s.") % {"day": ends_on}) if is_over else ends_on

    # --- one by hand

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> type[SuppressionForm]:
        form: type[SuppressionForm] = super().get_form(request, *args, **kwargs)
        form.now = timezone.now()  # The class exists for this request only.
        return form

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> list[str]:
        return [*self.fields[:-1], "since", "until"] if obj else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Suppression | None = None) -> list[str]:
        return ["since", "until"] if obj else []

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:
        by, now = f"admin: {request.user.get_username()}", timezone.now()
        source = f"{by} – {obj.source}" if obj.source else by
        if obj.reason == Suppression.Reason.UNSUBSCRIBED:
            changes.withdraw_everywhere([fold(obj.email)], method=ConsentEvent.Method.ADMIN, source=by, now=now)
        changes.suppress(obj.email, obj.reason, source, now, until=obj.expires_at)
        obj.pk = Suppression.objects.get(email_key=fold(obj.email)).pk
        if obj.email.startswith("@"):
            people = Contact.objects.filter(domain=fold(obj.email)[1:]).count()
            messages.warning(
                request,
                ngettext(
                    "%(domain)s is suppressed. %(count)s contact has an address there.",
                    "%(domain)s is suppressed. %(count)s contacts have an address there.",
                    people,
                )
                % {"domain": obj.email, "count": f"{people:,}"},
            )

    # --- lifting

    @admin.action(description=gettext_lazy("Lift the selected suppressions"), permissions=["lift"])
    def lift_chosen(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> HttpResponse | None:
        """Ask for a reason; lift once it was given."""
        count = queryset.count()
        if count > LIFTED_AT_MOST:
            messages.error(
                request,
                _("You selected %(count)s suppressions. Select at most %(most)s.")
                % {"count": f"{count:,}", "most": f"{LIFTED_AT_MOST:,}"},
            )
            return None
        chosen = list(queryset)
        form = LiftForm(chosen, request.POST if "lift" in request.POST else None)
        if form.is_bound and form.is_valid():
            self._lift(request, chosen, form.cleaned_data["why"])
            return None
        return self._ask_why(request, form, chosen, request.POST)

    @action(description=gettext_lazy("Lift"), icon="undo", url_path="lift", permissions=["lift"])  # type: ignore[untyped-decorator]
    def lift_one(self, request: HttpRequest, object_id: str) -> HttpResponse:
        suppression = Suppression.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        if suppression is None:
            raise Http404
        form = LiftForm([suppression], request.POST if request.method == "POST" else None)
        if form.is_bound and form.is_valid():
            self._lift(request, [suppression], form.cleaned_data["why"])
            return redirect("admin:contacts_suppression_changelist")
        return self._ask_why(request, form, [suppression], {})

    def _lift(self, request: HttpRequest, suppressions: list[Suppression], why: str) -> None:
        actor: User = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
        now = timezone.now()
        lifted = [each for each in suppressions if changes.lift(each, why, actor, now)]
        self.log_deletions(request, lifted)
        kept = [each.email for each in suppressions if each.unsubscribed_at is not None]
        if kept:
            named = kept[:NAMED_AT_MOST]
            if len(kept) > NAMED_AT_MOST:
                named.append(_("and %(count)s more") % {"count": f"{len(kept) - NAMED_AT_MOST:,}"})
            messages.warning(
                request,
                _("Still suppressed because they unsubscribed from everything: %(people)s.")
                % {"people": ", ".join(named)},
            )
        elif len(lifted) == 1:
            messages.success(
                request,
                _("%(email)s is no longer suppressed. Lists they unsubscribed from stay unsubscribed.")
                % {"email": lifted[0].email},
            )
        else:
            messages.success(
                request,
                _("%(count)s suppressions lifted. Lists people unsubscribed from stay unsubscribed.")
                % {"count": f"{len(lifted):,}"},
            )

    def _ask_why(self, request: HttpRequest, form: LiftForm, chosen: list[Suppression], posted: Any) -> HttpResponse:
        count = len(chosen)
        named = chosen[:NAMED_AT_MOST]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": ngettext("Lift %(count)s suppression", "Lift %(count)s suppressions", count)
            % {"count": f"{count:,}"},
            "form": form,
            "named": named,
            "more": count - len(named),
            "elsewhere": _elsewhere(named),
            "strict": any(each.reason in ("hard_bounce", "complaint") for each in named),
            "select_across": posted.get("select_across", ""),
            "selected": posted.getlist("_selected_action") if posted else [],
        }
        return TemplateResponse(request, "contacts/suppression_lift.html", context)

    @action(description=gettext_lazy("Lifted"), icon="history", url_path="lifted", permissions=["lifted"])  # type: ignore[untyped-decorator]
    def see_lifted(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:contacts_suppressionlift_changelist")

    # --- import and export

    @action(description=gettext_lazy("Import"), icon="upload", url_path="import", permissions=["import"])  # type: ignore[untyped-decorator]
    def import_file(self, request: HttpRequest) -> HttpResponse:
        form = SuppressionFileForm(request.POST or None, request.FILES or None, label_suffix="")
        taken = None
        if request.method == "POST" and form.is_valid():
            upload = form.cleaned_data["file"]
            name = "".join(c for c in upload.name if c.isprintable())[:100]
            try:
                taken = import_suppressions.import_csv(
                    upload.file,
                    reason=form.cleaned_data["reason"],
                    source=f"import: {name}",
                    now=timezone.now(),
                    zone=timezone.get_current_timezone(),
                )
            except CsvRefused as error:
                form.add_error("file", translated(error))
        if taken is not None:
            actor: User = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
            sentence = f"Imported {name}: {taken.added:,} suppressed, {taken.refused_count:,} rows refused."
            import_suppressions.record_in_history(actor, Suppression, "Import of suppressions", sentence)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Import suppressions"),
            "form": form,
            "taken": taken,
        }
        return TemplateResponse(request, "contacts/suppression_import.html", context)

    @action(description=gettext_lazy("Export"), icon="download", url_path="export", permissions=["export"])  # type: ignore[untyped-decorator]
    @method_decorator(asks_first)
    def export_file(self, request: HttpRequest) -> HttpResponseBase:
        form = SuppressionExportForm(request.POST if request.method == "POST" else None, label_suffix="")
        if form.is_bound and form.is_valid():
            chosen = form.chosen(timezone.now())
            actor: User = request.user  # type: ignore[assignment]  # admin_view lets nobody else in.
            sentence = f"Exported {chosen.count():,} suppressions as CSV."
            import_suppressions.record_in_history(actor, Suppression, "Export of suppressions", sentence)
            return download(import_suppressions.write_csv(chosen), "suppressions")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Export suppressions"),
            "form": form,
        }
        return TemplateResponse(request, "contacts/suppression_export.html", context)


@admin.register(SuppressionLift)
class SuppressionLiftAdmin(ModelAdmin):
    """Lifted suppressions, by whom and why; read-only."""

    list_display = ["email", "reason", "suppressed_at", "why", "who", "lifted_at"]
    card = ["email", "reason", "lifted_at"]
    list_filter = [("reason", ChoicesDropdownFilter)]
    list_filter_submit = True
    show_facets = admin.ShowFacets.NEVER
    search_fields = ["email", "why", "lifted_by_name"]
    search_help_text = gettext_lazy("Search by address, reason or who lifted it.")
    empty_hint = gettext_lazy("Suppressions that someone lifted are listed here, with the reason.")
    list_per_page = 50
    actions = None
    fields = ["email", "reason", "suppressed_at", "why", "who", "lifted_at"]

    @admin.display(description=gettext_lazy("Lifted by"), ordering="lifted_by_name")
    def who(self, lift: SuppressionLift) -> str:
        return lift.lifted_by_name

    def get_readonly_fields(self, request: HttpRequest, obj: SuppressionLift | None = None) -> list[str]:
        return self.fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: SuppressionLift | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: SuppressionLift | None = None) -> bool:
        return False


def _is_over(suppression: Suppression, now: dt.datetime | None = None) -> bool:
    ended = suppression.expires_at is not None and suppression.expires_at <= (now or timezone.now())
    return ended and suppression.unsubscribed_at is None


def _elsewhere(suppressions: Sequence[Suppression]) -> list[tuple[str, str]]:
    """Return addresses that others still suppress, each with the names of those."""
    keys = {each.email_key: each.email for each in suppressions}
    found: list[tuple[str, str]] = []
    for ask in SUPPRESSED_ELSEWHERE.values():
        found += [(keys[key], ", ".join(names)) for key, names in ask(list(keys)).items()]
    return found
