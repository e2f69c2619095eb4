"""The pages of domains: the list, and one page for each with its lines. Nobody is asked while a page loads."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from kombu.exceptions import OperationalError
from unfold.views import ChangeList

from adminpages.instants import stamp
from adminpages.pages import Deletion
from domains import lookups, rounds, tasks, views
from domains.forms import SendingDomainForm
from domains.keys import lifecycle
from domains.keys.views import DkimKeyPages
from domains.models import DnsFinding, SendingDomain
from mail.addresses import readable_domain
from mail.records import mail_hosts
from mail.records.alignment import Match
from mail.records.finding import Line, Record

COLOURS = {"good": "green", "look": "orange", "broken": "red", "unknown": "grey"}
WORST_FIRST = ("broken", "look", "good", "unknown")
CHANGES_SHOWN = 10
NAMED_LINES = 3
EDITED = ("selectors", "tracking_host", "yahoo_loop_on", "microsoft_loop_on")


@dataclass(frozen=True, slots=True)
class ShownLine:
    """One line of a domain's page."""

    key: str
    label: str
    meaning: str
    finding: DnsFinding | None
    note: str = ""  # What follows from it now.
    expected: Record | None = None  # What has to be published before a look can find it.

    @property
    def colour(self) -> str:
        return COLOURS[self.finding.state if self.finding else "unknown"]

    @property
    def word(self) -> str:
        return str(DnsFinding.StateName(self.finding.state if self.finding else "unknown").label)

    @property
    def record(self) -> Record | None:
        """The record to paste."""
        if self.expected is not None:
            return self.expected
        found = self.finding
        return Record(found.record_name, found.record_kind, found.record_value) if found and found.record_name else None

    @property
    def zone_line(self) -> str:
        return str(self.record or "")

    @property
    def rows(self) -> list[Match]:
        return [Match(*row) for row in self.finding.rows] if self.finding else []


# What a line is for, for people who do not know the word.
MEANINGS = {
    Line.SPF: _("Says which servers may send for the domain."),
    Line.DKIM: _("The public keys that prove your signatures."),
    Line.DMARC: _("Says what happens to mail that fails both."),
    Line.ALIGNMENT: _("Whether the domains in your mail agree with From."),
    Line.RETURN_PATH: _("Where bounces go."),
    Line.MX: _("Where replies go, and whether the domain exists."),
    Line.PTR: _("The names of your own relays."),
    Line.MTA_STS: _("Makes others encrypt mail to this domain."),
    Line.TLS_RPT: _("Where others report failed encryption."),
    Line.BIMI: _("Your logo beside your mail."),
    Line.TRACKING: _("The host of links in your mail."),
    Line.BLOCK_LISTS: _("Lists of senders that receivers distrust."),
}


class DomainList(ChangeList):  # type: ignore[misc]  # unfold ships no types.
    """The list, with the states of each domain's lines."""

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[SendingDomain]:
        found: QuerySet[SendingDomain] = super().get_queryset(*args, **kwargs)
        known = DnsFinding.objects.only("domain_id", "line", "state")
        return found.prefetch_related(Prefetch("findings", known, to_attr="known"))


@admin.register(SendingDomain)
class SendingDomainAdmin(DkimKeyPages):
    form = SendingDomainForm
    list_display = ("name_shown", "state", "what", "asked")
    card = ("name_shown", "state", "what")
    search_fields = ("name",)
    search_help_text = _("Search by domain.")
    ordering = ("name",)
    list_per_page = 50
    show_full_result_count = False  # It would be counted once more.
    actions = None
    change_form_outer_before_template = "domains/findings.html"
    empty_hint = _("Domains that your servers and campaigns send from appear here, with what's wrong with their DNS.")

    class Media:
        css = {"all": ("smtpservers/servers.css", "domains/domains.css")}
        js = ("adminpages/copy.js", "domains/domains.js")

    # --- the list

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DomainList]:
        return DomainList

    @admin.display(description=_("Domain"), ordering="name")
    def name_shown(self, domain: SendingDomain) -> str:
        return str(domain)

    @admin.display(description=_("State"))
    def state(self, domain: SendingDomain) -> SafeString:
        return _badge(_worst(domain))

    @admin.display(description=_("Needs attention"))
    def what(self, domain: SendingDomain) -> str:
        return _in_short(domain)

    @admin.display(description=_("Last asked"), ordering="checked_at")
    def asked(self, domain: SendingDomain) -> str:
        return stamp(domain.checked_at) or gettext("Not yet")

    # --- one domain

    def get_fields(self, request: HttpRequest, obj: SendingDomain | None = None) -> list[str]:
        return [*EDITED] if obj is not None else ["name", *EDITED]

    def save_model(self, request: HttpRequest, obj: SendingDomain, form: Any, change: bool) -> None:
        obj.next_check_at = timezone.now()
        written = [*EDITED, "next_check_at"]
        if "tracking_host" in form.changed_data:  # Also a host that was proved before has to be proved again.
            obj.is_tracking_host_good = False
            written.append("is_tracking_host_good")
        # The rest is the worker's, which may have written it since the form was opened.
        obj.save(update_fields=written if change else None)
        transaction.on_commit(_wake)

    def deletion(self, obj: SendingDomain) -> Deletion:
        return Deletion(
            [
                gettext("The domain with its findings, their changes and its reports"),
                gettext("Its DKIM keys: mail that must be signed with them waits"),
                *([gettext("Its link host: new mail uses this site's own address")] if obj.tracking_host else []),
            ],
            [gettext("A domain that servers or campaigns send from is added again within a minute")],
        )

    def wake_keys(self) -> None:
        _wake(tasks.keep_keys)

    def get_urls(self) -> list[URLPattern]:
        ask = self.admin_site.admin_view(require_POST(self.ask_view))
        return [
            path("<int:domain_id>/ask/", ask, name="domains_sendingdomain_ask"),
            path(
                "<int:domain_id>/reports/",
                self.admin_site.admin_view(self.reports_view),
                name="domains_sendingdomain_reports",
            ),
            *super().get_urls(),
        ]

    def reports_view(self, request: HttpRequest, domain_id: int) -> HttpResponse:
        """Show what receivers report of a domain."""
        return views.reports(
            request,
            domain_id,
            may_view=self.has_view_permission(request),
            may_upload=self.has_change_permission(request),
        )

    def ask_view(self, request: HttpRequest, domain_id: int) -> HttpResponse:
        """Have the worker ask DNS again, and return to the page, which follows it."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        domain = get_object_or_404(SendingDomain, pk=domain_id)
        now = timezone.now()
        if not rounds.is_due(domain, now):
            rounds.ask_again(domain, now)
            lifecycle.ask_again(domain, now)
            transaction.on_commit(_wake)
            transaction.on_commit(self.wake_keys)
        return redirect("admin:domains_sendingdomain_change", domain.pk)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if "part" in request.GET:
            domain = self.get_object(request, object_id)
            if domain is not None and self.has_view_permission(request, domain):
                context = {"original": domain, **self._shown(request, domain)}
                return TemplateResponse(request, "domains/findings_part.html", context)
        response: HttpResponse = super().change_view(request, object_id, form_url, extra_context)
        return response

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if (domain := context.get("original")) is not None:
            context.update(self._shown(request, domain))
        return super().render_change_form(request, context, *args, **kwargs)

    def _shown(self, request: HttpRequest, domain: SendingDomain) -> dict[str, Any]:
        known = {finding.line: finding for finding in DnsFinding.objects.filter(domain=domain)}
        is_example = lookups.is_example(domain.name)
        return {
            "lines": [
                ShownLine(
                    line.value,
                    str(DnsFinding.LineName(line.value).label),
                    str(MEANINGS[line]),
                    known.get(line),
                    _link_note(domain, known.get(line)) if line is Line.TRACKING else "",
                    _link_record(domain, known.get(line)) if line is Line.TRACKING else None,
                )
                for line in Line
                if known or not is_example or (line is Line.TRACKING and domain.tracking_host)
            ],
            "is_checking": not is_example and rounds.is_due(domain, timezone.now()),
            "is_example": is_example,
            "may_ask": self.has_change_permission(request, domain),
            "changes": domain.changes.all()[:CHANGES_SHOWN],
            **self.shown_keys(request, domain),
        }


def _is_link_host_unchecked(domain: SendingDomain, known: DnsFinding | None) -> bool:
    """Whether the domain's own host of links waits for its check; a finding may still be about the host of before."""
    is_waiting = bool(domain.tracking_host) and not domain.used_tracking_host
    return is_waiting and not (known is not None and known.fault.startswith(mail_hosts.OWN_TRACKING))


def _link_note(domain: SendingDomain, known: DnsFinding | None) -> str:
    """Return where links in new mail lead while the domain's own host waits for its check; empty if it doesn't."""
    if not _is_link_host_unchecked(domain, known):
        return ""
    names = {"home": urlsplit(settings.TRACKING_URL).netloc, "host": readable_domain(domain.tracking_host)}
    if lookups.is_example(domain.name):
        said = gettext("%(host)s can't be checked, so links in new mail lead to %(home)s.") % names
    else:
        said = gettext("Links in new mail lead to %(home)s until %(host)s passes the check.") % names
    if not rounds.link_target():
        said += (
            " "
            + gettext(
                "There's no CNAME record to publish yet, because %(home)s isn't a public name. An administrator can set"
                " TRACKING_URL."
            )
            % names
        )
    return said


def _link_record(domain: SendingDomain, known: DnsFinding | None) -> Record | None:
    """Return the record that a host of links needs before its check; None if a check has told or nothing can be."""
    target = rounds.link_target()
    # Where a zone begins, DNS allows no alias beside its other records (RFC 1912 section 2.4).
    takes_alias = target and domain.tracking_host not in (target, domain.name)
    if not takes_alias or not _is_link_host_unchecked(domain, known):
        return None
    return Record(domain.tracking_host, "CNAME", f"{target}.")


def _worst(domain: Any) -> str:
    states = {finding.state for finding in domain.known}
    return next((state for state in WORST_FIRST if state in states), "unknown")


def _in_short(domain: Any) -> str:
    worst = _worst(domain)
    if worst not in ("broken", "look"):
        return "–"
    order = [line.value for line in Line]
    lines = sorted((finding.line for finding in domain.known if finding.state == worst), key=order.index)
    names = [str(DnsFinding.LineName(line).label) for line in lines]
    said = ", ".join(names[:NAMED_LINES])
    more = len(names) - NAMED_LINES
    return gettext("%(lines)s and %(n)s more") % {"lines": said, "n": more} if more > 0 else said


def _badge(state: str) -> SafeString:
    return format_html(
        '<span class="state-badge state-badge-{}">{}</span>', COLOURS[state], DnsFinding.StateName(state).label
    )


def _wake(task: Any = tasks.check_domains) -> None:
    """Tell a worker; without a broker it notices by itself within a minute."""
    with suppress(OSError, OperationalError):
        task.apply_async(retry=False)
