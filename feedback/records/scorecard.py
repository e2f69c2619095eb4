"""What the page of a server's scorecard shows beside the counts: how fast it answers, and what it used."""

import datetime as dt
from dataclasses import dataclass

from delivery.models import Attempt, Incident
from delivery.records import scorecard
from delivery.records.scorecard import Scorecard
from smtpservers.models import QuotaPeriod, SmtpServer

PERIODS = (7, 30, 90)  # Days.
LOOKED_AT = 20_000  # Attempts of all servers, for the times.
FEWEST = 20  # Accepted messages among them, for times that mean something.


@dataclass(frozen=True, slots=True)
class ServerCard:
    """A server's figures over a number of days."""

    score: Scorecard
    seconds: tuple[float, float] | None  # From the claim to the reply: the median, and 95 of 100. None: too few.
    period: QuotaPeriod | None  # The present quota period.
    incidents: list[Incident]


def of(server: SmtpServer, days: int, now: dt.datetime) -> ServerCard:
    """Return the figures of the last ``days`` UTC days, today included."""
    today = now.astimezone(dt.UTC).date()
    score = scorecard.of_server(server.pk, today - dt.timedelta(days=days - 1), today)
    periods = QuotaPeriod.objects.filter(server=server, starts_at__lte=now, ends_at__gt=now)
    incidents = Incident.objects.filter(server=server, seen_at__gt=now - dt.timedelta(days=days))
    return ServerCard(score, _seconds(server), periods.first(), list(incidents[:10]))


def _seconds(server: SmtpServer) -> tuple[float, float] | None:
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    recent = Attempt.objects.filter(pk__gt=newest - LOOKED_AT, batch__server=server, outcome="accepted").order_by()
    times = recent.exclude(finished_at=None).values_list("batch__started_at", "finished_at")
    taken = sorted(max(0.0, (ended - began).total_seconds()) for began, ended in times if ended is not None)
    return (taken[len(taken) // 2], taken[len(taken) * 95 // 100]) if len(taken) >= FEWEST else None
