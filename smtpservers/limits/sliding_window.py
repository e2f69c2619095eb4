"""The windows that slide: how many units lie in the last hour or day, and when there is room again.

A unit is counted in the grain of time its answer was recorded in, and until the whole grain has left the window. The
server took it before that, and after it was reserved; so if units that are reserved and not answered count all along,
no hour and no day that anybody measures at the server holds more than the cap. What it costs is at most one grain of
waiting. Nothing here stores, or looks at the clock.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SlidingWindow:
    """A stretch of time up to now, and the grain that units are counted in; both in seconds."""

    name: str  # As in "of this hour".
    seconds: int
    grain: int


# Freed by the minute: a sixtieth of an hour, a ninety-sixth of a day is what one waits for nothing.
HOUR = SlidingWindow("hour", 3600, 60)
DAY = SlidingWindow("day", 86_400, 900)

Buckets = Mapping[str, int]  # Units by the number of their grain since 1970; text, as JSON wants it.


def total(buckets: Buckets, window: SlidingWindow, now: dt.datetime) -> int:
    """Return the units that are still within the window, those a clock ahead has written included."""
    first = _first(window, now)
    return sum(units for name, units in buckets.items() if int(name) >= first)


def current(buckets: Buckets, window: SlidingWindow, now: dt.datetime) -> dict[str, int]:
    """Return the buckets that are still within the window.

    One from further ahead than the window is long was written before the clock was set back. It counts as if it were
    of now and a window later, so that it ends.
    """
    first, last = _first(window, now), _last(window, now)
    kept: dict[str, int] = {}
    for name, units in buckets.items():
        number = min(int(name), last)
        if number >= first:
            kept[str(number)] = kept.get(str(number), 0) + units
    return kept


def is_ahead(buckets: Buckets, window: SlidingWindow, now: dt.datetime) -> bool:
    """Whether a bucket is from so far ahead that the clock must have been set back since."""
    return any(int(name) > _last(window, now) for name in buckets)


def add(buckets: Buckets, window: SlidingWindow, now: dt.datetime, units: int) -> dict[str, int]:
    """Return the window's buckets with ``units`` whose answers are recorded at ``now``.

    Where a clock behind records after one ahead, the later of the two counts: nothing leaves the window early.
    """
    kept = current(buckets, window, now)
    number = str(max([int(now.timestamp()) // window.grain, *map(int, kept)]))
    kept[number] = kept.get(number, 0) + units
    return kept


def free_at(buckets: Buckets, window: SlidingWindow, now: dt.datetime, cap: int, reserved: int) -> dt.datetime:
    """Return when the first unit of a full window may be reserved, if nothing that is reserved now comes back."""
    kept = current(buckets, window, now)
    surplus = sum(kept.values()) + reserved - cap
    for name in sorted(kept, key=int):
        surplus -= kept[name]
        if surplus < 0:
            return dt.datetime.fromtimestamp(leaves_at(int(name), window), dt.UTC)
    return dt.datetime.fromtimestamp(leaves_at(int(now.timestamp()) // window.grain, window), dt.UTC)


def _first(window: SlidingWindow, now: dt.datetime) -> int:
    """Return the oldest bucket that has not left the window altogether."""
    return int((now.timestamp() - window.seconds) // window.grain)


def _last(window: SlidingWindow, now: dt.datetime) -> int:
    """Return the newest bucket that another machine's clock may have written."""
    return int((now.timestamp() + window.seconds) // window.grain)


def leaves_at(number: int, window: SlidingWindow) -> int:
    """Return when a bucket has left the window altogether, in seconds since 1970."""
    return (number + 1) * window.grain + window.seconds
