"""Numbers of a large audience: counted by a worker, kept for a while where every process finds them, read by pages.

An audience that takes more than ``LARGE`` rows to look through is never counted within a request: who asks for a number
that nobody has counted yet gets :exc:`NotCounted`, and campaigns.preflight.census has it counted. Smaller ones are
counted anew each time. Whoever starts a campaign counts anew.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from campaigns.models import Headcount
from contacts.models import Contact, Subscription
from contacts.segments.audience import Audience, Count, Reach, count
from delivery import clock

T = TypeVar("T")

LARGE = 20_000  # Rows; so many are counted within a fraction of a second.
KEPT = dt.timedelta(minutes=10)  # Longer than all the numbers of one review take.
_is_patient: ContextVar[bool] = ContextVar("is_patient", default=False)


class NotCounted(Exception):
    """Nobody has counted this large audience lately; a worker is to do it."""


@contextmanager
def patiently() -> Iterator[None]:
    """Count what is not known, however long that takes: for workers."""
    before = _is_patient.set(True)
    try:
        yield
    finally:
        _is_patient.reset(before)


def counted_once(what: str, audience: Audience, find: Callable[[], T], *, also: object = "") -> T:
    """Return what ``find`` returns, or, of a large audience, what it returned a while ago.

    :param what: what is counted, in letters.
    :param find: returns what JSON can keep; it comes back as JSON has it, a tuple as a list.
    :param also: what else the number depends on.
    :raises NotCounted: if that would take long, outside of :func:`patiently`.
    """
    if not is_large(audience):
        return find()
    key = _key(what, audience, also)
    now = clock.now()
    # One from the future is that of a wrong clock.
    known = Headcount.objects.filter(key=key, counted_at__gt=now - KEPT, counted_at__lte=now + KEPT).first()
    if known is not None:
        found: T = known.found
        return found
    if not _is_patient.get():
        raise NotCounted(f"{what} of a large audience")
    found = json.loads(json.dumps(find()))
    Headcount.objects.update_or_create(key=key, defaults={"found": found, "counted_at": clock.now()})
    return found


def is_large(audience: Audience) -> bool:
    """Whether more than ``LARGE`` rows must be looked through to count an audience; itself quick to ask."""
    looked_through = 0
    if lists := {*audience.lists, *audience.excluded_lists}:
        some = Subscription.objects.order_by().filter(list__in=lists)
        looked_through += some.values("pk")[: LARGE + 1].count()
    if audience.segments or audience.excluded_segments:
        looked_through += Contact.objects.order_by().values("pk")[: LARGE + 1].count()
    return looked_through > LARGE


def headcount(audience: Audience, now: dt.datetime) -> Count:
    """Return how many people of the audience there are of each kind, now or a while ago.

    :raises NotCounted: as does :func:`counted_once`.
    """

    def find() -> tuple[dict[str, int], int, int]:
        found = count(audience, now)
        return {verdict.value: number for verdict, number in found.numbers.items()}, found.repeated, found.odd

    numbers, repeated, odd = counted_once("people", audience, find)
    return Count({Reach(verdict): number for verdict, number in numbers.items()}, repeated, odd)


def counted_at(audience: Audience) -> dt.datetime | None:
    """Return when the people of a large audience were counted who are shown now; None for one that is always fresh."""
    if not is_large(audience):
        return None
    people = Headcount.objects.filter(key=_key("people", audience, ""))
    return people.values_list("counted_at", flat=True).first()


def _key(what: str, audience: Audience, also: object) -> str:
    asked = json.dumps([what, audience.as_json(), repr(also)], sort_keys=True, default=str)
    return hashlib.sha256(asked.encode()).hexdigest()
