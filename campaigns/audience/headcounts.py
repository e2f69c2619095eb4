"""A cache of the numbers of large audiences, in the database: a worker counts them, pages read them.

An audience with more than ``LARGE`` rows is never counted within a request. A number that is not in the cache raises
:exc:`NotCounted`, and :mod:`campaigns.preflight.census` asks a worker for it. Smaller audiences are counted each time,
and so is every audience when its campaign starts.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any, TypeVar

from campaigns.models import Headcount
from contacts.models import Contact, Subscription
from contacts.segments.audience import Audience, Count, Reach, count
from delivery import clock

T = TypeVar("T")

LARGE = 20_000  # Rows. Counting them takes a fraction of a second.
KEPT = dt.timedelta(minutes=10)  # Longer than a worker needs for all numbers of one review.
_is_patient: ContextVar[bool] = ContextVar("is_patient", default=False)


class NotCounted(Exception):
    """The number of this large audience is not in the cache; a worker has to count it."""


@contextmanager
def patiently() -> Iterator[None]:
    """Within this context missing numbers are counted, even if that takes long. For workers only."""
    before = _is_patient.set(True)
    try:
        yield
    finally:
        _is_patient.reset(before)


class Headcounts:
    """The numbers of one audience, for several questions of one request: each is found once, and so is its size."""

    def __init__(self, audience: Audience) -> None:
        self.audience = audience
        self._found: dict[tuple[str, str, dt.datetime], Any] = {}

    @cached_property
    def is_large(self) -> bool:
        """Whether counting the audience reads more than ``LARGE`` rows. The answer itself is quick."""
        rows = 0
        if lists := {*self.audience.lists, *self.audience.excluded_lists}:
            some = Subscription.objects.order_by().filter(list__in=lists)
            rows += some.values("pk")[: LARGE + 1].count()
        if self.audience.segments or self.audience.excluded_segments:
            rows += Contact.objects.order_by().values("pk")[: LARGE + 1].count()
        return rows > LARGE

    def once(self, what: str, at: dt.datetime, find: Callable[[], T], *, also: object = "") -> T:
        """Return the result of ``find``; for a large audience, a recent one from the cache.

        :param what: the kind of number, part of the cache key.
        :param at: the instant that the number is for. The cache knows no instants, because it keeps no number for long.
        :param find: returns a value for JSON. It may come back as JSON stores it, for example a tuple as a list.
        :param also: anything else that the number depends on.
        :raises NotCounted: if the number of a large audience is missing, outside of :func:`patiently`.
        """
        asked = (what, repr(also), at)
        if asked not in self._found:
            self._found[asked] = self._cached(what, find, also) if self.is_large else find()
        found: T = self._found[asked]
        return found

    def people(self, at: dt.datetime) -> Count:
        """Return the number of people of each kind in the audience.

        :raises NotCounted: as :meth:`once` does.
        """

        def find() -> tuple[dict[str, int], int, int, int]:
            found = count(self.audience, at)
            numbers = {verdict.value: number for verdict, number in found.numbers.items()}
            return numbers, found.repeated, found.odd, found.reserved

        numbers, *others = self.once("people", at, find)
        return Count({Reach(verdict): number for verdict, number in numbers.items()}, *others)

    def counted_at(self) -> dt.datetime | None:
        """Return the time at which a large audience was counted; None for a small one: its numbers are always fresh."""
        if not self.is_large:
            return None
        people = Headcount.objects.filter(key=_key("people", self.audience, ""))
        return people.values_list("counted_at", flat=True).first()

    def _cached(self, what: str, find: Callable[[], Any], also: object) -> Any:
        key = _key(what, self.audience, also)
        now = clock.now()
        # A row from the far future comes from a wrong clock.
        known = Headcount.objects.filter(key=key, counted_at__gt=now - KEPT, counted_at__lte=now + KEPT).first()
        if known is not None:
            return known.found
        if not _is_patient.get():
            raise NotCounted(f"{what} of a large audience")
        found = json.loads(json.dumps(find()))
        Headcount.objects.update_or_create(key=key, defaults={"found": found, "counted_at": clock.now()})
        return found


def headcount(audience: Audience, now: dt.datetime) -> Count:
    """Return the number of people of each kind in the audience, from the cache if the audience is large.

    :raises NotCounted: as :meth:`Headcounts.once` does.
    """
    return Headcounts(audience).people(now)


def _key(what: str, audience: Audience, also: object) -> str:
    asked = json.dumps([what, audience.as_json(), repr(also)], sort_keys=True, default=str)
    return hashlib.sha256(asked.encode()).hexdigest()
