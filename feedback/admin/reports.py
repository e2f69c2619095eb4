"""The admin pages of replies: what each report said and did, and the raw mail or post behind it. All of it read-only.

A raw report is foreign content. Its page shows headers and text as plain text, never its HTML, and a download carries a
policy that lets nothing run.
"""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import filesizeformat
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from adminpages.fresh_sign_in import asks_first
from adminpages.instants import stamp
from adminpages.pages import ModelAdmin
from delivery.records.erasure import is_anonymous
from encryption.keys import SecretUnreadable
from feedback.intake.store import content_of
from feedback.models import Feedback, RawReport, Report
from feedback.webhooks.adapters import ADAPTERS
from feedback.webhooks.frame import unpack
from sandbox.mail_view import MOST_TEXT, MailPart, clean, read
from smtpservers.admin.states import badge
from words.reasons import SENTENCES
from words.texts import translated

RAW_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"
COLOURS = {
    Feedback.Kind.HARD_BOUNCE: "red",
    Feedback.Kind.COMPLAINT: "red",
    Feedback.Kind.SOFT_BOUNCE: "orange",
    Feedback.Kind.CONTENT: "orange",
    Feedback.Kind.SERVER: "orange",
    Feedback.Kind.SUPPRESSED: "orange",
}
# What a report did to the person, where it counted.
EFFECTS = {
    Feedback.Kind.HARD_BOUNCE: _("The address is suppressed: it gets no more mail."),
    Feedback.Kind.SOFT_BOUNCE: _("The message counts as bounced. Five in a row over a week suppress the address."),
    Feedback.Kind.CONTENT: _("The message counts as failed. The address isn't to blame."),
    Feedback.Kind.SERVER: _(
        "The message counts as failed. The server or its domain is to blame, and you can retry it."
    ),
    Feedback.Kind.COMPLAINT: _("The person is unsubscribed from everything, and the address is suppressed."),
    Feedback.Kind.SUPPRESSED: _("The provider doesn't send to this address, so it's suppressed here too."),
    Feedback.Kind.UNSUBSCRIBE: _("The person left the lists of the mailing."),
    Feedback.Kind.AUTO_REPLY: _("Noted. The mailbox works."),
    Feedback.Kind.DELAYED: _("Noted. A server on the way still tries."),
    Feedback.Kind.RECEIPT: _("Noted."),
    Feedback.Kind.NOT_SPAM: _("Noted. The person took the message out of the spam folder."),
}


# The same in a few words, for the list.
IN_SHORT = {
    Feedback.Kind.HARD_BOUNCE: _("Address suppressed"),
    Feedback.Kind.SOFT_BOUNCE: _("Message bounced"),
    Feedback.Kind.CONTENT: _("Message failed"),
    Feedback.Kind.SERVER: _("Message failed"),
    Feedback.Kind.COMPLAINT: _("Unsubscribed, address suppressed"),
    Feedback.Kind.SUPPRESSED: _("Address suppressed"),
    Feedback.Kind.UNSUBSCRIBE: _("Left the lists"),
}


# What is said in their place if the person was erased: no address is known any more.
ERASED_PERSON = _("Counted. The person was erased, so nothing was done to an address.")


class _ReadOnly(ModelAdmin):
    class Media:
        css = {"all": ("smtpservers/servers.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Report)
class ReportAdmin(_ReadOnly):
    """What came back by mail or webhook."""

    list_display = ("what", "address", "mailing", "effect", "through", "received")
    card = ("what", "address", "effect", "mailing", "received")
    list_filter = ("kind", "state", "source", "server")
    search_fields = ("recipient",)
    search_help_text = _("Recipient")
    list_select_related = ("message__mailing", "message__server", "server")
    ordering = ("-id",)
    show_full_result_count = False
    actions = None
    actions_list = ("see_raw",)
    empty_hint_without_add = _(
        "Bounces, complaints and auto-replies appear here once a webhook, a mailbox or the mail listener is set up."
    )
    fields = readonly_fields = (
        *("what", "address", "mailing", "status", "said", "why", "effect_in_full"),
        *("way", "through", "received", "happened", "source_text"),
    )

    @action(description=_("Raw reports"), icon="mail", url_path="raw", permissions=["raw"])  # type: ignore[untyped-decorator]
    def see_raw(self, request: HttpRequest) -> HttpResponse:
        return redirect("admin:feedback_rawreport_changelist")

    def has_raw_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("feedback.view_rawreport")

    @admin.display(description=_("Kind"), ordering="kind")
    def what(self, report: Report) -> SafeString:
        if not report.kind:
            is_unread = report.state == Report.State.UNREAD
            return badge("grey", str(Report.State.UNREAD.label) if is_unread else gettext("Other"), "")
        return badge(COLOURS.get(Feedback.Kind(report.kind), "grey"), str(report.get_kind_display()), "")

    @admin.display(description=_("Recipient"), ordering="recipient")
    def address(self, report: Report) -> str:
        """Return the address that the report names, or else the one that its message went to."""
        if report.recipient or report.message is None or is_anonymous(report.message):
            return report.recipient or "–"
        return report.message.email

    @admin.display(description=_("Server"))
    def through(self, report: Report) -> str:
        server = report.server or (report.message.server if report.message else None)
        return str(server or "–")

    @admin.display(description=_("Mailing"))
    def mailing(self, report: Report) -> str:
        if report.message is None:
            return "–"
        name = report.message.mailing.name
        if is_anonymous(report.message):
            return name
        query = urlencode({"address": report.message.email})
        return format_html('<a class="text-link" href="{}?{}">{}</a>', reverse("delivery:messages"), query, name)

    @admin.display(description=_("What it did"), ordering="state")
    def effect(self, report: Report) -> str:
        if report.state != Report.State.APPLIED or not report.kind:
            return str(report.get_state_display())
        if _is_erased(report):
            return gettext("Counted")
        return str(IN_SHORT.get(Feedback.Kind(report.kind), _("Noted")))

    @admin.display(description=_("What it did"))
    def effect_in_full(self, report: Report) -> str:
        if report.state != Report.State.APPLIED or not report.kind:
            return str(report.get_state_display())
        return str(ERASED_PERSON if _is_erased(report) else EFFECTS[Feedback.Kind(report.kind)])

    @admin.display(description=_("Status of the message"))
    def status(self, report: Report) -> str:
        return str(report.message.get_status_display()) if report.message else "–"

    @admin.display(description=_("What it says"))
    def said(self, report: Report) -> str:
        codes = " ".join(filter(None, (str(report.code or ""), report.enhanced)))
        text = report.text if report.text.startswith(codes) else f"{codes} {report.text}"
        return text.strip() or "–"

    @admin.display(description=_("Why"))
    def why(self, report: Report) -> str:
        is_named = not report.rule or report.rule in report.reason
        rule = "" if is_named else gettext("Rule: %(rule)s") % {"rule": report.rule}
        return " · ".join(filter(None, (translated(SENTENCES.known(report.reason)), rule))) or "–"

    @admin.display(description=_("Came by"))
    def way(self, report: Report) -> str:
        return " · ".join(filter(None, (str(report.get_source_display()), report.provider)))

    @admin.display(description=_("Received"), ordering="id")
    def received(self, report: Report) -> str:
        return stamp(report.received_at) or "–"

    @admin.display(description=_("Happened"))
    def happened(self, report: Report) -> str:
        return stamp(report.happened_at) or "–"

    @admin.display(description=_("Raw report"))
    def source_text(self, report: Report) -> str:
        if report.raw_id is None:
            return gettext("No longer kept")
        address = reverse("admin:feedback_rawreport_change", args=[report.raw_id])
        return format_html('<a class="text-link" href="{}">{}</a>', address, gettext("View raw report"))


def _is_erased(report: Report) -> bool:
    """Tell whether a report is about somebody who was erased, and of a kind that does something to an address."""
    kinds = (
        Feedback.Kind.HARD_BOUNCE,
        Feedback.Kind.SOFT_BOUNCE,
        Feedback.Kind.COMPLAINT,
        Feedback.Kind.SUPPRESSED,
    )
    return report.kind in kinds and report.message is not None and is_anonymous(report.message)


@dataclass(frozen=True, slots=True)
class RawContent:
    """A raw report as its page shows it: only text, whatever it holds."""

    headers: list[tuple[str, str]]
    text: str
    parts: list[MailPart]
    remarks: list[str]


@admin.register(RawReport)
class RawReportAdmin(_ReadOnly):
    """The mails and posts behind the replies, and those that were never read."""

    list_display = ("way", "status", "why_unread", "server", "size", "received")
    card = ("way", "status", "why_unread", "received")
    list_filter = ("state", "source", "server")
    list_select_related = ("server",)
    ordering = ("-id",)
    show_full_result_count = False
    actions = None
    empty_hint_without_add = _("Every mail and webhook post that comes in is kept here for a while.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RawReport]:
        raws: QuerySet[RawReport] = super().get_queryset(request)
        return raws.defer("sealed")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(asks_first(self.download_view))
        return [path("<int:raw_id>/download/", view, name="feedback_rawreport_download"), *super().get_urls()]

    @admin.display(description=_("Came by"))
    def way(self, raw: RawReport) -> str:
        return " · ".join(filter(None, (str(raw.get_source_display()), raw.provider, raw.envelope_to)))

    @admin.display(description=_("State"), ordering="state")
    def status(self, raw: RawReport) -> SafeString:
        colour = "orange" if raw.state in (RawReport.State.UNPROVED, RawReport.State.UNREADABLE) else "grey"
        return badge(colour, str(raw.get_state_display()), translated(SENTENCES.known(raw.problem)))

    @admin.display(description=_("Problem"), ordering="problem")
    def why_unread(self, raw: RawReport) -> str:
        return translated(SENTENCES.known(raw.problem)) or "–"

    @admin.display(description=_("Size"), ordering="size_bytes")
    def size(self, raw: RawReport) -> str:
        return filesizeformat(raw.size_bytes)

    @admin.display(description=_("Received"), ordering="id")
    def received(self, raw: RawReport) -> str:
        return stamp(raw.received_at) or "–"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        raw = self._raw(request, object_id)
        try:
            content, problem = shown(raw, content_of(raw)), ""
        except SecretUnreadable as error:
            content, problem = None, str(error)
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Raw report %(number)s") % {"number": raw.pk},
            "opts": self.opts,
            "object": raw,
            "raw": raw,
            "way": self.way(raw),
            "content": content,
            "problem": SENTENCES.known(problem or raw.problem),
            "reports": raw.reports.select_related("message__mailing").order_by("pk")[:100],
        }
        return TemplateResponse(request, "feedback/raw_report.html", context)

    def download_view(self, request: HttpRequest, raw_id: int) -> HttpResponse:
        """Return the bytes as they came in, as a file."""
        raw = self._raw(request, raw_id)
        try:
            content = content_of(raw)
        except SecretUnreadable as error:
            raise Http404(str(error)) from None
        is_mail = raw.source != RawReport.Source.WEBHOOK
        response = HttpResponse(content if is_mail else unpack(content)[1], content_type="application/octet-stream")
        response["Content-Disposition"] = f'attachment; filename="report-{raw.pk}.{"eml" if is_mail else "txt"}"'
        response["Content-Security-Policy"] = RAW_POLICY
        response["X-Content-Type-Options"] = "nosniff"
        return response

    def _raw(self, request: HttpRequest, raw_id: int | str) -> RawReport:
        if not self.has_view_permission(request):
            raise PermissionDenied
        known = str(raw_id).isdecimal() and len(str(raw_id)) < 19
        raw = RawReport.objects.select_related("server").filter(pk=raw_id).first() if known else None
        if raw is None:
            raise Http404(gettext("This raw report is no longer kept."))
        return raw


def shown(raw: RawReport, content: bytes) -> RawContent:
    """Return what the page shows of a raw report."""
    if raw.source == RawReport.Source.WEBHOOK:
        headers, body = unpack(content)
        adapter = ADAPTERS.get(raw.provider)
        shown_ones = adapter.kept_headers if adapter else ()  # The others may hold a password.
        named = [(name, clean(headers[name], 1_000)) for name in shown_ones if name in headers]
        return RawContent(named, _pretty(body), [], [])
    reading = read(content)
    return RawContent(reading.headers, reading.text or "", reading.parts, reading.remarks)


def _pretty(body: bytes) -> str:
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body.decode("utf-8", "replace")
    return clean(text, MOST_TEXT)
