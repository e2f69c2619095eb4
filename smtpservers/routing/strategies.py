"""Strategies: how able servers share some mail, and why each gets its part. Values in, values out."""

import datetime as dt
import functools
import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from smtpservers.models import Route
from smtpservers.routing.candidates import Candidate
from smtpservers.routing.rules import RoutingRule
from words.numbers import percent
from words.texts import gettext_noop, joined
from words.texts import text as _

Strategy = Route.Strategy
EXAMPLE_MESSAGES = 1_000  # The number of messages in the example on the page.
LONGEST_REASON = 300  # Characters, as stored with a message.
_COMMA = gettext_noop("%(one)s, %(other)s")
SHOWN_OBSTACLES = 2  # In the reason of a choice; three if nothing can be sent.


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen server and the reason; or no server, the reason, and when that changes by itself."""

    server: Candidate | None
    reason: str
    until: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class Portion:
    """The part of some mail that one server gets, and why."""

    server: Candidate
    reason: str
    at_most: int | None = None  # None: as many as it can.
    up_to: int | None = None  # Its limit for this mail over all plans; None: no such limit.
    leave: int = 0  # Units of its quota that stay free, so that all reach the same used percentage.


@dataclass(frozen=True)
class Able:
    """The servers that may and can send certain mail now, in display order, and the obstacles of the others."""

    rule: RoutingRule
    servers: tuple[Candidate, ...]
    obstacles: tuple[tuple[Candidate, str], ...]  # Each with the end of the sentence that begins with its name.
    before_first: int  # The number of obstacles before the first able server.
    free_at: dt.datetime | None  # When the first obstacle ends by itself.
    is_by_hand: bool  # A person asked for this one server.
    is_named: bool  # The campaign names its servers.
    nobody: str  # Why no server is considered at all; empty if one is.

    @property
    def is_shared(self) -> bool:
        """Whether several servers send at the same time, each a part."""
        return len(self.servers) > 1 and self.rule.strategy != Strategy.ORDER

    def choice(self, spot: float = 0.0) -> Choice:
        """Return the server for a single message.

        :param spot: the position of the message, 0 to 1: a weighted choice picks the server whose part contains it.
        """
        if not self.servers:
            return Choice(None, self.nobody or self._why_none(), self.free_at)
        portion = self.portions(1, {}, {}, spot)[0]
        return Choice(portion.server, portion.reason)

    def portions(
        self,
        count: int,
        sent: Mapping[int, int],
        promised: Mapping[int, int],
        spot: float = 0.0,
        most_servers: int | None = None,
    ) -> list[Portion]:
        """Return the part of each server in the next ``count`` messages; empty if no server can send.

        :param sent: the messages of this mail that each server has taken so far; by weight, servers that are behind
            catch up.
        :param promised: units that other portions of the same plan take from each server.
        :param spot: 0 to 1, different for each mailing: decides who gets the remainder of a division.
        :param most_servers: the maximum number of servers at a time; the largest parts come first.
        """
        if not self.is_shared:
            return [Portion(server, self._why_first(server)) for server in self.servers[:1]]
        is_weighted = self.rule.strategy == Strategy.WEIGHTED
        due = [share for share in self._shares(count, sent, promised, spot) if share[1] > 0]
        if most_servers is not None and len(due) > most_servers:
            due = heapq.nlargest(most_servers, due, key=itemgetter(1))
        return [
            Portion(
                server,
                self._why_shared(server),
                most,
                up_to=most + sent.get(server.server_id, 0) if is_weighted else None,
                leave=0 if is_weighted else _left(server, most, promised),
            )
            for server, most in due
        ]

    def _shares(
        self, count: int, sent: Mapping[int, int], promised: Mapping[int, int], spot: float
    ) -> list[tuple[Candidate, int]]:
        """Return the part of each server; the excess over its ``at_once`` is shared by the others."""
        most = {s.server_id: max(0, s.at_once - promised.get(s.server_id, 0)) for s in self.servers if s.at_once}
        servers = self.servers
        limited: list[tuple[Candidate, int]] = []
        while True:
            shares = list(
                _by_weight(servers, count, sent, spot)
                if self.rule.strategy == Strategy.WEIGHTED
                else _by_use(servers, count, promised, spot)
            )
            too_much = [(s, most[s.server_id]) for s, due in shares if due > most.get(s.server_id, due)]
            if not too_much or len(too_much) == len(servers):
                return limited + shares
            limited += too_much
            count -= sum(number for _, number in too_much)
            slow = {server for server, _ in too_much}
            servers = tuple(server for server in servers if server not in slow)

    def spread(self, count: int) -> list[tuple[Portion, int]]:
        """Return the final part of each server in ``count`` messages, up to its room, and why.

        Several plans in sequence, as in real sending: messages that find no room at one server go to the others. The
        sum is less than ``count`` if no server has more room.
        """
        first: dict[int, Portion] = {}
        taken: dict[int, int] = defaultdict(int)
        left, still_able = count, self
        while left and still_able.servers:
            before = left
            for portion in still_able.portions(left, taken, taken):
                server = portion.server
                most = left if portion.at_most is None else min(left, portion.at_most)
                number = most if server.room is None else min(most, server.room - taken[server.server_id])
                first.setdefault(server.server_id, portion)
                taken[server.server_id] += number
                left -= number
            if left == before:
                break
            full = [s for s in still_able.servers if s.room is not None and taken[s.server_id] >= s.room]
            obstacles = (*still_able.obstacles, *((s, _("has no room left")) for s in full))
            servers = tuple(s for s in still_able.servers if s not in full)
            still_able = replace(still_able, servers=servers, obstacles=obstacles, before_first=len(obstacles))
        return [(first[s.server_id], taken[s.server_id]) for s in self.servers if taken[s.server_id]]

    def others(self, than: Candidate) -> Iterator[Portion]:
        """Yield the servers that stand by if ``than`` does not take an urgent message at once."""
        for server in self.servers:
            if server is not than:
                why = _("%(server)s, because %(other)s didn't accept it at once.", server=server.name, other=than.name)
                yield Portion(server, self._cut(why))

    # --- in words

    def _why_first(self, server: Candidate) -> str:
        if self.is_by_hand:
            return _("%(server)s was chosen by hand.", server=server.name)
        if self.before_first:
            why = self._in_words(self.obstacles[: self.before_first])
            return self._cut(_("%(server)s, because %(why)s.", server=server.name, why=why))
        if self.is_named:
            return self._cut(
                _("%(server)s is first in the display order among the campaign's servers.", server=server.name)
            )
        return self._cut(_("%(server)s is first in the display order.", server=server.name))

    def _why_shared(self, server: Candidate) -> str:
        if self.rule.strategy == Strategy.WEIGHTED:
            share = percent(server.weight, self._weight)
            why = _("%(server)s gets %(share)s by weight", server=server.name, share=share)
        elif server.quota is None:
            why = _("%(server)s has no quota, and servers with a quota have no room left", server=server.name)
        else:
            used = percent(server.taken, server.quota) if server.quota else "100%"
            why = _("%(server)s has used %(used)s of its quota", server=server.name, used=used)
        if self._skipped:
            return self._cut(_("%(why)s, and %(skipped)s.", why=why, skipped=self._skipped))
        return self._cut(_("%(why)s.", why=why))

    @functools.cached_property
    def _weight(self) -> int:
        return sum(server.weight for server in self.servers)

    @functools.cached_property
    def _skipped(self) -> str:
        return self._in_words(self.obstacles) if self.obstacles else ""

    def _why_none(self) -> str:
        # Inactive servers come last: somebody switched them off, so the reader asks about the others.
        of_use_first = sorted(self.obstacles, key=lambda obstacle: not obstacle[0].is_active)
        return _("No server can send this now: %(why)s.", why=self._in_words(of_use_first, 3))

    def _in_words(self, obstacles: Sequence[tuple[Candidate, str]], most: int = SHOWN_OBSTACLES) -> str:
        each = (_("%(server)s %(why)s", server=candidate.name, why=why) for candidate, why in obstacles[:most])
        shown = joined(each, _COMMA)
        rest = len(obstacles) - most
        if rest <= 0:
            return shown
        if most > SHOWN_OBSTACLES:
            return _("%(shown)s, and %(n)s more can't send either", shown=shown, n=rest)
        return _("%(shown)s and %(n)s more were skipped", shown=shown, n=rest)

    def _cut(self, reason: str) -> str:
        told = reason if self.rule.is_default else _("Rule “%(rule)s”: %(reason)s", rule=self.rule.name, reason=reason)
        return told if len(told) <= LONGEST_REASON else told[:LONGEST_REASON]


def _by_weight(
    servers: Sequence[Candidate], count: int, sent: Mapping[int, int], spot: float
) -> Iterator[tuple[Candidate, int]]:
    """Yield parts that, together with the messages sent before, are in proportion to the weights."""
    total = sum(server.weight for server in servers)
    whole = count + sum(sent.get(server.server_id, 0) for server in servers)
    up_to, given = 0, 0
    for server in servers:
        up_to += server.weight
        target = int(whole * up_to / total + spot) if up_to < total else whole
        yield server, target - given - sent.get(server.server_id, 0)
        given = target


def _by_use(
    servers: Sequence[Candidate], count: int, promised: Mapping[int, int], spot: float
) -> Iterator[tuple[Candidate, int]]:
    """Yield parts that bring all servers to the same used percentage of their quota, like communicating vessels."""
    limited: list[tuple[float, int, int, int]] = []  # Used fraction, index of the server, used units, quota.
    for at, server in enumerate(servers):
        if server.quota:
            used = server.taken + promised.get(server.server_id, 0)
            limited.append((used / server.quota, at, used, server.quota))
    limited.sort()
    level, quota, use = 0.0, 0, 0
    for number, (_part, _at, used, of) in enumerate(limited, start=1):
        quota, use = quota + of, use + used
        level = min(1.0, (count + use) / quota)
        if number < len(limited) and level <= limited[number][0]:
            del limited[number:]
            break
    exact, given = 0.0, 0
    for fill, at, used, of in limited:
        if fill < level:
            exact += level * of - used
            target = int(exact + spot + 1e-9)
            yield servers[at], target - given
            given = target
    unlimited = next((server for server in servers if server.quota is None), None)
    if given < count and unlimited is not None:
        yield unlimited, count - given


def _left(server: Candidate, more: int, promised: Mapping[int, int]) -> int:
    """Return the units of a quota that stay free after ``more`` units and the promised ones are taken."""
    return max(0, (server.quota or 0) - server.taken - promised.get(server.server_id, 0) - more)
