"""How fast a lane may send: a bucket that grants messages at a rate, and what a server's limits come to just now.

Nothing here stores, sends or looks at the clock: a bucket counts in seconds of any clock that never goes back (an
event loop's), the limits in instants. A lane's holder uses both like this::

    allowance = pace.effective(server, now)              # When the lane is taken, and whenever the row is read again.
    bucket = Bucket(allowance.per_second, loop.time())
    ...
    bucket.set_rate(allowance.per_second, loop.time())   # The same rate again changes nothing.
    ...
    while not bucket.take(loop.time()):                  # Before the MAIL of each message, also one that looks ahead.
        await asyncio.sleep(bucket.wait(loop.time()))

The rate is the server's, of all its connections together, so one bucket serves the whole lane. The connections are
how many the lane may hold open now; when they become fewer, it closes the surplus after the message in hand.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

# How late a sender may be and still make up for it: the burst of a bucket, in seconds of its rate.
BURST_SECONDS = 0.025
UNIT_SECONDS = {"second": 1.0, "minute": 60.0}

RECOVERY_STEP = 0.1  # Of what the server may do unslowed, for each …
RECOVERY_EVERY = dt.timedelta(minutes=10)  # … without a new complaint.


class Bucket:
    """Grants messages at a rate, evenly spread, to whoever asks in time.

    Within any ``w`` seconds, the first counted and the last not, it grants at most
    ``ceil(per_second * (w + BURST_SECONDS))`` messages, with any pattern of questions. A new bucket is empty, as if
    a holder before it had just taken all it could: the same bound holds over both.
    """

    __slots__ = ("_due", "_interval")

    def __init__(self, per_second: float | None, now: float, *, idle: float = 0.0) -> None:
        """Make an empty bucket.

        :param per_second: None grants everything.
        :param idle: for how many seconds before ``now`` surely nobody sent through the server. It counts as time
            already waited, which a rate of a message a minute needs where lanes are held for less.
        :raises ValueError: for a rate that grants nothing.
        """
        self._interval = _interval_of(per_second)
        # When the next grant would be on time; it may come earlier by the burst.
        self._due = now + self._interval + BURST_SECONDS - idle

    def take(self, now: float) -> bool:
        """Grant one message, and count it, if there is one."""
        if self._due - now > BURST_SECONDS and self._interval:
            return False
        self._due = max(self._due, now) + self._interval
        return True

    def wait(self, now: float) -> float:
        """Return how many seconds it takes until the next grant; 0 if there is one. Then :meth:`take` succeeds."""
        early = self._due - now - BURST_SECONDS
        if early <= 0 or not self._interval:
            return 0.0
        return early + 1e-6  # A float's rounding must not make who slept so long ask again.

    def set_rate(self, per_second: float | None, now: float) -> None:
        """Grant at another rate from now on. What is owed stays owed, in messages; after no rate it starts empty.

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


class Paced(Protocol):
    """The limits of a server, and how it was slowed."""

    max_connections: int
    rate_limit: int | None
    rate_unit: str
    slow_factor: float
    slowed_at: dt.datetime | None
    learned_rate: float | None


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a server's lane may do just now."""

    connections: int  # At least one.
    per_second: float | None  # For one :class:`Bucket` of the whole lane; None: as fast as the server answers.


def effective(server: Paced, now: dt.datetime) -> Allowance:
    """Return what the server's lane may do at ``now``.

    A bucket of this rate keeps the server's own limit to the message: in any second or minute, whichever the limit
    is counted by, it grants no more than the limit, its burst included.
    """
    factor = factor_at(server.slow_factor, server.slowed_at, now)
    per_second = None
    if server.rate_limit:
        per_second = server.rate_limit * factor / (UNIT_SECONDS[server.rate_unit] + BURST_SECONDS)
    elif server.learned_rate and factor < 1:
        per_second = server.learned_rate * factor
    return Allowance(max(1, int(server.max_connections * factor + 1e-9)), per_second)  # 10 × 0.7 is 7.0, not 6.99…


def factor_at(slow_factor: float, slowed_at: dt.datetime | None, now: dt.datetime) -> float:
    """Return the part of its limits that a server may use at ``now``: 1 unless it was slowed and has not recovered.

    It recovers by the clock alone, :data:`RECOVERY_STEP` for each :data:`RECOVERY_EVERY` since it was last slowed.
    """
    if slowed_at is None:
        return 1.0
    steps = max(0, (now - slowed_at) // RECOVERY_EVERY)  # Slowed in the future: the clock was set back.
    return min(1.0, slow_factor + steps * RECOVERY_STEP)
