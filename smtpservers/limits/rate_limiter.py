"""The rate limiter of a lane: a bucket that grants messages at a rate, and the server's present rate and connections.

Nothing here stores, sends or reads the clock: a bucket counts seconds of any monotonic clock (an event loop's), the
limits use instants. A lane uses both like this::

    allowance = rate_limiter.effective(server, now)      # When the lane is leased, and whenever the row is read again.
    bucket = Bucket(allowance.per_second, loop.time())
    ...
    bucket.set_rate(allowance.per_second, loop.time())   # The same rate again changes nothing.
    ...
    while not bucket.take(loop.time()):                  # Before the MAIL of each message, also one that looks ahead.
        await asyncio.sleep(bucket.wait(loop.time()))

The rate is the sum over all connections of the server, so one bucket serves the whole lane. ``connections`` is the
number the lane may have open now; if it falls, the lane closes the surplus after their current message.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

# How late a sender may be and still catch up: the burst of a bucket, in seconds of its rate.
BURST_SECONDS = 0.025
UNIT_SECONDS = {"second": 1.0, "minute": 60.0}

RECOVERY_STEP = 0.1  # Part of the full limits that is regained for each …
RECOVERY_EVERY = dt.timedelta(minutes=10)  # … without a new complaint.


class Bucket:
    """Grants messages at a rate, evenly spread.

    In any half-open interval of ``w`` seconds it grants at most ``ceil(per_second * (w + BURST_SECONDS))`` messages,
    whatever the calls. A new bucket starts empty, as if the previous lane had just used everything: so the same bound
    holds across both.
    """

    __slots__ = ("_due", "_interval")

    def __init__(self, per_second: float | None, now: float, *, idle: float = 0.0) -> None:
        """Make an empty bucket.

        :param per_second: None grants everything.
        :param idle: seconds before ``now`` in which nobody sent through the server. They count as waited already, which
            a rate of one message a minute needs if lanes are leased for less.
        :raises ValueError: for a rate that grants nothing.
        """
        self._interval = _interval_of(per_second)
        # The due time of the next grant; it may come earlier by the burst.
        self._due = now + self._interval + BURST_SECONDS - idle

    def take(self, now: float) -> bool:
        """Grant and count one message, if possible."""
        if self._due - now > BURST_SECONDS and self._interval:
            return False
        self._due = max(self._due, now) + self._interval
        return True

    def wait(self, now: float) -> float:
        """Return the seconds until the next grant; 0 if :meth:`take` succeeds now."""
        early = self._due - now - BURST_SECONDS
        if early <= 0 or not self._interval:
            return 0.0
        return early + 1e-6  # Float rounding must not make a caller wait twice.

    def set_rate(self, per_second: float | None, now: float) -> None:
        """Grant at another rate from now on. The debt is kept, in messages; after no rate at all it starts empty.

        :raises ValueError: for a rate that grants nothing.
        """
        before, self._interval = self._interval, _interval_of(per_second)
        if before == self._interval:
            return
        if not before:
            self._due = now + self._interval + BURST_SECONDS
        else:
            self._due = now + max(0.0, self._due - now) * (self._interval / before)


def _interval_of(per_second: float | None) -> float:
    if per_second is None:
        return 0.0
    if per_second <= 0:
        raise ValueError(f"a rate of {per_second} messages a second grants nothing")
    return 1.0 / per_second


class ServerLimits(Protocol):
    """The limits of a server, and how it was throttled."""

    max_connections: int
    rate_limit: int | None
    rate_unit: str
    slow_factor: float
    slowed_at: dt.datetime | None
    learned_rate: float | None


@dataclass(frozen=True, slots=True)
class Allowance:
    """The present limits of a server's lane."""

    connections: int  # At least one.
    per_second: float | None  # For one :class:`Bucket` of the whole lane; None: no limit.


def effective(server: ServerLimits, now: dt.datetime) -> Allowance:
    """Return the limits of the server's lane at ``now``.

    A bucket of this rate keeps the server's own limit exactly: in any second or minute, the unit of the limit, it
    grants no more than the limit, burst included.
    """
    factor = factor_at(server.slow_factor, server.slowed_at, now)
    per_second = None
    if server.rate_limit:
        per_second = server.rate_limit * factor / (UNIT_SECONDS[server.rate_unit] + BURST_SECONDS)
    elif server.learned_rate and factor < 1:
        per_second = server.learned_rate * factor
    return Allowance(max(1, int(server.max_connections * factor + 1e-9)), per_second)  # 10 × 0.7 is 7.0, not 6.99…


def factor_at(slow_factor: float, slowed_at: dt.datetime | None, now: dt.datetime) -> float:
    """Return the part of its limits that a server may use at ``now``: 1 unless it was throttled and has not recovered.

    It recovers with time alone, by :data:`RECOVERY_STEP` for each :data:`RECOVERY_EVERY` since it was last throttled.
    """
    if slowed_at is None:
        return 1.0
    steps = max(0, (now - slowed_at) // RECOVERY_EVERY)  # Negative if the clock was set back.
    return min(1.0, slow_factor + steps * RECOVERY_STEP)
