"""The scorecard of a server: what became of its messages by mailbox provider, how fast it answers, what it used."""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.db.models import Sum

from campaigns.reports.providers import name_of
from delivery.models import Attempt, Incident, ScoreCount
from delivery.outcomes.scorecard import ACCEPTED
from feedback.models import Feedback
from smtpservers.models import QuotaPeriod, SmtpServer

PERIODS = (7, 30, 90)  # Days.
LOOKED_AT = 20_000  # Attempts of all servers, for the times.
MOST_PROVIDERS = 20


@dataclass(frozen=True, slots=True)
class Line:
    """The messages to one mailbox provider, or to all of them."""

    name: str  # For people; empty: the sum.
    counts: Mapping[str, int]  # By kind, as ``ScoreCount`` has them.

    def per_mille(self, kind: str) -> str:
        """Return a kind's share of the accepted messages in ‰; a dash if none was accepted."""
        accepted = self.counts.get(ACCEPTED, 0)
        return f"{1000 * self.counts.get(kind, 0) / accepted:.2f} ‰" if accepted else "–"

    @property
    def complaints(self) -> str:
        return self.per_mille(Feedback.Kind.COMPLAINT)


@dataclass(frozen=True, slots=True)
class Scorecard:
    """A server's figures over a number of days."""

    total: Line
    lines: list[Line]  # The largest providers first.
    seconds: tuple[float, float] | None  # From the claim to the reply: the median, and 95 of 100. None: too few.
    period: QuotaPeriod | None  # The present quota period.
    incidents: list[Incident]


def of(server: SmtpServer, days: int, now: dt.datetime) -> Scorecard:
    """Return the scorecard of the last ``days`` UTC days, today included."""
    since = now.astimezone(dt.UTC).date() - dt.timedelta(days=days - 1)
    rows = ScoreCount.objects.filter(server_id=server.pk, day__gte=since).order_by()
    by_provider: dict[str, Counter[str]] = defaultdict(Counter)
    total: Counter[str] = Counter()
    for provider, kind, number in rows.values_list("provider", "kind").annotate(Sum("number")):
        by_provider[provider][kind] += number
        total[kind] += number
    largest = sorted(by_provider, key=lambda each: (-sum(by_provider[each].values()), each))
    lines = [Line(name_of(each), by_provider[each]) for each in largest[:MOST_PROVIDERS]]
    periods = QuotaPeriod.objects.filter(server=server, starts_at__lte=now, ends_at__gt=now)
    incidents = Incident.objects.filter(server=server, seen_at__gt=now - dt.timedelta(days=days))
    return Scorecard(Line("", total), lines, _seconds(server), periods.first(), list(incidents[:10]))


def _seconds(server: SmtpServer) -> tuple[float, float] | None:
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    recent = Attempt.objects.filter(pk__gt=newest - LOOKED_AT, server=server, outcome=ACCEPTED).order_by()
    times = recent.exclude(finished_at=None).values_list("started_at", "finished_at")
    taken = sorted(max(0.0, (ended - began).total_seconds()) for began, ended in times if ended is not None)
    return (taken[len(taken) // 2], taken[len(taken) * 95 // 100]) if len(taken) >= 20 else None
