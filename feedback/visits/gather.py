"""Gathering: the lines of this machine's spool become rows that wait to be judged, each line once.

The position in a file is stored with the rows made of it, and a file is deleted after that is on the disk. So a process
may be killed anywhere.
"""

import datetime as dt
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from django.db import transaction
from django.db.models import Count

from db.costs import durable
from delivery import clock
from feedback.models import GatheredFile, PendingVisit
from feedback.visits import counts
from feedback.visits.counts import CountKey
from feedback.visits.messages import groups_of, messages_of, places_of
from feedback.visits.spool import Line, alone, finished, read_line, waiting_bytes
from mail.links.levels import OFF
from mail.links.tracking import GROUP, MESSAGE
from mail.visits.bursts import NOTHING_RECENT
from mail.visits.names import Kind, Visitor
from mail.visits.request import RequestFacts
from mail.visits.rules import classify

log = logging.getLogger(__name__)

SLICE_LINES = 1_000
JUDGED_AFTER = dt.timedelta(minutes=5)  # What comes after a click may give it away.
ALIKE_SECONDS = 10  # Equal requests within so many seconds are one row.
# Above this, what waits is only counted: five million lines of 100 bytes.
MOST_WAITING_BYTES = 5_000_000 * 100
MOST_OF_MESSAGE = 100  # Rows of one message that wait. More requests for it are only counted.


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
    kept = [] if only_counts else _within_limits(events)
    PendingVisit.objects.bulk_create([_pending(event, now) for event in kept])
    waiting = set(map(id, kept))
    _count([event for event in events if id(event) not in waiting])


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


def _within_limits(events: Iterable[_Event]) -> list[_Event]:
    """Return the events that become rows. Whoever repeats one link all day must not fill the database."""
    events = list(events)
    numbers = Counter(event.message_id for event in events if event.message_id is not None)
    many = [message_id for message_id, number in numbers.items() if number > MOST_OF_MESSAGE // 10]
    waiting = PendingVisit.objects.filter(message__in=many).order_by().values_list("message_id").annotate(Count("pk"))
    used = Counter(dict(waiting))
    kept = []
    for event in events:
        if event.message_id is not None:
            used[event.message_id] += 1
        if event.message_id is None or used[event.message_id] <= MOST_OF_MESSAGE:
            kept.append(event)
    return kept


def _pending(event: _Event, now: dt.datetime) -> PendingVisit:
    # A machine stays one, whatever comes. Everything else waits for its neighbours, however late it was gathered.
    is_final = classify(event.facts, event.at.timestamp(), None, NOTHING_RECENT).is_final
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


def _count(events: Iterable[_Event]) -> None:
    """Count events at once and without the person. Nobody is called human whose neighbours were not looked at."""
    loads: Counter[CountKey] = Counter()
    for event in events:
        verdict = classify(event.facts, event.at.timestamp(), None, NOTHING_RECENT)
        visitor = Visitor.MACHINE if verdict.is_final else Visitor.UNKNOWN
        for link_id in {0, event.link_id or 0}:
            key = CountKey(
                *(event.mailing_id, counts.quarter_of(event.at), event.facts.kind.value, link_id, visitor.value),
                *(event.facts.family.value, event.server_name, "", False),
            )
            loads[key] += event.loads
    counts.add(loads, {})
