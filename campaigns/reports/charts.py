"""Chart data for Chart.js, made from figures. Colours are names that the page's style sheet resolves."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.reports.figures import FiguresLine
from campaigns.reports.pace import Pace
from campaigns.reports.visits import VisitHour, VisitLine

DRAWN = (
    ("accepted", gettext_lazy("Accepted"), "accepted"),
    ("deferred", gettext_lazy("Deferred"), "warning"),
    ("bounced", gettext_lazy("Bounced"), "bad"),
    ("failed", gettext_lazy("Failed"), "worse"),
)


def pace_chart(pace: Pace) -> dict[str, Any]:
    """Return a chart of accepted messages per minute, stacked by server, with deferred ones as a line."""
    zone = timezone.get_current_timezone()
    span = pace.points[-1].at - pace.points[0].at if pace.points else dt.timedelta(0)
    shape = "H:i" if span < dt.timedelta(hours=20) else "j M H:i"
    bars = [
        {
            "label": name,
            "data": [round(point.accepted[index], 2) for point in pace.points],
            "colour": f"server-{index}",
        }
        for index, name in enumerate(pace.servers)
    ]
    line = {
        "label": _("Deferred"),
        "data": [round(point.deferred, 2) for point in pace.points],
        "colour": "warning",
        "type": "line",
    }
    return {
        "labels": [formats.date_format(point.at.astimezone(zone), shape) for point in pace.points],
        "datasets": [*bars, line] if any(point.deferred for point in pace.points) else bars,
    }


def line_chart(lines: list[FiguresLine]) -> dict[str, Any]:
    """Return a chart of stacked bars, one per line, with the outcomes that occur."""
    return {
        "labels": [line.label for line in lines],
        "datasets": [
            {"label": str(label), "data": [getattr(line, name) for line in lines], "colour": colour}
            for name, label, colour in DRAWN
            if name == "accepted" or any(getattr(line, name) for line in lines)
        ],
    }


VISITORS = (
    ("human", gettext_lazy("Clicks by people"), "human"),
    ("machine", gettext_lazy("Clicks by machines"), "machine"),
    ("unknown", gettext_lazy("Unknown clicks"), "unknown"),
)


def hours_chart(hours: list[VisitHour]) -> dict[str, Any]:
    """Return a chart of clicks per hour, stacked by who clicked, with opens by people as a line."""
    zone = timezone.get_current_timezone()
    labels = [formats.date_format(hour.at.astimezone(zone), "j M H:i") for hour in hours]
    return _visits_chart(labels, hours)


def visits_chart(lines: list[VisitLine]) -> dict[str, Any]:
    """Return the same chart with a bar for each line."""
    return _visits_chart([line.label for line in lines], lines)


def _visits_chart(labels: list[str], rows: Sequence[VisitHour | VisitLine]) -> dict[str, Any]:
    bars = [
        {"label": str(label), "data": [getattr(row.clicks, name) for row in rows], "colour": colour}
        for name, label, colour in VISITORS
        if name == "human" or any(getattr(row.clicks, name) for row in rows)
    ]
    opens = {
        "label": _("Opens by people (estimate)"),
        "data": [row.opens.human for row in rows],
        "colour": "opens",
        "type": "line",
        "has_points": len(rows) == 1,  # One point is no line.
    }
    return {"labels": labels, "datasets": [*bars, opens] if any(row.opens.human for row in rows) else bars}
