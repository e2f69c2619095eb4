"""Chart data for Chart.js, made from figures. Colours are names that the page's style sheet resolves."""

import datetime as dt
from typing import Any

from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from campaigns.reports.figures import FiguresLine
from campaigns.reports.pace import Pace

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
