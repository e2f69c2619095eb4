"""The period and the server that a page of reports was asked for, its figures, and files of figures."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from campaigns.reports.cache import remembered
from campaigns.reports.figures import Figures, FiguresQuery, figures
from installation.site import site
from smtpservers.models import SmtpServer

USUAL_DAYS = 30


@dataclass(frozen=True, slots=True)
class AskedPeriod:
    """Some days, the last one included, and a server's name, or nothing for all servers."""

    start: dt.date
    end: dt.date
    server: str
    problem: str = ""  # A sentence about dates that are none.


def asked_period(request: HttpRequest, now: dt.datetime) -> AskedPeriod:
    """Return what the query string asks for; without dates the last 30 days."""
    today = timezone.localtime(now, site().time_zone).date()
    usual = today - dt.timedelta(days=USUAL_DAYS - 1)
    server = request.GET.get("server", "")[:100]
    try:
        start = _day(request.GET.get("from", ""), usual)
        end = _day(request.GET.get("to", ""), today)
    except ValueError:
        return AskedPeriod(usual, today, server, _("Enter dates like 2026-11-23. Showing the last 30 days."))
    if start > end:
        return AskedPeriod(end, start, server)  # Swapped.
    return AskedPeriod(start, end, server)


def _day(text: str, usual: dt.date) -> dt.date:
    return dt.date.fromisoformat(text.strip()) if text.strip() else usual


def figures_of(request: HttpRequest, asked: AskedPeriod, now: dt.datetime) -> Figures:
    """Return the figures of attempts. Small domains are named to users who may see recipients."""
    sees_all = request.user.has_perm("delivery.view_message")
    wanted = FiguresQuery(asked.start, asked.end, server_name=asked.server, names_all_domains=sees_all)
    key = f"period-{asked.start}-{asked.end}-{sees_all}-{asked.server}"
    return remembered(key, lambda: figures(wanted, now))


def period_context(request: HttpRequest, asked: AskedPeriod, found: Figures) -> dict[str, Any]:
    """Return the template context of the form above the figures."""
    named = set(SmtpServer.objects.values_list("name", flat=True))
    deleted = {line.key for line in found.servers} | ({asked.server} if asked.server else set())
    return {
        "asked": asked,
        "zone": site().time_zone,
        "servers": sorted(named | deleted, key=str.lower),
        "query": request.GET.urlencode(),
    }


def csv_file(lines: Iterable[str], name: str) -> StreamingHttpResponse:
    """Return a response that a browser saves as a CSV file."""
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"', "Cache-Control": "no-store"},
    )
