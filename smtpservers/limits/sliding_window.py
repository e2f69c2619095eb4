"""Sliding windows: the number of units in the last hour or day, and when there is room again.

A unit counts in the bucket in which its answer was recorded, until the whole bucket has left the window. The server
accepted it earlier, but after its reservation; since reserved units count all along, no hour and no day measured at the
server exceeds the cap. The price is a wait of at most one bucket. Nothing here stores or reads the clock.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """A window that ends now, and the length of its buckets; both in seconds."""

    name: str  # As in "of this hour".
    seconds: int
    grain: int


# The unnecessary wait is at most one bucket: 1/60 of an hour, 1/96 of a day.
HOUR = SlidingWindow("hour", 3600, 60)
DAY = SlidingWindow("day", 86_400, 900)

Buckets = Mapping[str, int]  # Units by bucket number since 1970; as text, because JSON keys are text.


def total(buckets: Buckets, window: SlidingWindow, now: dt.datetime) -> int:
    """Return the units within the window, including units from a clock that is ahead."""
    first = _first(window, now)
    return sum(units for name, units in buckets.items() if int(name) >= first)


def current(buckets: Buckets, window: SlidingWindow, now: dt.datetime) -> dict[str, int]:
    """Return the buckets within the window.

    A bucket further ahead than the window's length was written before the clock was set back. It is moved to one window
    after ``now``, so that it expires.
    """
    first, last = _first(window, now), _last(window, now)
    kept: dict[str, int] = {}
    for name, units in buckets.items():
        number = min(int(name), last)
        if number >= first:
            kept[str(number)] = kept.get(str(number), 0) + units
    return kept


def is_ahead(buckets: Buckets, window: SlidingWindow, now: dt.datetime) -> bool:
    """Whether a bucket is so far ahead that the clock must have been set back since."""
    return any(int(name) > _last(window, now) for name in buckets)


def add(buckets: Buckets, window: SlidingWindow, now: dt.datetime, units: int) -> dict[str, int]:
    """Return the window's buckets plus ``units`` whose answers are recorded at ``now``.

    If a slower clock records after a faster one, the later bucket counts: nothing leaves the window early.
    """
    kept = current(buckets, window, now)
    number = str(max([int(now.timestamp()) // window.grain, *map(int, kept)]))
    kept[number] = kept.get(number, 0) + units
    return kept


def free_at(buckets: Buckets, window: SlidingWindow, now: dt.datetime, cap: int, reserved: int) -> dt.datetime:
    """Return when the first unit of a full window may be reserved, if no reserved unit is released."""
    kept = current(buckets, window, now)
    surplus = sum(kept.values()) + reserved - cap
    for name in sorted(kept, key=int):
        surplus -= kept[name]
        if surplus < 0:
            return dt.datetime.fromtimestamp(leaves_at(int(name), window), dt.UTC)
    return dt.datetime.fromtimestamp(leaves_at(int(now.timestamp()) // window.grain, window), dt.UTC)


def _first(window: SlidingWindow, now: dt.datetime) -> int:
    """Return the oldest bucket that has not left the window completely."""
    return int((now.timestamp() - window.seconds) // window.grain)


def _last(window: SlidingWindow, now: dt.datetime) -> int:
    """Return the newest bucket that another machine's clock may have written."""
    return int((now.timestamp() + window.seconds) // window.grain)


def leaves_at(number: int, window: SlidingWindow) -> int:
    """Return when a bucket has left the window completely, in seconds since 1970."""
    return (number + 1) * window.grain + window.seconds
