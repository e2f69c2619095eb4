"""Figures of a period or a server, as a page and as CSV, and the printable report of a campaign."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from adminpages import instants
from adminpages.access import needs
from campaigns.reports import charts, timeline
from campaigns.reports.cache import remembered
from campaigns.reports.figures import Figures, FiguresQuery, figures, write_csv
from campaigns.reports.report import report
from campaigns.reports.tally import held_since
from campaigns.schedule import mailings
from campaigns.views.pages import campaign_or_404, page
from campaigns.views.report import pace_context
from installation.site import site
from smtpservers.models import SmtpServer

USUAL_DAYS = 30
TABLES = {"days": "day", "servers": "server", "providers": "provider", "lists": "list"}


@dataclass(frozen=True, slots=True)
class _Query:
    start: dt.date
    end: dt.date
    server: str
    problem: str = ""


def _query(request: HttpRequest, now: dt.datetime) -> _Query:
    today = timezone.localtime(now, site().time_zone).date()
    usual = today - dt.timedelta(days=USUAL_DAYS - 1)
    server = request.GET.get("server", "")[:100]
    try:
        start = _day(request.GET.get("from", ""), usual)
        end = _day(request.GET.get("to", ""), today)
    except ValueError:
        return _Query(usual, today, server, _("Enter dates like 2026-11-23. Showing the last 30 days."))
    if start > end:
        return _Query(end, start, server)  # Swapped.
    return _Query(start, end, server)


def _day(text: str, usual: dt.date) -> dt.date:
    return dt.date.fromisoformat(text.strip()) if text.strip() else usual


def _figures(request: HttpRequest, asked: _Query, now: dt.datetime) -> Figures:
    sees_all = request.user.has_perm("delivery.view_message")
    wanted = FiguresQuery(asked.start, asked.end, server_name=asked.server, names_all_domains=sees_all)
    key = f"period-{asked.start}-{asked.end}-{sees_all}-{asked.server}"
    return remembered(key, lambda: figures(wanted, now))


@require_GET
@needs("campaigns.view_progress")
def period(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    asked = _query(request, now)
    found = _on_page(_figures(request, asked, now))
    named = set(SmtpServer.objects.values_list("name", flat=True))
    deleted = {line.key for line in found.servers} | ({asked.server} if asked.server else set())
    context = {
        "asked": asked,
        "zone": site().time_zone,
        "figures": found,
        "held_since": held_since(now),
        "servers": sorted(named | deleted, key=str.lower),
        "query": request.GET.urlencode(),
        **_charts(found),
    }
    title = _("Reports of %(server)s") % {"server": asked.server} if asked.server else _("Reports")
    return page(request, "campaigns/figures_page.html", title, context)


def _on_page(found: Figures) -> Figures:
    """Return the figures with days as people read them. Files keep the dates."""
    days = [replace(line, label=instants.day(dt.date.fromisoformat(line.key))) for line in found.days]
    return replace(found, days=days)


def _charts(found: Figures) -> dict[str, Any]:
    return {
        "days_drawn": charts.line_chart(found.days),
        "servers_drawn": charts.line_chart(found.servers[:15]),
        "providers_drawn": charts.line_chart(found.providers[:15]),
    }


@require_GET
@needs("campaigns.view_progress")
def period_csv(request: HttpRequest, table: str) -> HttpResponseBase:
    """Answer with one table of the page as CSV. It contains no personal data."""
    now = timezone.now()
    asked = _query(request, now)
    if table not in TABLES:
        raise Http404("There is no such table.")
    lines = getattr(_figures(request, asked, now), table)
    return _file(write_csv(lines, TABLES[table]), f"figures-{table}-{asked.start}-{asked.end}")


@require_GET
@needs("campaigns.view_progress")
def campaign_csv(request: HttpRequest, campaign_id: int, table: str) -> HttpResponseBase:
    campaign = campaign_or_404(campaign_id)
    if table not in TABLES:
        raise Http404("There is no such table.")
    sees_all = request.user.has_perm("delivery.view_message")
    asked = FiguresQuery(mailing_ids=mailings.mailing_ids(campaign), names_all_domains=sees_all)
    return _file(
        write_csv(getattr(figures(asked, timezone.now()), table), TABLES[table]), f"campaign-{campaign.pk}-{table}"
    )


def _file(lines: Any, name: str) -> HttpResponseBase:
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"},
    )


@require_GET
@needs("campaigns.view_progress")
def campaign_report(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show the full report of a campaign, for printing."""
    campaign = campaign_or_404(campaign_id)
    now = timezone.now()
    may_see_recipients = request.user.has_perm("delivery.view_message")
    mailing_ids = mailings.mailing_ids(campaign)
    asked = FiguresQuery(mailing_ids=mailing_ids, names_all_domains=may_see_recipients)
    found = remembered(f"figures-{mailing_ids}-{may_see_recipients}", lambda: figures(asked, now))
    found = _on_page(found)
    context = {
        "campaign": campaign,
        "report": report(campaign, now, with_replies=may_see_recipients),
        "figures": found,
        "printed_at": now,
        "lists": ", ".join(campaign.lists.values_list("name", flat=True)),
        "steps": timeline.steps(campaign),
        "overrides": timeline.overrides(campaign),
        "incidents": timeline.incidents(campaign),
        "may_see_recipients": may_see_recipients,
        **_charts(found),
        **pace_context(campaign, now),
    }
    title = _("Report of %(campaign)s") % {"campaign": campaign}
    return page(request, "campaigns/report.html", title, context)
