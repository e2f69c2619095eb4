"""The simulated servers and mailings of a forecast: room, caps, quota periods, shares, sending hours.

Nothing here stores anything or reads the clock. Instants of the simulation are seconds since 1970.
"""

import datetime as dt
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from campaigns.schedule.rules import Hours
from smtpservers.limits import sliding_window
from smtpservers.limits.quota_period import period

ORDER, WEIGHTED, LEAST_USED = "order", "weighted", "least_used"
PIECE = 0.5  # A smaller fraction of a message or a unit counts as zero.
LIMIT, RECORD, ASSUMED = "limit", "record", "assumed"  # Sources of a speed.


@dataclass(frozen=True, slots=True)
class ServerState:
    """The state of a server at the start of the forecast."""

    server_id: int
    name: str
    per_second: float  # Messages, copies included, while it sends.
    speed_from: str = ASSUMED
    weight: int = 1
    copies: int = 0  # Additional messages, and units of quota, per message.
    obstacle: str = ""  # Why it sends nothing until somebody acts, as the end of "Alpha …"; empty if it can send.
    rests_until: dt.datetime | None = None
    is_slowed: bool = False  # The other servers do not wait for a slowed one.
    quota: int | None = None  # Units per period; None: no limit.
    taken: int = 0  # Units used in the present period.
    month_start_day: int = 1
    zone: dt.tzinfo = dt.UTC
    per_hour: int | None = None
    per_day: int | None = None
    by_minute: Mapping[str, int] = field(
        default_factory=dict, hash=False
    )  # In the buckets of smtpservers.limits.sliding_window.
    by_quarter: Mapping[str, int] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class MailingPart:
    """Messages of one mailing with the same allowed servers and the same strategy."""

    count: int
    server_ids: tuple[int, ...]  # In display order.
    strategy: str = ORDER
    is_ours: bool = True  # False: of another mailing, which goes first.
    label: str = ""  # The recipients of this part, if the mailing has several: "recipients of rule “Gmail”".
    sent: Mapping[int, int] = field(default_factory=dict, hash=False)  # Messages taken so far, by server id.
    starts: tuple[tuple[dt.datetime, int], ...] = ()  # Instants at which messages of ``count`` become free.
    hours: Hours | None = None  # Sending hours; None: always.
    not_after: dt.datetime | None = None


class Cap:
    """The room in one sliding window, and the times at which its used units become free again."""

    __slots__ = ("_back", "_free", "_window")

    def __init__(
        self, cap: int, buckets: Mapping[str, int], window: sliding_window.SlidingWindow, start: dt.datetime
    ) -> None:
        self._window = window
        kept = sliding_window.current(buckets, window, start)
        self._free = float(cap - sum(kept.values()))
        back = sorted((sliding_window.leaves_at(int(name), window), float(units)) for name, units in kept.items())
        self._back: deque[tuple[int, float]] = deque(back)

    def room(self, now: float, until: float) -> float:
        """Return the units that may be used from ``now`` until ``until``, both in seconds since 1970."""
        while self._back and self._back[0][0] <= now:
            self._free += self._back.popleft()[1]
        room = self._free
        for at, units in self._back:
            if at >= until:
                break
            room += units
        cycle = self._window.seconds + self._window.grain
        if until - now > cycle:  # Units that are used early in such a long step become free within it.
            room *= (until - now) / cycle
        return room

    def next_at(self) -> float:
        return self._back[0][0] if self._back else math.inf

    def use(self, units: float, now: float, lasts: float) -> None:
        """Count units that are used evenly from ``now`` on. Units that become free meanwhile are used after that."""
        pieces = max(1, min(16, int(lasts // self._window.grain) + 1))
        for number in range(pieces):
            at, piece = now + lasts * number / pieces, units / pieces
            while piece > 1e-9:
                if self._free > 1e-9 or not self._back:
                    part = min(piece, self._free) if self._back else piece
                    self._free -= part
                else:
                    at, part = max(at, self._back[0][0]), min(piece, self._back[0][1])
                    back_at, back = self._back.popleft()
                    if back > part:
                        self._back.appendleft((back_at, back - part))
                self._comes_back(sliding_window.leaves_at(int(at // self._window.grain), self._window), part)
                piece -= part

    def _comes_back(self, at: int, units: float) -> None:
        """Insert units by the time of their return. Mostly that is the end of the queue."""
        later = []
        while self._back and self._back[-1][0] > at:
            later.append(self._back.pop())
        if self._back and self._back[-1][0] == at:
            units += self._back.pop()[1]
        self._back.append((at, units))
        self._back.extend(reversed(later))


class SimulatedServer:
    """A server during the simulation. Instants are seconds since 1970."""

    def __init__(self, state: ServerState, start: dt.datetime) -> None:
        self.state = state
        self.cost = 1 + state.copies
        self.rests_until = state.rests_until.timestamp() if state.rests_until else 0.0
        self.taken = float(state.taken)
        self.period_ends = self._next_period(start.timestamp()) if state.quota is not None else math.inf
        self.periods = 0
        self.caps = {
            name: Cap(cap, buckets, window, start)
            for name, cap, buckets, window in (
                ("hour", state.per_hour, state.by_minute, sliding_window.HOUR),
                ("day", state.per_day, state.by_quarter, sliding_window.DAY),
            )
            if cap
        }
        self.sent = self.later = 0.0  # Our messages: all, and those sent after the first quota period.
        self.dry_at = self.again_at = 0.0
        self.capped = ""
        self.room = 0.0  # Units that it may use in the present step.
        self.time_left = 0.0  # Seconds that are left of the present step.

    def _next_period(self, now: float) -> float:
        ends_at = period(dt.datetime.fromtimestamp(now, dt.UTC), self.state.month_start_day, self.state.zone)[1]
        return ends_at.timestamp()

    def begin_step(self, now: float, until: float) -> None:
        while now >= self.period_ends:
            self.taken, self.periods = 0.0, self.periods + 1
            self.period_ends = self._next_period(self.period_ends)
        self.time_left = until - now
        self.room = 0.0
        if self.state.obstacle or now < self.rests_until or self.state.per_second <= 0:
            return
        self.room = math.inf if self.state.quota is None else max(0.0, self.state.quota - self.taken)
        for cap in self.caps.values():
            self.room = min(self.room, cap.room(now, until))
        if self.room < PIECE:
            self.room = 0.0

    def most(self, seconds: float) -> float:
        """Return the number of messages that it can send in the next ``seconds`` of the present step."""
        return min(self.room, self.state.per_second * min(seconds, self.time_left)) / self.cost

    def seconds(self, messages: float) -> float:
        return messages * self.cost / self.state.per_second

    def send(self, messages: float, now: float, is_ours: bool) -> None:
        units, lasts = messages * self.cost, self.seconds(messages)
        was = self.room
        self.room -= units
        self.time_left -= lasts
        self.taken += units
        for cap in self.caps.values():
            cap.use(units, now, lasts)
        if is_ours:
            self.sent += messages
            self.later += messages if self.periods else 0.0
        if self.room < PIECE and was:
            if self.state.quota is not None and self.taken > self.state.quota - PIECE:
                if not self.dry_at:
                    self.dry_at, self.again_at = now + lasts, self.period_ends
            elif self.caps:
                self.capped = min(self.caps, key=lambda name: self.caps[name].room(now + lasts, now + lasts))

    def wakes_at(self, now: float) -> float:
        """Return the next instant at which it may have room again; infinity if there is none."""
        if self.state.obstacle:
            return math.inf
        if now < self.rests_until:
            return self.rests_until
        if self.state.quota is not None and self.state.quota - self.taken < PIECE:
            return self.period_ends if self.state.quota else math.inf
        return max((cap.next_at() for cap in self.caps.values() if cap.room(now, now) < PIECE), default=math.inf)


class SimulatedMail:
    """A part of a mailing during the simulation."""

    def __init__(self, part: MailingPart, servers: Mapping[int, SimulatedServer], start: dt.datetime) -> None:
        self.part = part
        self.servers = [servers[server_id] for server_id in part.server_ids if server_id in servers]
        later = [(at.timestamp(), count) for at, count in part.starts if at > start]
        self.later = deque(sorted(later))
        self.free = float(part.count - sum(count for _, count in later))
        self.taken_by = {
            server.state.server_id: float(part.sent.get(server.state.server_id, 0)) for server in self.servers
        }
        self.not_after = part.not_after.timestamp() if part.not_after else math.inf
        self.opens_at, self.closes_at = 0.0, math.inf
        self.expired = 0.0
        self.done_at = 0.0
        self.is_stuck = not self.servers

    @property
    def left(self) -> float:
        return self.free + sum(count for _, count in self.later)

    @property
    def sent(self) -> float:
        """The messages sent so far. A remainder below ``PIECE`` counts as sent, so that a finished mail is complete."""
        unsent = self.left + self.expired
        return self.part.count - (unsent if unsent >= PIECE else 0.0)

    def begin_step(self, now: float) -> None:
        while self.later and self.later[0][0] <= now:
            self.free += self.later.popleft()[1]
        if now >= self.not_after and self.left:
            self.expired, self.free = self.left, 0.0
            self.later.clear()
        if not self.opens_at or now >= self.closes_at:
            self._look_at_clock(now)

    def _look_at_clock(self, now: float) -> None:
        self.opens_at, self.closes_at = now, math.inf
        if self.part.hours is not None:
            window = self.part.hours.window(dt.datetime.fromtimestamp(now, dt.UTC))
            self.opens_at = window.opens_at.timestamp()
            self.closes_at = window.closes_at.timestamp() if window.closes_at else math.inf

    def is_flowing(self, now: float) -> bool:
        return self.free >= PIECE and self.opens_at <= now < self.closes_at

    def changes_at(self, now: float) -> float:
        """Return the next instant at which it opens, closes, ends or gets more messages."""
        if self.left < PIECE:
            return math.inf
        first_later = self.later[0][0] if self.later else math.inf
        moments = (first_later, self.not_after, self.opens_at, self.closes_at)
        return min((moment for moment in moments if moment > now), default=math.inf)


Targets = Callable[[float], Sequence[float]]  # Takes a number of messages, and returns each server's share of them.


def by_weight(mail: SimulatedMail, able: Sequence[SimulatedServer]) -> Targets:
    """Share messages by weight, so that all messages of the mail so far match the weights."""
    weight = sum(server.state.weight for server in able)
    rows = [(server.state.weight / weight, mail.taken_by[server.state.server_id]) for server in able]
    taken = sum(row[1] for row in rows)
    return lambda count: [(count + taken) * part - before for part, before in rows]


def by_use(mail: SimulatedMail, able: Sequence[SimulatedServer]) -> Targets:
    """Fill all servers to the same share of their quota. The first one without a quota takes the excess."""
    rows = [(server.state.quota or 0, server.taken) for server in able]
    limited = sorted((taken / quota, quota, taken) for quota, taken in rows if quota)
    unlimited = next((at for at, server in enumerate(able) if server.state.quota is None), None)

    def targets(count: float) -> Sequence[float]:
        level, all_quota, all_taken = 0.0, 0.0, 0.0
        for number, (_, quota, taken) in enumerate(limited, start=1):
            all_quota, all_taken = all_quota + quota, all_taken + taken
            level = min(1.0, (count + all_taken) / all_quota)
            if number < len(limited) and level <= limited[number][0]:
                break
        found = [max(0.0, level * quota - taken) for quota, taken in rows]
        if unlimited is not None:
            found[unlimited] = max(0.0, count - sum(found))
        return found

    return targets
