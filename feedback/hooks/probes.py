"""A probe of a webhook: a real message through the server, and what the provider told of it since."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from delivery.models import Trial
from feedback.models import Report

WAITS_FOR = dt.timedelta(minutes=15)  # A bounce of a simulator comes within seconds.


@dataclass(frozen=True, slots=True)
class CameBack:
    """One event of a probe's message."""

    at: dt.datetime
    kind: str  # In words; empty: delivered.
    text: str


def came_back(trial: Trial) -> list[CameBack]:
    """Return what was told of a probe's message so far, oldest first."""
    if trial.message is None:
        return []
    found = [
        CameBack(report.received_at, str(report.get_kind_display()), report.text)
        for report in Report.objects.filter(message=trial.message).order_by("pk")[:50]
    ]
    if trial.message.delivered_at:
        found.append(CameBack(trial.message.delivered_at, "", ""))
    return sorted(found, key=lambda each: each.at)


def is_waiting(trial: Trial, events: Sequence[CameBack], now: dt.datetime) -> bool:
    """Whether something may still come back: the message was sent, nothing was told of it, and it isn't long ago.

    :param events: what came back so far.
    """
    return not trial.refusal and now - trial.created_at < WAITS_FOR and not events
