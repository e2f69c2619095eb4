"""The queue of raw reports: workers claim what waits, have it read, and apply it batch by batch.

A claim is a lease: what a dead worker had claimed waits for a minute, and another worker takes it. A raw report that
ended its worker several times is given up, so that it holds up nothing else.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterator, Sequence

from django.db import Error, transaction
from django.db.models import F, Q

from delivery import clock
from encryption.keys import SecretUnreadable
from feedback.intake.store import content_of
from feedback.models import RawReport
from feedback.reports import batch
from feedback.reports.batch import Read
from feedback.reports.reader import Reader, Unreadable

log = logging.getLogger(__name__)

FOR_A_WHILE = 1.5  # Seconds, so that other errands get their turn.
CLAIMED_AT_ONCE = 50
MOST_BYTES = 16 << 20  # Of one claim, unless a single one is larger.
MOST_STATEMENTS = 500  # Events and mails in one transaction, unless a single request holds more.
CLAIMED_FOR = dt.timedelta(minutes=1)
MOST_TRIES = 3

# What a report may cause that nobody foresaw. It must not hold up those of the same batch.
_FAILURES = (Error, ValueError, ArithmeticError, LookupError, TypeError, AttributeError)

State = RawReport.State


def process_for_a_while(reader: Reader, read_clock: Callable[[], dt.datetime], seconds: float = FOR_A_WHILE) -> bool:
    """Read and apply what waits, until the time is over; return whether anything is left."""
    end = clock.steady() + seconds
    batch.settle_early(read_clock())
    while clock.steady() < end:
        claimed = claim(read_clock())
        if not claimed:
            return False
        for read in _batches(claimed, reader):
            _apply(read, read_clock())
    return True


def claim(now: dt.datetime) -> list[RawReport]:
    """Claim the oldest raw reports that wait, for this worker alone."""
    free = RawReport.objects.filter(Q(claimed_until=None) | Q(claimed_until__lt=now), state=State.WAITING)
    if not free.exists():  # Mostly, and every two seconds.
        return []
    with transaction.atomic():
        found = free.select_for_update(skip_locked=True).order_by("pk").values_list("pk", "size_bytes")
        keys: list[int] = []
        size = 0
        for pk, size_bytes in found[:CLAIMED_AT_ONCE]:
            if keys and size + size_bytes > MOST_BYTES:
                break
            keys.append(pk)
            size += size_bytes
        mine = RawReport.objects.filter(pk__in=keys)
        mine.update(claimed_until=now + CLAIMED_FOR, tries=F("tries") + 1)
    return list(mine.order_by("pk"))


def _batches(claimed: Sequence[RawReport], reader: Reader) -> Iterator[list[Read]]:
    """Yield what was read of the claimed reports, in parts of a size for one transaction."""
    some: list[Read] = []
    statements = 0
    for raw in claimed:
        read = _read(raw, reader)
        number = len(read[2]) if isinstance(read[2], list) else 1
        if some and statements + number > MOST_STATEMENTS:
            yield some
            some, statements = [], 0
        some.append(read)
        statements += number
    if some:
        yield some


def _read(raw: RawReport, reader: Reader) -> Read:
    if raw.tries > MOST_TRIES:
        return raw, b"", Unreadable(f"It was given up: {MOST_TRIES} times it could not be processed.")
    try:
        content = content_of(raw)
    except SecretUnreadable as error:
        return raw, b"", Unreadable(str(error))
    if raw.source == RawReport.Source.WEBHOOK:
        return raw, content, reader.read_webhook(raw.provider, content)
    return raw, content, reader.read_mail(content)


def _apply(read: Sequence[Read], now: dt.datetime) -> None:
    """Apply a batch. If it fails, each raw report is tried alone, and again later if it is the one."""
    try:
        batch.apply(read, now)
    except _FAILURES:
        log.warning("a batch of reports failed, and is tried one by one", exc_info=len(read) == 1)
        if len(read) > 1:
            for each in read:
                _apply([each], now)
