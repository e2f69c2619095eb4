"""The forecast: how many messages each server will carry, when quotas run out, and when all mail is sent.

A simulation over frozen values. Its steps grow with the simulated time, so that a year costs little more than an hour
and the error stays a small part of the whole. It knows the rules of the fleet (strategies, quotas and their periods,
hourly and daily caps, rates, copies, sending hours) and not the code that enforces them. Speeds are an input: see
:class:`ServerState`. Nothing here stores anything or reads the clock.
"""

import datetime as dt
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from campaigns.forecast.simulation import (
    ORDER,
    PIECE,
    WEIGHTED,
    MailingPart,
    ServerState,
    SimulatedMail,
    SimulatedServer,
    by_use,
    by_weight,
)

HORIZON = dt.timedelta(days=366)  # Anything that takes longer counts as never.
AHEAD = 10_000  # Messages that are shared out at once. The fastest server runs ahead by no more than its part of them.
STEP_OF_ELAPSED = 0.02  # Length of a step, as a part of the simulated time.
STEP_OF_LEAST = 0.005  # Least length of a step, as a part of the shortest possible duration.
SHORTEST_STEP = 0.05  # Seconds.
ROUNDS = 12  # Iterations in which the shares of one step converge …
SETTLED = 0.5  # … to a difference of less than this number of messages.
ROUNDING = 1e-6  # Of a message: the rounding error that a sum of fractions may have.


@dataclass(frozen=True, slots=True)
class ForecastWork:
    """The mail to send, in the order in which servers take it: mail that was queued earlier comes first."""

    parts: tuple[MailingPart, ...]


@dataclass(frozen=True, slots=True)
class ForecastLine:
    """The part of our mail that one server carries."""

    server_id: int
    name: str
    messages: int
    units: int  # Units of its quota, copies included.
    percent: float  # Of all our messages.
    later: int  # Our messages that it sends after the present quota period.
    per_second: float
    speed_from: str
    dry_at: dt.datetime | None  # When its quota is used up for the first time.
    again_at: dt.datetime | None  # When the quota period after that begins.
    capped: str  # "hour" or "day" if that cap slows it down; empty if none does.


@dataclass(frozen=True, slots=True)
class Forecast:
    """The result of a simulation. Of ``total`` messages, ``left`` are not sent."""

    total: int
    begins_at: dt.datetime
    first_at: dt.datetime | None  # When the first message leaves.
    finishes_at: dt.datetime | None  # None: not within :data:`HORIZON`, or not before ``not_after``.
    left: int
    expires_at: dt.datetime | None  # The end after which the messages left over expire; None if none is left over.
    lines: tuple[ForecastLine, ...]  # Of the servers that carry messages, in display order.
    idle: tuple[tuple[str, str], ...]  # Servers that are allowed to carry it and cannot: name and reason.
    blocked: tuple[tuple[str, int], ...]  # Parts that no server is allowed to carry: label and number of messages.
    next_period: int  # Our messages that wait for a later quota period of their server.
    ahead: int  # Messages of other mailings that go first.
    progress: tuple[tuple[dt.datetime, int], ...]  # Instants, and our messages that are sent by then.
    waiting: int = 0  # Our messages to the rest of an A/B test.
    waiting_until: dt.datetime | None = None  # The assumed time at which its winner is chosen.
    retried: int = 0  # Our messages that were deferred and wait for their next attempt.
    retried_at: dt.datetime | None = None  # The time of the first of these attempts.

    @property
    def is_sampled_in_time(self) -> bool:
        """Whether the sample of an A/B test is sent before the rest begins."""
        before = [sent for at, sent in self.progress if self.waiting_until is None or at <= self.waiting_until]
        return max(before, default=0) >= self.total - self.waiting

    @property
    def is_complete(self) -> bool:
        """Whether all messages are sent."""
        return self.left == 0

    @property
    def duration(self) -> dt.timedelta | None:
        """The time from the beginning to the last message; None if it does not finish."""
        return None if self.finishes_at is None else self.finishes_at - self.begins_at


def forecast(fleet: Sequence[ServerState], work: ForecastWork, start: dt.datetime) -> Forecast:
    """Simulate the work of the fleet from ``start`` on.

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
        self.servers = {state.server_id: SimulatedServer(state, start) for state in fleet}
        self.mails = [SimulatedMail(part, self.servers, start) for part in work.parts if part.count > 0]
        used = {id(server): server for mail in self.mails for server in mail.servers}
        self.used = list(used.values())
        self.total = sum(mail.part.count for mail in self.mails if mail.part.is_ours)
        self.first_at = self.last_at = 0.0
        self.progress: list[tuple[float, float]] = [(self.now, 0.0)]
        speed = sum(server.state.per_second / server.cost for server in self.used if not server.state.obstacle)
        everything = sum(mail.part.count for mail in self.mails)
        self.least_step = max(SHORTEST_STEP, STEP_OF_LEAST * everything / speed) if speed else 1.0
        self._simulate()

    def _simulate(self) -> None:
        end = self.begins + HORIZON.total_seconds()
        while self.now < end and any(mail.left >= PIECE for mail in self.mails if mail.part.is_ours and mail.servers):
            for mail in self.mails:
                mail.begin_step(self.now)
            until = min(self.now + self._step(), self._next_change())
            if not self._send_until(until):
                until = max(until, min(self._next_change(), self._next_waking()))
                if until == math.inf:
                    return  # No further event will change anything.
            self.now = until

    def _step(self) -> float:
        return max(self.least_step, STEP_OF_ELAPSED * (self.now - self.begins))

    def _next_change(self) -> float:
        changes = [mail.changes_at(self.now) for mail in self.mails]
        changes += [server.period_ends for server in self.used if server.period_ends > self.now]
        changes += [server.rests_until for server in self.used if server.rests_until > self.now]
        return min(changes, default=math.inf)

    def _next_waking(self) -> float:
        flowing = [mail for mail in self.mails if mail.is_flowing(self.now)]
        wakes = (server.wakes_at(self.now) for mail in flowing for server in mail.servers)
        return min((moment for moment in wakes if moment > self.now), default=math.inf)

    def _send_until(self, until: float) -> bool:
        """Let all servers send until then; False if no message moved."""
        for server in self.used:
            server.begin_step(self.now, until)
        has_moved = False
        for mail in self.mails:
            if not mail.is_flowing(self.now) or not mail.servers:
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

    def _send_in_order(self, mail: SimulatedMail, seconds: float) -> tuple[float, float]:
        """Let the first server with room send, and the next one while it has none.

        :return: the number of messages, and the seconds that they took.
        """
        left, free, moved = seconds, mail.free, 0.0
        for server in mail.servers:
            if left <= 0 or free <= 1e-6:
                break
            if server.room <= 0:
                continue
            number = min(free, server.most(left))
            waited = seconds - server.time_left  # While the server sent mail that goes first.
            if number > 0:
                server.send(number, self.now + max(seconds - left, waited), mail.part.is_ours)
            free, moved = free - number, moved + number
            # A busy server that still has room keeps its turn.
            left = min(left, server.time_left) if free <= 1e-6 or server.room < PIECE else 0.0
        return moved, seconds - max(0.0, left)

    def _send_shared(self, mail: SimulatedMail, seconds: float) -> tuple[float, float]:
        """Let all servers with room send their shares at the same time.

        :return: the number of messages, and the seconds that they took.
        """
        able = [server for server in mail.servers if server.room > 0]
        if not able:
            return 0.0, 0.0
        numbers = _shares(mail, able, seconds, mail.free)
        slow = [at for at, server in enumerate(able) if server.state.is_slowed and numbers[at] >= server.most(seconds)]
        if slow and len(slow) < len(able):
            held = sum(numbers[at] for at in slow)
            others = [at for at in range(len(able)) if at not in slow]
            shares = _shares(mail, [able[at] for at in others], seconds, max(0.0, mail.free - held))
            for at, number in zip(others, shares, strict=True):
                numbers[at] = number
        lasts = 0.0
        for server, number in zip(able, numbers, strict=True):
            if number <= 0:
                continue
            lasts = max(lasts, seconds - server.time_left + server.seconds(number))
            mail.taken_by[server.state.server_id] += number
            server.send(number, self.now, mail.part.is_ours)
        return sum(numbers), lasts

    # --- the result

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
            lines=tuple(self._lines(self.total - left)),
            idle=tuple(
                (server.state.name, server.state.obstacle)
                for server in self._ours()
                if server.state.obstacle or (not server.sent and server.state.quota == 0)
            ),
            blocked=tuple(_blocked(ours)),
            next_period=round(sum(server.later for server in self.used)),
            ahead=sum(mail.part.count for mail in self.mails if not mail.part.is_ours),
            progress=tuple((_datetime(at), math.floor(sent + ROUNDING)) for at, sent in self.progress),
        )

    def _ours(self) -> list[SimulatedServer]:
        used = {server.state.server_id for mail in self.mails if mail.part.is_ours for server in mail.servers}
        return [server for server in self.servers.values() if server.state.server_id in used]

    def _lines(self, whole: int) -> Iterator[ForecastLine]:
        """Yield the servers that carry messages.

        :param whole: all that they carry. The fractions of messages that each mail leaves over count as sent.
        """
        carrying = [server for server in self._ours() if server.sent > 0]
        for server, messages in zip(carrying, _rounded([server.sent for server in carrying], whole), strict=True):
            if messages:
                yield ForecastLine(
                    server.state.server_id,
                    server.state.name,
                    messages,
                    messages * server.cost,
                    round(100 * messages / self.total, 1),
                    min(messages, round(server.later)),
                    server.state.per_second,
                    server.state.speed_from,
                    _instant(server.dry_at),
                    _instant(server.again_at) if server.dry_at else None,
                    server.capped,
                )


def _shares(mail: SimulatedMail, able: Sequence[SimulatedServer], seconds: float, free: float) -> list[float]:
    """Return the number of ``free`` messages that each server sends. Fast servers do not run ahead of slow ones."""
    targets = (by_weight if mail.part.strategy == WEIGHTED else by_use)(mail, able)
    most = [server.most(seconds) for server in able]
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


def _blocked(mails: Sequence[SimulatedMail]) -> Iterator[tuple[str, int]]:
    stuck: dict[str, int] = {}
    for mail in mails:
        if not mail.servers:
            stuck[mail.part.label] = stuck.get(mail.part.label, 0) + mail.part.count
    yield from stuck.items()


def _rounded(numbers: Sequence[float], whole: int) -> list[int]:
    """Round the numbers so that their sum is ``whole``, which differs from theirs by little."""
    floors = [math.floor(number + ROUNDING) for number in numbers]
    short = whole - sum(floors)
    by_rest = sorted(range(len(numbers)), key=lambda at: floors[at] - numbers[at], reverse=short < 0)
    for at in itertools.islice(itertools.cycle(by_rest), abs(short)):
        floors[at] += 1 if short > 0 else -1
    return floors


def _instant(seconds: float) -> dt.datetime | None:
    return _datetime(seconds) if 0 < seconds < math.inf else None


def _datetime(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
