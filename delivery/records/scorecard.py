"""Scorecards for pages: what became of the mail of a server in a period, in sum, by day, provider and From domain."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from django.db.models import Q, Sum

from delivery.models import ScoreCount
from domains.senders import GmailCount


@dataclass(slots=True)
class ScoreLine:
    """The counts of one line."""

    label: str  # A day, a provider (empty: others), a From domain; empty for the sum.
    numbers: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # By the kind of ``ScoreCount``.

    def of(self, kind: str) -> int:
        """Return the number of one kind."""
        return self.numbers.get(kind, 0)

    def share(self, kind: str) -> float | None:
        """Return the number of one kind for each accepted message; None if none was accepted."""
        accepted = self.of("accepted")
        return self.of(kind) / accepted if accepted else None


@dataclass(frozen=True, slots=True)
class Scorecard:
    """All tables of one scorecard; providers and domains from most accepted messages to least."""

    total: ScoreLine
    days: list[ScoreLine]
    providers: list[ScoreLine]
    from_domains: list[ScoreLine]


def of_server(server_id: int, start: dt.date, end: dt.date) -> Scorecard:
    """Return the scorecard of a server.

    :param start: the first UTC day.
    :param end: the last one, included.
    """
    return _scorecard(server_id, start, end)


def of_all(start: dt.date, end: dt.date) -> Scorecard:
    """Return the scorecard of all servers together."""
    return _scorecard(None, start, end)


def of_domains(from_domains: Collection[str], start: dt.date) -> list[tuple[dt.date, str, str, int]]:
    """Return what became of the mail of these From domains since a UTC day: day, provider, kind and number.

    :param from_domains: A-labels; the names below them count, too, as they do for Gmail.
    """
    is_ours = Q(from_domain__in=from_domains)
    for domain in from_domains:
        is_ours |= Q(from_domain__endswith=f".{domain}")
    counts = ScoreCount.objects.filter(is_ours, day__gte=start).order_by()
    return list(counts.values_list("day", "provider", "kind").annotate(sum=Sum("number")))


def gmail_of(domain: str, start: dt.date) -> Iterator[GmailCount]:
    """Yield what became of mail to Gmail from a From domain and the names below it, by day, since a UTC day."""
    by_day: dict[dt.date, dict[str, int]] = defaultdict(dict)
    for day, provider, kind, number in of_domains([domain], start):
        if provider == "Gmail":  # As in ``mail.mailbox_providers``.
            by_day[day][kind] = number
    for day, numbers in sorted(by_day.items()):
        yield GmailCount(day, numbers.get("accepted", 0), numbers.get("complaint", 0))


def _scorecard(server_id: int | None, start: dt.date, end: dt.date) -> Scorecard:
    counts = ScoreCount.objects.filter(day__gte=start, day__lte=end)
    if server_id is not None:
        counts = counts.filter(server_id=server_id)
    total = ScoreLine("")
    tables: tuple[dict[str, ScoreLine], ...] = ({}, {}, {})
    groups = counts.order_by().values_list("day", "provider", "from_domain", "kind").annotate(sum=Sum("number"))
    for day, provider, from_domain, kind, number in groups:
        total.numbers[kind] += number
        for table, label in zip(tables, (day.isoformat(), provider, from_domain), strict=True):
            table.setdefault(label, ScoreLine(label)).numbers[kind] += number
    days, providers, from_domains = tables
    return Scorecard(total, [days[day] for day in sorted(days)], _sorted(providers), _sorted(from_domains))


def _sorted(lines: dict[str, ScoreLine]) -> list[ScoreLine]:
    by_size: Iterable[ScoreLine] = lines.values()
    return sorted(by_size, key=lambda line: (-line.of("accepted"), line.label))
