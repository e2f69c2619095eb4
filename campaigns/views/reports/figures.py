"""Figures of a period or a server, as a page and as CSV, and the printable report of a campaign."""

import datetime as dt
from dataclasses import replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from adminpages import instants
from adminpages.access import needs
from campaigns.models import Campaign
from campaigns.reports import charts, timeline
from campaigns.reports.cache import remembered
from campaigns.reports.figures import Figures, FiguresQuery, figures, write_csv
from campaigns.reports.report import report, sum_counts
from campaigns.reports.tally import held_since
from campaigns.reports.visits import VisitTables, campaign_tables
from campaigns.schedule import mailings
from campaigns.views.pages import campaign_or_404, page
from campaigns.views.report import pace_context, visits_so_far
from campaigns.views.reports.periods import asked_period, csv_file, figures_of, period_context
from delivery.models import Message
from words.numbers import percent

TABLES = {"days": "day", "servers": "server", "providers": "provider", "lists": "list"}


@require_GET
@needs("campaigns.view_progress")
def period(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    asked = asked_period(request, now)
    found = _on_page(figures_of(request, asked, now))
    context = {
        **period_context(request, asked, found),
        "figures": found,
        "held_since": held_since(now),
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
    asked = asked_period(request, now)
    if table not in TABLES:
        raise Http404("There is no such table.")
    lines = getattr(figures_of(request, asked, now), table)
    return csv_file(write_csv(lines, TABLES[table]), f"figures-{table}-{asked.start}-{asked.end}")


@require_GET
@needs("campaigns.view_progress")
def campaign_csv(request: HttpRequest, campaign_id: int, table: str) -> HttpResponseBase:
    campaign = campaign_or_404(campaign_id)
    if table not in TABLES:
        raise Http404("There is no such table.")
    lines = getattr(campaign_figures(request, campaign, timezone.now()), table)
    return csv_file(write_csv(lines, TABLES[table]), f"campaign-{campaign.pk}-{table}")


@require_GET
@needs("campaigns.view_progress")
def campaign_report(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Show the full report of a campaign, for printing."""
    campaign = campaign_or_404(campaign_id)
    now = timezone.now()
    may_see_recipients = request.user.has_perm("delivery.view_message")
    found = campaign_figures(request, campaign, now)
    so_far = report(campaign, now, with_replies=may_see_recipients)
    visits = visits_so_far(campaign, so_far) if so_far.total else None
    context = {
        "campaign": campaign,
        "report": so_far,
        "visits": visits,
        **(_visit_context(campaign, found) if visits is not None and visits.counted != "off" else {}),
        "figures": _on_page(found),
        "printed_at": now,
        "lists": ", ".join(campaign.lists.values_list("name", flat=True)),
        "steps": timeline.steps(campaign),
        "overrides": timeline.overrides(campaign),
        "incidents": timeline.incidents(campaign),
        "may_see_recipients": may_see_recipients,
        **_charts(_on_page(found)),
        **pace_context(campaign, now),
    }
    title = _("Report of %(campaign)s") % {"campaign": campaign}
    return page(request, "campaigns/report.html", title, context)


def _visit_context(campaign: Campaign, found: Figures) -> dict[str, Any]:
    """Return the template context of opens and clicks, with the complaints and unsubscribes beside them."""
    tables = visit_tables(campaign, found)
    accepted = sum_counts(mailings.mailing_ids(campaign))[Message.Status.ACCEPTED]
    return {
        "visit_tables": tables,
        "hours_drawn": charts.hours_chart(tables.hours),
        "late": found.total,
        "late_shares": {
            "unsubscribed": percent(found.total.unsubscribed, accepted),
            "complaints": percent(found.total.complaints, accepted),
        },
    }


def visit_tables(campaign: Campaign, found: Figures) -> VisitTables:
    """Return a campaign's opens and clicks.

    :param found: its figures, which say what was accepted and which domains are named.
    """
    mailing_ids = mailings.mailing_ids(campaign)
    key = f"visit-tables-{mailing_ids}-{[line.key for line in found.providers]}"
    return remembered(key, lambda: campaign_tables(campaign, mailing_ids, found.servers, found.providers))


def campaign_figures(request: HttpRequest, campaign: Campaign, now: dt.datetime) -> Figures:
    """Return a campaign's figures. Small domains are named to users who may see recipients."""
    sees_all = request.user.has_perm("delivery.view_message")
    mailing_ids = mailings.mailing_ids(campaign)
    asked = FiguresQuery(mailing_ids=mailing_ids, names_all_domains=sees_all)
    return remembered(f"figures-{mailing_ids}-{sees_all}", lambda: figures(asked, now))
