"""Admin pages of mailboxes: the list with the return paths and their probes, the form, and *Check now*."""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from adminpages.instants import stamp
from adminpages.pages import Deletion, ModelAdmin
from delivery import clock, identity
from delivery.content.return_paths import mailto_domain
from delivery.models import Message
from feedback import probes
from feedback.forms.mailbox import MailboxForm
from feedback.mailboxes import changes, poll
from feedback.models import Mailbox, Probe
from mail.addresses import domain_of, readable_domain
from smtpservers.admin.states import badge
from smtpservers.models import SmtpServer
from words.reasons import SENTENCES
from words.texts import translated


@dataclass(frozen=True, slots=True)
class State:
    """The state of a mailbox in one word, and what it means."""

    word: str
    colour: str
    meaning: str
    reply: str = ""


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """A server's return path, and what its last probe showed."""

    server: SmtpServer
    way: str  # How the probe's mails came in.
    bounces: str
    unsubscribes: str


@admin.register(Mailbox)
class MailboxAdmin(ModelAdmin):
    """The mailboxes."""

    form = MailboxForm
    asks_fresh_sign_in = True
    list_display = ("name", "state", "address", "last_read", "seen", "foreign")
    card = ("name", "state", "last_read")
    ordering = ("name",)
    actions = ()
    empty_hint = _("Add the mailbox that bounces and complaints arrive in.")
    list_before_template = "feedback/return_paths.html"
    change_form_outer_before_template = "feedback/mailbox_state.html"
    fieldsets = (
        (None, {"fields": (("name", "is_active"),)}),
        (_("Server"), {"fields": (("protocol", "security"), ("host", "port"), "trusted_certificate")}),
        (_("Sign-in"), {"fields": (("username", "password"), "oauth_account")}),
        (_("Reading"), {"fields": (("folder", "after_reading"), "servers", "authserv_id")}),
    )

    class Media:
        css = {"all": ("smtpservers/servers.css", "feedback/mailboxes.css")}

    # --- the list

    @admin.display(description=_("State"))
    def state(self, mailbox: Mailbox) -> SafeString:
        found = state_of(mailbox)
        return badge(found.colour, found.word, found.meaning)

    @admin.display(description=_("Address"))
    def address(self, mailbox: Mailbox) -> str:
        return f"{mailbox.username} · {readable_domain(mailbox.host)}:{mailbox.port}"

    @admin.display(description=_("Last read"), ordering="polled_at")
    def last_read(self, mailbox: Mailbox) -> str:
        return stamp(mailbox.polled_at) or "–"

    @admin.display(description=_("Mails seen"), ordering="mail_count")
    def seen(self, mailbox: Mailbox) -> str:
        return f"{mailbox.mail_count:,}"

    @admin.display(description=_("Not ours"), ordering="foreign_count")
    def foreign(self, mailbox: Mailbox) -> str:
        return f"{mailbox.foreign_count:,}"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        may_probe = self.has_change_permission(request)
        context = {"return_paths": return_paths(), "may_probe": may_probe, **(extra_context or {})}
        response: HttpResponse = super().changelist_view(request, context)
        return response

    # --- one mailbox

    @method_decorator(sensitive_post_parameters("password"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().changeform_view(request, *args, **kwargs)
        return response

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        mailbox = context.get("original")
        if mailbox is not None:
            context["state"] = state_of(mailbox)
            context["may_check"] = self.has_change_permission(request, mailbox) and mailbox.is_active
            context["figures"] = figures(mailbox)
        return super().render_change_form(request, context, *args, **kwargs)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.apply()

    def deletion(self, obj: Mailbox) -> Deletion:
        return Deletion(
            [gettext("The mailbox with its settings and password"), gettext("What its probes showed")],
            [gettext("All mail in the mailbox itself"), gettext("Reports that were read, and what they did")],
        )

    def delete_model(self, request: HttpRequest, obj: Mailbox) -> None:
        changes.delete(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Mailbox]) -> None:
        for mailbox in queryset:
            changes.delete(mailbox)

    # --- checking and probing

    def get_urls(self) -> list[URLPattern]:
        view, name = self.admin_site.admin_view, "feedback_mailbox"
        return [
            path("<int:mailbox_id>/check/", view(require_POST(self.check_view)), name=f"{name}_check"),
            path("probe/<int:server_id>/", view(require_POST(self.probe_view)), name=f"{name}_probe"),
            *super().get_urls(),
        ]

    def check_view(self, request: HttpRequest, mailbox_id: int) -> HttpResponse:
        """Read the mailbox now, and say how it went."""
        mailbox = get_object_or_404(Mailbox, pk=mailbox_id)
        if not self.has_change_permission(request, mailbox):
            raise PermissionDenied
        level, text = _check(mailbox)
        self.message_user(request, text, level)
        return redirect("admin:feedback_mailbox_change", mailbox_id)

    def probe_view(self, request: HttpRequest, server_id: int) -> HttpResponse:
        """Queue a probe of a server's return path."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        server = get_object_or_404(SmtpServer, pk=server_id)
        try:
            probes.send(server, clock.now())
        except ValueError:
            self.message_user(request, gettext("This server has no return path to probe."), messages.WARNING)
        else:
            text = gettext("Probe of %(address)s queued. Its arrival shows here, usually within two minutes.")
            self.message_user(request, text % {"address": server.return_path})
        return redirect("admin:feedback_mailbox_changelist")


def state_of(mailbox: Mailbox) -> State:
    """Return the state: the operator's switch comes first, then how the last poll went."""
    if not mailbox.is_active:
        return State(gettext("Inactive"), "grey", gettext("It isn't read."))
    if mailbox.failures:
        meaning = gettext("Tries again on %(time)s.") % {"time": stamp(mailbox.due_at) or "–"}
        return State(gettext("Failing"), "orange", meaning, _problem_of(mailbox))
    if mailbox.polled_at is None and mailbox.lease_until is not None and mailbox.lease_until > clock.now():
        return State(gettext("Untested"), "grey", gettext("A worker is reading it right now."))
    if mailbox.polled_at is None:
        return State(gettext("Untested"), "grey", gettext("It hasn't been read yet."))
    meaning = gettext("Last read on %(time)s.") % {"time": stamp(mailbox.polled_at)}
    return State(gettext("Active"), "green", meaning, _problem_of(mailbox))


def _problem_of(mailbox: Mailbox) -> str:
    return translated(SENTENCES.known(mailbox.last_error))


def figures(mailbox: Mailbox) -> str:
    """Return in words what was seen in the mailbox; empty if nothing was."""
    if not mailbox.mail_count:
        return ""
    counts = {"n": f"{mailbox.mail_count:,}", "foreign": f"{mailbox.foreign_count:,}"}
    return (
        ngettext(
            "%(n)s mail seen. %(foreign)s not ours and left untouched.",
            "%(n)s mails seen. %(foreign)s not ours and left untouched.",
            mailbox.mail_count,
        )
        % counts
    )


def return_paths() -> list[ReturnPath]:
    """Return every server with a return path, with what its last probe showed."""
    servers = SmtpServer.objects.filter(use_return_path=True).exclude(return_path="").order_by("display_order", "pk")
    latest: dict[int, Probe] = {}
    for probe in Probe.objects.filter(server__in=servers).select_related("mailbox", "mailing").order_by("pk"):
        latest[probe.server_id] = probe
    return [_shown(server, latest.get(server.pk)) for server in servers]


def _shown(server: SmtpServer, probe: Probe | None) -> ReturnPath:
    if probe is None or probe.return_path != server.return_path:
        # Unsubscribes by mail come to an address of the domain alone, which an earlier return path may have proved.
        named = mailto_domain(server)
        if probe is not None and probe.unsubscribe_at and named == domain_of(probe.return_path):
            unsubscribes = _arrival(probe, probe.unsubscribe_at, None)
        else:
            unsubscribes = gettext("Not probed, named in mail all the same") if named else gettext("Not probed")
        return ReturnPath(server, "", gettext("Not probed"), unsubscribes)
    has_come = probe.bounce_at or probe.unsubscribe_at
    way = (probe.mailbox.name if probe.mailbox else gettext("Listener")) if has_come else ""
    bounce, unsubscribe = probes.mails_of(probe)
    return ReturnPath(
        server, way, _arrival(probe, probe.bounce_at, bounce), _arrival(probe, probe.unsubscribe_at, unsubscribe)
    )


def _arrival(probe: Probe, arrived_at: dt.datetime | None, mail: Message | None) -> str:
    if arrived_at is not None:
        return gettext("Arrived %(time)s") % {"time": stamp(arrived_at)}
    if mail is None or mail.status in (Message.Status.ACCEPTED, Message.Status.UNCONFIRMED):
        return gettext("Sent %(time)s, not arrived") % {"time": stamp(probe.sent_at)}
    why = translated(SENTENCES.known(mail.reason) or (probe.mailing.waiting_text if probe.mailing else ""))
    if mail.status in Message.PENDING:
        queued = gettext("Queued %(time)s, not arrived yet.") % {"time": stamp(probe.sent_at)}
        return f"{queued} {why}".strip()
    return gettext("Not sent: %(why)s") % {"why": why or mail.get_status_display()}


def _check(mailbox: Mailbox) -> tuple[int, str]:
    now = clock.now()
    if why := identity.why_held(now):
        return messages.WARNING, gettext("Mailboxes aren't read now. %(why)s") % {"why": why}
    if not mailbox.is_active:
        return messages.WARNING, gettext("The mailbox is inactive. Turn it on first.")
    if not poll.poll(mailbox.pk, clock.now):
        return messages.INFO, gettext("A worker is reading it right now. Open this page again in a moment.")
    before = mailbox.mail_count, mailbox.foreign_count
    mailbox.refresh_from_db()
    if mailbox.failures:
        return messages.ERROR, _problem_of(mailbox)
    seen, foreign = mailbox.mail_count - before[0], mailbox.foreign_count - before[1]
    if not seen:
        said = gettext("Mailbox read. No new mail.")
    else:
        said = ngettext(
            "Mailbox read. %(n)s new mail, %(foreign)s not ours.",
            "Mailbox read. %(n)s new mails, %(foreign)s not ours.",
            seen,
        ) % {"n": f"{seen:,}", "foreign": f"{foreign:,}"}
    problem = _problem_of(mailbox)
    return (messages.WARNING, f"{said} {problem}") if problem else (messages.SUCCESS, said)
