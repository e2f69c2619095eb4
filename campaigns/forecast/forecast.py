"""What the fleet will make of some mail: which servers carry how much, which run dry and when, and when it is done.

A simulation over frozen values, in steps that grow with the time gone by, so that a year costs little more than an
hour and the error stays a small part of the whole. It knows the fleet's rules (strategies, quotas and their periods,
caps of the hour and the day, rates, copies, hours of sending) and not the code that keeps them. Speeds are given:
see :class:`ServerState`. Nothing here stores, or looks at the clock.
"""

import datetime as dt
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from campaigns.forecast.simulation import (
    ORDER,
    PIECE,
    WEIGHTED,
    ForeseenMail,
    MailingPart,
    ServerState,
    Tank,
    by_use,
    by_weight,
)

HORIZON = dt.timedelta(days=366)  # What takes longer is called never.
AHEAD = 10_000  # How many messages are shared out at once: the fastest runs no further ahead than its part of them.
STEP_OF_ELAPSED = 0.02
STEP_OF_LEAST = 0.005  # Of the least time that the whole could take.
SHORTEST_STEP = 0.05  # Seconds.
ROUNDS = 12  # In which shares of one step settle, to …
SETTLED = 0.5  # … so many messages.
ROUNDING = 1e-6  # Of a message: what sums of fractions may be short of a whole one.


@dataclass(frozen=True, slots=True)
class ForecastWork:
    """What there is to send, in the order in which a server takes it: what was queued earlier comes first."""

    parts: tuple[MailingPart, ...]


@dataclass(frozen=True, slots=True)
class ForecastLine:
    """What one server carries of our mail."""

    server_id: int
    name: str
    messages: int
    units: int  # Of its quota: copies included.
    percent: float  # Of all our messages.
    later: int  # Messages of ours that it sends in a later quota period than the present one.
    per_second: float
    speed_from: str
    dry_at: dt.datetime | None  # When its quota is used up first.
    again_at: dt.datetime | None  # When the next period begins then.
    capped: str  # "hour" or "day" where that cap holds it back; empty: none does.


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is to be expected; ``left`` messages of ``total`` are not sent."""

    total: int
    begins_at: dt.datetime
    first_at: dt.datetime | None  # When the first message leaves.
    finishes_at: dt.datetime | None  # None: not within :data:`HORIZON`, or not before ``not_after``.
    left: int
    expires_at: dt.datetime | None  # Not after; where something is left then.
    lines: tuple[ForecastLine, ...]  # Of the servers that carry something, in display order.
    idle: tuple[tuple[str, str], ...]  # Servers that may carry it and cannot: name, and why.
    blocked: tuple[tuple[str, int], ...]  # Parts that no server may carry: label and how many.
    next_period: int  # Messages that wait for a later quota period of their server.
    ahead: int  # Messages of other mailings that go first.
    progress: tuple[tuple[dt.datetime, int], ...]  # How many of ours are sent by when.
    waiting: int = 0  # Of our messages: those to the rest after an A/B test, whose winner …
    waiting_until: dt.datetime | None = None  # … is taken to be chosen then.
    retried: int = 0  # Of our messages: those that were deferred and are tried again later, …
    retried_at: dt.datetime | None = None  # … the first of them then.

    @property
    def is_sampled_in_time(self) -> bool:
        """Whether the sample of an A/B test is sent before the rest begins."""
        before = [sent for at, sent in self.progress if self.waiting_until is None or at <= self.waiting_until]
        return max(before, default=0) >= self.total - self.waiting

    @property
    def is_complete(self) -> bool:
        """Whether everything is sent."""
        return self.left == 0

    @property
    def duration(self) -> dt.timedelta | None:
        """How long it takes from the beginning; None where it does not finish."""
        return None if self.finishes_at is None else self.finishes_at - self.begins_at


def forecast(fleet: Sequence[ServerState], work: ForecastWork, start: dt.datetime) -> Forecast:
    """Return what the fleet makes of the work, begun at ``start``.

    :raises ValueError: if ``start`` is naive.
    """
    if start.tzinfo is None:
        raise ValueError(f"{start!r} has no time zone")
    return _Run(fleet, work, start).result()


class _Run:
    """One simulation."""

    def __init__(self, fleet: Sequence[ServerState], work: ForecastWork, start: dt.datetime) -> None:
        self.start = start
        self.begins = self.now = start.timestamp()
        self.tanks = {state.server_id: Tank(state, start) for state in fleet}
        self.mails = [ForeseenMail(part, self.tanks, start) for part in work.parts if part.count > 0]
        used = {id(tank): tank for mail in self.mails for tank in mail.tanks}
        self.used = list(used.values())
        self.total = sum(mail.part.count for mail in self.mails if mail.part.is_ours)
        self.first_at = self.last_at = 0.0
        self.progress: list[tuple[float, float]] = [(self.now, 0.0)]
        speed = sum(tank.state.per_second / tank.cost for tank in self.used if not tank.state.obstacle)
        everything = sum(mail.part.count for mail in self.mails)
        self.least_step = max(SHORTEST_STEP, STEP_OF_LEAST * everything / speed) if speed else 1.0
        self._simulate()

    def _simulate(self) -> None:
        end = self.begins + HORIZON.total_seconds()
        while self.now < end and any(mail.left >= PIECE for mail in self.mails if mail.part.is_ours and mail.tanks):
            for mail in self.mails:
                mail.begin_step(self.now)
            until = min(self.now + self._step(), self._next_change())
            if not self._send_until(until):
                until = max(until, min(self._next_change(), self._next_waking()))
                if until == math.inf:
                    return  # Nothing changes any more by itself.
            self.now = until

    def _step(self) -> float:
        return max(self.least_step, STEP_OF_ELAPSED * (self.now - self.begins))

    def _next_change(self) -> float:
        changes = [mail.changes_at(self.now) for mail in self.mails]
        changes += [tank.period_ends for tank in self.used if tank.period_ends > self.now]
        changes += [tank.rests_until for tank in self.used if tank.rests_until > self.now]
        return min(changes, default=math.inf)

    def _next_waking(self) -> float:
        flowing = [mail for mail in self.mails if mail.is_flowing(self.now)]
        wakes = (tank.wakes_at(self.now) for mail in flowing for tank in mail.tanks)
        return min((moment for moment in wakes if moment > self.now), default=math.inf)

    def _send_until(self, until: float) -> bool:
        """Let everybody send until then; False if nothing moved."""
        for tank in self.used:
            tank.begin_step(self.now, until)
        has_moved = False
        for mail in self.mails:
            if not mail.is_flowing(self.now) or not mail.tanks:
                continue
            if mail.part.strategy == ORDER:
                moved, lasts = self._send_in_order(mail, until - self.now)
            else:
                moved, lasts = self._send_shared(mail, until - self.now)
            if moved <= 0:
                continue
            has_moved = True
            mail.free = max(0.0, mail.free - moved)
            if mail.part.is_ours:
                self.first_at = self.first_at or self.now
                self.last_at = max(self.last_at, self.now + lasts)
        if has_moved:
            ours = sum(mail.sent for mail in self.mails if mail.part.is_ours)
            self.progress.append((until if any(mail.left >= PIECE for mail in self.mails) else self.last_at, ours))
        return has_moved

    def _send_in_order(self, mail: ForeseenMail, seconds: float) -> tuple[float, float]:
        """The first that has room sends; the next one while it has none. Return how many, and how long it took."""
        left, free, moved = seconds, mail.free, 0.0
        for tank in mail.tanks:
            if left <= 0 or free <= 1e-6:
                break
            if tank.room <= 0:
                continue
            number = min(free, tank.most(left))
            waited = seconds - tank.time_left  # For mail that goes first.
            if number > 0:
                tank.send(number, self.now + max(seconds - left, waited), mail.part.is_ours)
            free, moved = free - number, moved + number
            # One that still has room is the one that is asked, also while it is busy.
            left = min(left, tank.time_left) if free <= 1e-6 or tank.room < PIECE else 0.0
        return moved, seconds - max(0.0, left)

    def _send_shared(self, mail: ForeseenMail, seconds: float) -> tuple[float, float]:
        """All that have room send at the same time, each its share. Return how many, and how long it took."""
        able = [tank for tank in mail.tanks if tank.room > 0]
        if not able:
            return 0.0, 0.0
        numbers = _settled(mail, able, seconds, mail.free)
        slow = [at for at, tank in enumerate(able) if tank.state.is_slowed and numbers[at] >= tank.most(seconds)]
        if slow and len(slow) < len(able):
            held = sum(numbers[at] for at in slow)
            others = [at for at in range(len(able)) if at not in slow]
            shares = _settled(mail, [able[at] for at in others], seconds, max(0.0, mail.free - held))
            for at, number in zip(others, shares, strict=True):
                numbers[at] = number
        lasts = 0.0
        for tank, number in zip(able, numbers, strict=True):
            if number <= 0:
                continue
            lasts = max(lasts, seconds - tank.time_left + tank.seconds(number))
            mail.taken_by[tank.state.server_id] += number
            tank.send(number, self.now, mail.part.is_ours)
        return sum(numbers), lasts

    # --- in the end

    def result(self) -> Forecast:
        ours = [mail for mail in self.mails if mail.part.is_ours]
        left = sum(round(mail.left + mail.expired) for mail in ours)
        expires = [mail.not_after for mail in ours if mail.not_after < math.inf]
        is_done = left == 0 and self.total > 0
        return Forecast(
            total=self.total,
            begins_at=self.start,
            first_at=_instant(self.first_at),
            finishes_at=_instant(self.last_at) if is_done else None,
            left=left,
            expires_at=_instant(min(expires)) if left and expires else None,
            lines=tuple(self._lines()),
            idle=tuple(
                (tank.state.name, tank.state.obstacle)
                for tank in self._ours()
                if tank.state.obstacle or (not tank.sent and tank.state.quota == 0)
            ),
            blocked=tuple(_blocked(ours)),
            next_period=round(sum(tank.later for tank in self.used)),
            ahead=sum(mail.part.count for mail in self.mails if not mail.part.is_ours),
            progress=tuple((_sure(at), math.floor(sent + ROUNDING)) for at, sent in self.progress),
        )

    def _ours(self) -> list[Tank]:
        used = {tank.state.server_id for mail in self.mails if mail.part.is_ours for tank in mail.tanks}
        return [tank for tank in self.tanks.values() if tank.state.server_id in used]

    def _lines(self) -> Iterator[ForecastLine]:
        carrying = [tank for tank in self._ours() if tank.sent > 0]
        for tank, messages in zip(carrying, _whole([tank.sent for tank in carrying]), strict=True):
            if messages:
                yield ForecastLine(
                    tank.state.server_id,
                    tank.state.name,
                    messages,
                    messages * tank.cost,
                    round(100 * messages / self.total, 1),
                    min(messages, round(tank.later)),
                    tank.state.per_second,
                    tank.state.speed_from,
                    _instant(tank.dry_at),
                    _instant(tank.again_at) if tank.dry_at else None,
                    tank.capped,
                )


def _settled(mail: ForeseenMail, able: Sequence[Tank], seconds: float, free: float) -> list[float]:
    """Return how many of ``free`` messages each sends, where the fast ones go no further ahead of the slow."""
    targets = (by_weight if mail.part.strategy == WEIGHTED else by_use)(mail, able)
    most = [tank.most(seconds) for tank in able]
    numbers = most
    for _ in range(ROUNDS):
        due = targets(min(free, sum(numbers) + AHEAD))
        fresh = [number if number < target else max(0.0, target) for number, target in zip(most, due, strict=True)]
        is_settled = abs(sum(fresh) - sum(numbers)) < SETTLED
        numbers = fresh
        if is_settled:
            break
    whole = sum(numbers)
    return [number * free / whole for number in numbers] if whole > free else numbers


def _blocked(mails: Sequence[ForeseenMail]) -> Iterator[tuple[str, int]]:
    stuck: dict[str, int] = {}
    for mail in mails:
        if not mail.tanks:
            stuck[mail.part.label] = stuck.get(mail.part.label, 0) + mail.part.count
    yield from stuck.items()


def _whole(numbers: Sequence[float]) -> list[int]:
    """Round so that the sum stays what it is."""
    floors = [math.floor(number + ROUNDING) for number in numbers]
    short = round(sum(numbers)) - sum(floors)
    by_rest = sorted(range(len(numbers)), key=lambda at: floors[at] - numbers[at])
    for at in by_rest[: max(0, short)]:
        floors[at] += 1
    return floors


def _instant(seconds: float) -> dt.datetime | None:
    return _sure(seconds) if 0 < seconds < math.inf else None


def _sure(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
