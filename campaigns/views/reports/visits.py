"""Opens and clicks of a period and of a campaign as tables and files, and campaigns side by side."""

import datetime as dt
from dataclasses import replace

from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from adminpages import instants
from adminpages.access import needs
from campaigns.reports import charts, side_by_side
from campaigns.reports.cache import remembered
from campaigns.reports.figures import Figures
from campaigns.reports.visits import MOST_LINES, VisitTables, period_tables, write_csv
from campaigns.views.pages import campaign_or_404, page
from campaigns.views.reports.figures import campaign_figures, visit_tables
from campaigns.views.reports.periods import AskedPeriod, asked_period, csv_file, figures_of, period_context
from installation.site import site
from mail.links.levels import OFF

PERIOD_TABLES = {"days": "day", "servers": "server", "providers": "provider", "campaigns": "campaign"}
CAMPAIGN_TABLES = {"days": "day", "variants": "variant", "servers": "server", "providers": "provider"}


@require_GET
@needs("campaigns.view_progress")
def period(request: HttpRequest) -> HttpResponse:
    """Show opens and clicks of some days, by day, campaign, server and provider."""
    now = timezone.now()
    asked = asked_period(request, now)
    figures, found = _tables(request, asked, now)
    days = [replace(line, label=instants.day(dt.date.fromisoformat(line.key))) for line in found.days]
    shown = replace(found, days=days, campaigns=found.campaigns[:MOST_LINES], providers=found.providers[:MOST_LINES])
    context = {
        **period_context(request, asked, figures),
        "tables": shown,
        "has_more_campaigns": len(found.campaigns) > MOST_LINES,
        "days_drawn": charts.visits_chart(days),
        "is_off": site().tracking == OFF,
    }
    return page(request, "campaigns/visits_page.html", _("Opens and clicks"), context)


def _tables(request: HttpRequest, asked: AskedPeriod, now: dt.datetime) -> tuple[Figures, VisitTables]:
    figures = figures_of(request, asked, now)
    sees_all = request.user.has_perm("delivery.view_message")
    key = f"period-visits-{asked.start}-{asked.end}-{sees_all}-{asked.server}"
    named = {line.key for line in figures.providers}
    found = remembered(key, lambda: period_tables(asked.start, asked.end, asked.server, named))
    return figures, found


@require_GET
@needs("campaigns.view_progress")
def period_csv(request: HttpRequest, table: str) -> HttpResponseBase:
    """Answer with one table of the page as CSV. It contains no personal data."""
    now = timezone.now()
    asked = asked_period(request, now)
    if table not in PERIOD_TABLES:
        raise Http404("There is no such table.")
    _figures, found = _tables(request, asked, now)
    lines = write_csv(getattr(found, table), PERIOD_TABLES[table], has_accepted=False)
    return csv_file(lines, f"opens-clicks-{table}-{asked.start}-{asked.end}")


@require_GET
@needs("campaigns.view_progress")
def campaign_csv(request: HttpRequest, campaign_id: int, table: str) -> HttpResponseBase:
    """Answer with one table of a campaign's opens and clicks as CSV. It contains no personal data."""
    campaign = campaign_or_404(campaign_id)
    if table not in CAMPAIGN_TABLES:
        raise Http404("There is no such table.")
    found = visit_tables(campaign, campaign_figures(request, campaign, timezone.now()))
    lines = write_csv(getattr(found, table), CAMPAIGN_TABLES[table], has_accepted=table != "days")
    return csv_file(lines, f"campaign-{campaign.pk}-opens-clicks-{table}")


@require_GET
@needs("campaigns.view_progress")
def compare(request: HttpRequest) -> HttpResponse:
    """Show campaigns side by side: the chosen ones, or the latest."""
    sent = side_by_side.sent_campaigns()
    wanted = {int(given) for given in request.GET.getlist("campaign") if given.isdecimal() and len(given) < 19}
    chosen = list(sent.filter(pk__in=wanted)[: side_by_side.MOST_COMPARED] if wanted else sent[: side_by_side.USUAL])
    offered = list(sent[: side_by_side.MOST_OFFERED])
    known = {campaign.pk for campaign in offered}
    compared = side_by_side.compare_campaigns(chosen)
    context = {
        "compared": compared,
        "has_levels": len({each.counted for each in compared} - {"off"}) > 1,
        "offered": [*offered, *(campaign for campaign in chosen if campaign.pk not in known)],
        "chosen": {campaign.pk for campaign in chosen},
        "is_cut": len(wanted) > side_by_side.MOST_COMPARED,
        "most": side_by_side.MOST_COMPARED,
    }
    return page(request, "campaigns/side_by_side.html", _("Compare campaigns"), context)
