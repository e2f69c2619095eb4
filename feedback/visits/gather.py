"""Gathering: the lines of this machine's spool become rows that wait to be judged, each line once.

The position in a file is stored with the rows made of it, and a file is deleted after that is on the disk. So a process
may be killed anywhere.
"""

import datetime as dt
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from django.db import transaction
from django.db.models import Sum

from db.costs import durable
from db.locks import take_turns
from delivery import clock
from delivery.models import Message
from feedback.models import GatheredFile, PendingVisit
from feedback.visits import counts
from feedback.visits.counts import CountKey, First
from feedback.visits.messages import groups_of, messages_of, places_of
from feedback.visits.spool import Line, alone, finished, read_line, waiting_bytes
from mail.links.levels import OFF
from mail.links.tracking import GROUP, MESSAGE
from mail.visits.names import Kind, Visitor
from mail.visits.request import RequestFacts
from mail.visits.rules import first_look

log = logging.getLogger(__name__)

SLICE_LINES = 1_000
JUDGED_AFTER = dt.timedelta(minutes=5)  # What comes after a click may give it away.
ALIKE_SECONDS = 10  # Equal requests within so many seconds are one row.
# Above this, what waits is only counted: five million lines of 100 bytes.
MOST_WAITING_BYTES = 5_000_000 * 100
# Requests that wait with their rows. Further ones are only counted.
MOST_OF_MESSAGE = 100
MOST_CLICKS_OF_NETWORK = 100  # On one link, where no message is known.
MOST_OPENS_OF_NETWORK = 1_000  # Of one mailing. More than clicks, as an office may have one address.


class _Event(NamedTuple):
    """Requests that are alike, and what they belong to."""

    mailing_id: int
    server_name: str
    message_id: int | None  # None: counted without the person.
    link_id: int | None
    facts: RequestFacts
    network: str
    at: dt.datetime
    loads: int


def gather_for_a_while(folder: Path, read_clock: Callable[[], dt.datetime], seconds: float) -> bool:
    """Gather what waits in the folder until the time is over; return whether anything is left.

    Another process that gathers there already is left alone.
    """
    end = clock.steady() + seconds
    with alone(folder) as is_alone:
        if not is_alone:
            return False
        only_counts = waiting_bytes(folder) > MOST_WAITING_BYTES
        if only_counts:
            log.warning("too many opens and clicks wait, so they are counted without looking for scanners")
            counts.note_gap(read_clock())
        for path in finished(folder):
            if not _gather_file(path, read_clock, end, only_counts=only_counts):
                return True
    return False


def _gather_file(path: Path, read_clock: Callable[[], dt.datetime], end: float, *, only_counts: bool) -> bool:
    """Gather the rest of a file and delete it; False if the time was over before."""
    row, _ = GatheredFile.objects.get_or_create(name=path.name, defaults={"read_at": read_clock()})
    position = row.position
    with path.open("rb") as file:
        file.seek(position)
        while slice_ := list(itertools.islice(file, SLICE_LINES)):
            after = position + sum(map(len, slice_))
            now = read_clock()
            lines = [line for text in slice_ if (line := read_line(text)) is not None]
            with durable(), transaction.atomic():
                at = GatheredFile.objects.filter(pk=row.pk, position=position)
                if not at.update(position=after, read_at=now):
                    return False  # Somebody else gathers it, in a folder whose locks do not hold.
                _store(lines, now, only_counts=only_counts)
            if len(lines) < len(slice_):
                log.warning("%d torn lines of the spool were left out", len(slice_) - len(lines))
            position = after
            if clock.steady() > end:
                return False
    path.unlink()
    row.delete()
    return True


def _store(lines: Sequence[Line], now: dt.datetime, *, only_counts: bool) -> None:
    events = _events(lines, now)
    kept, others = ([], events) if only_counts else _within_limits(events)
    PendingVisit.objects.bulk_create([_pending(event, now) for event in kept])
    _count(others, now, are_named=not only_counts)


def _events(lines: Sequence[Line], now: dt.datetime) -> list[_Event]:
    """Return what the lines stand for. Nothing is counted whose link, message or consent is not there."""
    alike: dict[tuple[object, ...], list[Line]] = {}
    for line in lines:
        alike.setdefault((line.at // ALIKE_SECONDS, *line[1:]), []).append(line)
    messages = messages_of({line.token.number for line in lines if line.token.kind == MESSAGE})
    groups = groups_of({line.token.number for line in lines if line.token.kind == GROUP})
    places = places_of({line.code for line in lines if line.code})
    # This process runs on the machine that wrote the lines: its clock is wrong in the same way.
    drift = clock.own() - now
    events = []
    for same in alike.values():
        line = same[0]
        known = (messages if line.token.kind == MESSAGE else groups).get(line.token.number)
        place = places.get(line.code)
        is_click = line.facts.kind is Kind.CLICK
        # A genuine token with the code of another mailing was put together by hand.
        if known is None or known.level == OFF or is_click != (place is not None):
            continue
        if place is not None and place.mailing_id != known.mailing_id:
            continue
        message = messages.get(line.token.number) if line.token.kind == MESSAGE else None
        is_personal = message is not None and message.is_counted_by_person(line.facts.kind)
        events.append(
            _Event(
                known.mailing_id,
                known.server_name,
                line.token.number if is_personal else None,
                place.link_id if place else None,
                line.facts,
                line.network,
                min(dt.datetime.fromtimestamp(line.at, dt.UTC) - drift, now).replace(microsecond=0),
                len(same),
            )
        )
    return events


class _Source(NamedTuple):
    """What the requests that a limit is about have in common: the message, or else the rest."""

    message_id: int | None
    mailing_id: int = 0
    kind: str = ""
    link_id: int | None = None
    network: str = ""

    @property
    def most(self) -> int:
        """The number of its requests that wait at most."""
        if self.message_id is not None:
            return MOST_OF_MESSAGE
        return MOST_CLICKS_OF_NETWORK if self.kind == Kind.CLICK else MOST_OPENS_OF_NETWORK


def _within_limits(events: Iterable[_Event]) -> tuple[list[_Event], list[_Event]]:
    """Return the events that become rows, and those beyond a limit. An event may be divided between the two.

    Whoever repeats one link all day must neither fill the database nor be called many people.
    """
    sources = [(_source(event), event) for event in events]
    used = _waiting({source for source, _ in sources if source is not None})
    kept, others = [], []
    for source, event in sources:
        loads = event.loads if source is None else max(0, min(event.loads, source.most - used[source]))
        if source is not None:
            used[source] += loads
        if loads:
            kept.append(event._replace(loads=loads))
        if loads < event.loads:
            others.append(event._replace(loads=event.loads - loads))
    return kept, others


def _source(event: _Event) -> _Source | None:
    """Return what an event is limited by; None: nothing, as its network is unknown or it isn't called a person's."""
    if event.message_id is not None:
        return _Source(event.message_id)
    visitor = first_look(event.facts, event.at.timestamp()).visitor
    if not event.network or visitor is not Visitor.HUMAN:
        return None
    return _Source(None, event.mailing_id, event.facts.kind.value, event.link_id, event.network)


def _waiting(sources: Collection[_Source]) -> Counter[_Source]:
    """Return how many requests of these sources wait in rows. Those of a person may lose their name meanwhile."""
    rows = PendingVisit.objects.order_by()
    of_messages = rows.filter(message__in={source.message_id for source in sources} - {None})
    used = Counter({_Source(pk): loads for pk, loads in of_messages.values_list("message_id").annotate(Sum("loads"))})
    of_networks = rows.filter(network__in={source.network for source in sources} - {""})
    for *of, loads in of_networks.values_list("mailing_id", "kind", "link_id", "network").annotate(Sum("loads")):
        used[_Source(None, *of)] = loads
    return used


def _pending(event: _Event, now: dt.datetime) -> PendingVisit:
    # A machine stays one, whatever comes. Everything else waits for its neighbours, however late it was gathered.
    is_final = first_look(event.facts, event.at.timestamp()).is_final
    return PendingVisit(
        mailing_id=event.mailing_id,
        server_name=event.server_name,
        message_id=event.message_id,
        link_id=event.link_id,
        kind=event.facts.kind.value,
        facts=list(event.facts),
        network=event.network,
        loads=event.loads,
        at=event.at,
        due_at=now if is_final else max(event.at + JUDGED_AFTER, now + dt.timedelta(minutes=1)),
    )


def _count(events: Iterable[_Event], now: dt.datetime, *, are_named: bool) -> None:
    """Count events at once. Nobody is called human whose neighbours were not looked at.

    :param are_named: whether it is noted whose they may have been, so that segments call none of these people silent.
    """
    loads: Counter[CountKey] = Counter()
    firsts: dict[First, CountKey] = {}
    for event in events:
        verdict = first_look(event.facts, event.at.timestamp())
        visitor = Visitor.MACHINE if verdict.is_final else Visitor.UNKNOWN
        is_personal = are_named and event.message_id is not None
        for link_id in sorted({0, event.link_id or 0}):
            key = CountKey(
                *(event.mailing_id, counts.quarter_of(event.at), event.facts.kind.value, link_id, visitor.value),
                *(event.facts.family.value, event.server_name, "", is_personal),
            )
            loads[key] += event.loads
            if is_personal:
                firsts.setdefault(First(event.message_id or 0, event.facts.kind.value, link_id, visitor.value), key)
    counts.add(loads, Counter(firsts[first] for first in _note_first(firsts, now)))


def _note_first(firsts: Collection[First], now: dt.datetime) -> set[First]:
    """Note first visits, but for people who are erased; return those that were not known before."""
    if not firsts:
        return set()
    take_turns("visits")  # An erasure takes one, too: it ended before, or finds what is noted here.
    there = Message.objects.filter(pk__in={first.message_id for first in firsts}, contact__isnull=False)
    ids = set(there.values_list("pk", flat=True))
    return counts.note_first([first for first in firsts if first.message_id in ids], now)
