"""Figures of a campaign, a server or a period. They come from the tallies, never from the messages themselves.

Figures count attempts: a message that was deferred twice and then accepted counts as two deferrals and one acceptance.
Copies, tests and transactional messages belong to no campaign, but count in the figures of servers and periods.
"""

import csv
import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from django.db.models import QuerySet, Sum

from campaigns.models import Tally
from campaigns.reports.providers import OTHERS, name_of, providers_of
from contacts.transfer.csv_file import neutralise
from contacts.transfer.export_contacts import Echo
from delivery.models import Mailing, Message
from mail.replies.words import MEANINGS, Meaning, meaning_of
from registry import Registry

OUTCOMES = ("accepted", "deferred", "bounced", "failed", "unconfirmed", "suppressed")
LATE_COLUMNS = ("late_bounces", "complaints", "unsubscribed")
COLUMNS = (*OUTCOMES, *LATE_COLUMNS)
FEW = 20  # Attempts. A domain with fewer may be one person's, and only users who may see recipients see its name.


class LateCount(NamedTuple):
    """Feedback that came later, on one day, about mail of one campaign through one server."""

    column: str  # One of ``LATE_COLUMNS``.
    day: dt.date
    mailing_id: int
    server_name: str
    domain: str  # Domain of the recipients, in lower case.
    number: int


# Sources of feedback. Each one takes the first and the last day, both included, or None for all time. The room
# ``feedback`` stands above this one and adds its source when it starts.
LATE_COUNTS: Registry[Callable[[dt.date | None, dt.date | None], Iterable[LateCount]]] = Registry()


@dataclass(frozen=True, slots=True)
class FiguresQuery:
    """The selection for figures. A field that is not set selects everything."""

    start: dt.date | None = None
    end: dt.date | None = None  # Included.
    mailing_ids: Collection[int] | None = None
    server_name: str = ""
    names_all_domains: bool = True  # False folds domains with few attempts, for users who may not see recipients.

    def tallies(self) -> QuerySet[Tally]:
        rows = Tally.objects.order_by()
        if self.mailing_ids is not None:
            rows = rows.filter(mailing_id__in=list(self.mailing_ids))
        if self.server_name:
            rows = rows.filter(server_name=self.server_name)
        if self.start is not None:
            rows = rows.filter(day__gte=self.start)
        if self.end is not None:
            rows = rows.filter(day__lte=self.end)
        return rows

    def late(self) -> list[LateCount]:
        return [
            late
            for source in LATE_COUNTS.values()
            for late in source(self.start, self.end)
            if (self.mailing_ids is None or late.mailing_id in self.mailing_ids)
            and (not self.server_name or late.server_name == self.server_name)
        ]


@dataclass(frozen=True, slots=True)
class FiguresLine:
    """One row of a table."""

    key: str
    label: str
    accepted: int = 0
    deferred: int = 0
    bounced: int = 0
    failed: int = 0
    unconfirmed: int = 0
    suppressed: int = 0
    late_bounces: int = 0  # Of mail that counts as accepted.
    complaints: int = 0
    unsubscribed: int = 0

    @property
    def tried(self) -> int:
        """The number of attempts."""
        return self.accepted + self.deferred + self.bounced + self.failed + self.unconfirmed

    @property
    def refused(self) -> int:
        """The number of attempts that certainly ended without acceptance."""
        return self.bounced + self.failed

    @property
    def cells(self) -> list[int]:
        return [getattr(self, column) for column in COLUMNS]

    def plus(self, counts: Counter[str]) -> "FiguresLine":
        return replace(self, **{column: getattr(self, column) + counts[column] for column in COLUMNS})


@dataclass(frozen=True, slots=True)
class AnswerCount:
    """The number of attempts whose answer had the same meaning."""

    outcome: str
    meaning: Meaning
    number: int

    @property
    def outcome_label(self) -> str:
        return str(Message.Status(self.outcome).label)


@dataclass(frozen=True, slots=True)
class Figures:
    """All tables of a page of figures."""

    total: FiguresLine
    days: list[FiguresLine] = field(default_factory=list)
    servers: list[FiguresLine] = field(default_factory=list)
    providers: list[FiguresLine] = field(default_factory=list)
    lists: list[FiguresLine] = field(default_factory=list)
    answers: list[AnswerCount] = field(default_factory=list)


Counts = dict[str, Counter[str]]


def figures(asked: FiguresQuery, now: dt.datetime) -> Figures:
    """Return the selected figures. Tables are sorted from most to least, and days by date."""
    late = asked.late()
    days = _counts(asked, "day")
    by_mailing = _counts(asked, "mailing_id")
    servers = _counts(asked, "server_name")
    providers = _counts(asked, "provider")
    at = providers_of({one.domain for one in late}, now, ask=lambda domains: {}) if late else {}
    for one in late:
        provider = at[one.domain]
        for counts in (
            days[one.day.isoformat()],
            by_mailing[str(one.mailing_id)],
            servers[one.server_name],
            providers[provider if provider in providers else Tally.OTHER],
        ):
            counts[one.column] += one.number
    if not asked.names_all_domains:
        _fold_few(providers)
    total = FiguresLine("", "All").plus(sum(by_mailing.values(), Counter()))
    return Figures(
        total,
        days=[FiguresLine(day, day).plus(days[day]) for day in sorted(days)],
        servers=_lines(servers, lambda name: name),
        providers=_lines(providers, name_of),
        lists=_lists(by_mailing),
        answers=answers(asked),
    )


def _counts(asked: FiguresQuery, column: str) -> Counts:
    """Return the number of attempts per outcome, by the values of a column as text."""
    found: Counts = defaultdict(Counter)
    for key, outcome, number in asked.tallies().values_list(column, "outcome").annotate(sum=Sum("number")):
        found[str(key)][outcome] += number
    return found


def _fold_few(providers: Counts) -> None:
    def tried(counts: Counter[str]) -> int:
        return sum(counts[outcome] for outcome in OUTCOMES)

    few = [name for name, counts in providers.items() if name_of(name) == name and tried(counts) < FEW]
    for name in few:
        providers[Tally.OTHER].update(providers.pop(name))


def _lines(counts: Counts, label: Callable[[str], str]) -> list[FiguresLine]:
    lines = [FiguresLine(key, label(key)).plus(found) for key, found in counts.items()]
    return sorted(lines, key=lambda line: (line.label == OTHERS, -line.accepted, -line.tried, line.label))


def _lists(by_mailing: Counts) -> list[FiguresLine]:
    """Return the figures by list. A campaign to several lists counts for each of them."""
    campaigns = [int(mailing_id) for mailing_id in by_mailing if mailing_id != "0"]
    names: dict[str, str] = {}
    counts: Counts = defaultdict(Counter)
    of_mailings = Mailing.objects.filter(pk__in=campaigns, lists__isnull=False)
    for mailing_id, list_id, name in of_mailings.values_list("pk", "lists", "lists__name"):
        names[str(list_id)] = name
        counts[str(list_id)].update(by_mailing[str(mailing_id)])
    return _lines(counts, names.__getitem__)


def answers(asked: FiguresQuery) -> list[AnswerCount]:
    """Return the meanings of unaccepted attempts, and the reasons for missing attempts, the most frequent first."""
    found: Counter[tuple[str, str]] = Counter()
    rows = asked.tallies().exclude(outcome="accepted").values_list("outcome", "rule").annotate(sum=Sum("number"))
    for outcome, rule, number in rows:
        found[outcome, meaning_of(rule).key] += number
    return [AnswerCount(outcome, MEANINGS[key], number) for (outcome, key), number in found.most_common()]


def write_csv(lines: Iterable[FiguresLine], heading: str) -> Iterator[str]:
    """Yield the lines of a CSV file of figures, safe to open in a spreadsheet.

    :param heading: the heading of the first column.
    """
    writer = csv.writer(Echo(), quoting=csv.QUOTE_ALL)
    yield "\ufeff"  # Without this mark Excel reads UTF-8 as Windows-1252.
    yield writer.writerow([heading, *COLUMNS])
    for line in lines:
        yield writer.writerow([neutralise(line.label), *line.cells])
