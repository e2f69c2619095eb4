"""Selection: the servers for a mailing's next messages, how many each gets, and why; or why there is none, until when.

Three strategies. *Display order*: the first server that may and can send gets everything, the rest are fail-over.
*Weighted share*: each gets messages in proportion to its weight. *Least used share of quota*: each gets what brings all
of them to the same used percentage; servers without a quota are used when the others have no room. A server that is
throttled or on probation gets only what it can take in a moment, so that the others do not wait for it.
"""

import datetime as dt
import functools
import heapq
import math
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter

from django.db.models import FilteredRelation, Q

from mail.addresses import domain_of
from mail.suffixes import organisational_domain
from smtpservers.limits import circuit_breaker, rate_limiter
from smtpservers.limits.refused_senders import refused, sender_of
from smtpservers.limits.reservations import LimitStanding, standings
from smtpservers.models import Route, SmtpServer
from smtpservers.routing import rules
from smtpservers.routing.rules import DEFAULT, RoutingRule

Strategy = Route.Strategy
EXAMPLE_MESSAGES = 1_000  # The number of messages in the example on the page.
HELD_SECONDS = 10.0  # How many seconds of mail a throttled server gets if others could send it.
_AT_ONCE_FIELDS = (
    *("failures", "outage_at", "slow_factor", "slowed_at", "learned_rate"),
    *("rate_limit", "rate_unit", "max_connections"),
)
SHOWN_OBSTACLES = 2  # In the reason of a choice; three if nothing can be sent.


@dataclass(frozen=True, slots=True)
class Candidate:
    """A server in the form that selection needs."""

    server_id: int
    name: str
    is_active: bool
    paused_reason: str
    paused_until: dt.datetime | None
    room: int | None  # Units that may still be sent under quota and caps; None: no limit.
    full_until: dt.datetime | None
    domain: str  # Its Domain name; see :func:`_serves`.
    weight: int = 1
    quota: int | None = None  # Of the current period; None: no limit.
    taken: int = 0  # Used and reserved units of the quota.
    full_by: str = "has used its quota"  # Why there is no room, as the words after the name.
    at_once: int | None = None  # See :func:`at_once`.
    sender: str = ""  # The address of its own From.
    # Senders that it refuses, and until when.
    refused: Mapping[str, dt.datetime | None] = field(default_factory=dict, hash=False)

    def obstacle(self, now: dt.datetime) -> str:
        """Return why the server cannot send at present, as the end of "Alpha …"; empty if it can.

        Marketers read it, so it contains no host and no reply; the server's own page has those.
        """
        if not self.is_active:
            return "is switched off"
        if self.paused_reason and (self.paused_until is None or self.paused_until > now):
            if self.paused_until is None:
                return "is paused until an administrator looks at it"
            return f"rests after failures until {_moment(self.paused_until)}"
        if self.room == 0:
            return f"{self.full_by} until {_moment(self.full_until)}" if self.full_until else self.full_by
        return ""

    def free_at(self, now: dt.datetime) -> dt.datetime | None:
        """Return when the obstacle ends by itself; None if a person must act."""
        if not self.is_active:
            return None
        if self.paused_reason and (self.paused_until is None or self.paused_until > now):
            return self.paused_until
        return self.full_until if self.room == 0 else now

    def leaving(self, units: int) -> "Candidate":
        """Return the candidate with its room reduced so that ``units`` of its quota are left to other mail."""
        if not self.room or self.quota is None or not units:
            return self
        room = min(self.room, max(0, self.quota - self.taken - units))
        return replace(self, room=room, full_by=f"has used its quota ({units} kept for other mail)")

    def may_send_from(self, mail_from: str) -> bool:
        """Whether the server may send with this From: its own address, or one in its domain."""
        return not mail_from or _serves(mail_from, self.domain, self.sender)


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
            obstacles = (*still_able.obstacles, *((s, "has no more room") for s in full))
            servers = tuple(s for s in still_able.servers if s not in full)
            still_able = replace(still_able, servers=servers, obstacles=obstacles, before_first=len(obstacles))
        return [(first[s.server_id], taken[s.server_id]) for s in self.servers if taken[s.server_id]]

    def others(self, than: Candidate) -> Iterator[Portion]:
        """Yield the servers that stand by if ``than`` does not take an urgent message at once."""
        for server in self.servers:
            if server is not than:
                yield Portion(server, self._cut(f"{server.name}, because {than.name} did not take it at once."))

    # --- in words

    def _why_first(self, server: Candidate) -> str:
        if self.is_by_hand:
            return f"{server.name} was asked for by hand."
        if not self.before_first:
            among = " of those the campaign names" if self.is_named else ""
            return self._cut(f"{server.name} is first in the display order{among}.")
        return self._cut(f"{server.name}, because {self._in_words(self.obstacles[: self.before_first])}.")

    def _why_shared(self, server: Candidate) -> str:
        if self.rule.strategy == Strategy.WEIGHTED:
            percent = round(100 * server.weight / self._weight)
            why = f"{server.name} takes {percent} % by its weight"
        elif server.quota is None:
            why = f"{server.name} has no quota, and those with one have no more room"
        else:
            used = 100 * server.taken // server.quota if server.quota else 100
            why = f"{server.name} takes its part by used quota: {used} % of its own was used"
        return self._cut(f"{why}{self._while}.")

    @functools.cached_property
    def _weight(self) -> int:
        return sum(server.weight for server in self.servers)

    @functools.cached_property
    def _while(self) -> str:
        return f", and {self._in_words(self.obstacles)}" if self.obstacles else ""

    def _why_none(self) -> str:
        # Inactive servers come last: somebody switched them off, so the reader asks about the others.
        of_use_first = sorted(self.obstacles, key=lambda obstacle: not obstacle[0].is_active)
        return f"No server can send this just now: {self._in_words(of_use_first, 3)}."

    def _in_words(self, obstacles: Sequence[tuple[Candidate, str]], most: int = SHOWN_OBSTACLES) -> str:
        shown = "; ".join(f"{candidate.name} {why}" for candidate, why in obstacles[:most])
        rest = len(obstacles) - most
        if rest <= 0:
            return shown
        return (
            f"{shown}, and {rest} more cannot send either"
            if most > SHOWN_OBSTACLES
            else (f"{shown} and {rest} more were passed over")
        )

    def _cut(self, reason: str) -> str:
        return (reason if self.rule.is_default else f"Rule “{self.rule.name}”: {reason}")[:300]


def fleet(now: dt.datetime) -> list[Candidate]:
    """Return every server in display order, with the room in its current period and all limits."""
    rows = (
        SmtpServer.objects.annotate(
            current=FilteredRelation("periods", condition=Q(periods__starts_at__lte=now, periods__ends_at__gt=now))
        )
        .order_by("display_order", "pk")
        .values_list(
            "pk",
            "name",
            "is_active",
            "paused_reason",
            "paused_until",
            "domain_name",
            "mail_from",
            "weight",
            "max_per_month",
            "current",
            "current__quota",
            "current__used",
            "current__reserved",
            "current__ends_at",
        )
    )
    candidates: dict[int, Candidate] = {}
    for pk, name, is_active, reason, until, domain, mail_from, weight, maximum, *period in rows:
        current, quota, used, reserved, ends_at = period
        if current is None:  # Created at the first claim.
            quota, used, reserved = maximum or None, 0, 0
        room = None if quota is None else max(0, quota - used - reserved)
        taken, own = used + reserved, _address_of(mail_from)
        candidates.setdefault(
            pk,
            Candidate(*(pk, name, is_active, reason, until, room, ends_at, domain, weight, quota, taken), sender=own),
        )
    for server in SmtpServer.objects.filter(circuit_breaker.on_probation() | Q(slow_factor__lt=1)).only(
        *_AT_ONCE_FIELDS
    ):
        if server.pk in candidates:
            candidates[server.pk] = replace(candidates[server.pk], at_once=at_once(server, now))
    for pk, senders in refused(now).items():
        if pk in candidates:
            candidates[pk] = replace(candidates[pk], refused=senders)
    for pk, standing in standings(now, is_rough=True).items():
        if pk in candidates:
            candidates[pk] = _held_to(candidates[pk], standing)
    return list(candidates.values())


def at_once(server: SmtpServer, now: dt.datetime) -> int | None:
    """Return how many messages a server may get at a time if others could send them; None: its whole share.

    It is a number while the server is on probation, or throttled and not recovered.
    """
    if circuit_breaker.is_on_probation(server):
        return 1
    if rate_limiter.factor_at(server.slow_factor, server.slowed_at, now) == 1:
        return None
    allowance = rate_limiter.effective(server, now)
    # Without a measured rate, the number of its connections is all that is known.
    return math.ceil(HELD_SECONDS * (allowance.per_second or allowance.connections))


def _held_to(candidate: Candidate, standing: LimitStanding) -> Candidate:
    """Return the candidate with its room limited by the hourly and daily caps, and by the provider's own limit."""
    room, until = standing.room, standing.full_until
    if room is None or (candidate.room == 0 and (until is None or (candidate.full_until or until) >= until)):
        return candidate  # The quota has room again last.
    if until is not None:
        return replace(candidate, room=0, full_until=until, full_by=standing.full_by)
    return replace(candidate, room=room if candidate.room is None else min(room, candidate.room))


def is_sender_served(mail_from: str, named: Collection[int] = ()) -> bool:
    """Whether any server, active or not, may send with this From; true if there is no server yet.

    :param named: only these servers count; empty: all.
    """
    found = SmtpServer.objects.filter(pk__in=named) if named else SmtpServer.objects.all()
    servers = found.values_list("domain_name", "mail_from")
    return not servers or any(_serves(mail_from, domain, _address_of(own)) for domain, own in servers)


def carriers(mail_from: str, named: Collection[int], now: dt.datetime) -> list[int]:
    """Return the active servers that may send at least a part of this mail, in display order.

    :param mail_from: a From that overrides the server's own; empty: none.
    :param named: the servers that a campaign names; empty: all that the routing rules allow.
    """
    deciding = rules.applying(rules.rules(), mail_from)
    return [
        candidate.server_id
        for candidate in fleet(now)
        if candidate.is_active
        and (not named or candidate.server_id in named)
        and candidate.may_send_from(mail_from)
        and any(not rule.server_ids or candidate.server_id in rule.server_ids for rule in deciding)
    ]


def named_servers(server_ids: Collection[int]) -> str:
    """Return the names of chosen servers, as "Alpha and Beta"; empty if none was chosen."""
    known = dict(SmtpServer.objects.filter(pk__in=server_ids).order_by("display_order", "pk").values_list("pk", "name"))
    names = [*known.values(), *(["a server that has been deleted"] if set(server_ids) - set(known) else [])]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""


def server_choices(named: Iterable[int]) -> list[tuple[int, str]]:
    """Return the choices of a server field, including deleted servers in ``named``: only a person removes those."""
    rows = SmtpServer.objects.order_by("display_order", "pk").values_list("pk", "name", "is_active")
    known = {pk: name if is_active else f"{name} (switched off)" for pk, name, is_active in rows}
    return [*known.items(), *((pk, "A server that has been deleted") for pk in named if pk not in known)]


@functools.lru_cache(maxsize=4096)
def _address_of(mail_from: str) -> str:
    # A damaged row, which no form stores, has no address and must not stop the others.
    return sender_of(mail_from)


@functools.lru_cache(maxsize=4096)
def _serves(mail_from: str, domain_name: str, own: str) -> bool:
    """Whether a server may send with this From: its own address, or one of its organisation's domains.

    :param own: the address of its Mail From; empty if it has none.
    """
    sender = _address_of(mail_from)
    if not sender:
        return False
    names = filter(None, (domain_name.lower(), own.rpartition("@")[2]))
    return sender == own or organisational_domain(domain_of(sender)) in map(organisational_domain, names)


def able(
    candidates: Sequence[Candidate],
    now: dt.datetime,
    *,
    rule: RoutingRule = DEFAULT,
    mail_from: str = "",
    named: Collection[int] = (),
    avoid: Container[int] = (),
    only: int | None = None,
    even_inactive: bool = False,
) -> Able:
    """Return the candidates that may and can send, and the obstacles of the others.

    :param rule: the routing rule that decides; ``only`` overrides it.
    :param mail_from: a From that overrides the server's own; empty: none.
    :param named: the servers that a campaign names; empty: all that the rule allows.
    :param avoid: servers that refused this very message.
    :param only: the one server that a person asked for.
    :param even_inactive: whether an inactive or paused server is fine, as for a test.
    """
    considered = _considered(candidates, rule, named, only)
    servers: list[Candidate] = []
    obstacles: list[tuple[Candidate, str]] = []
    free_at: list[dt.datetime] = []
    before_first = 0
    for candidate in considered:
        if candidate.server_id in avoid:
            obstacle = "did not take this message"
        elif not candidate.may_send_from(mail_from):
            obstacle = f"does not send for {mail_from}"
        elif (
            candidate.refused
            and not even_inactive
            and (address := sender_of(mail_from) or candidate.sender) in candidate.refused
        ):
            obstacle = f"refuses mail from {address}"
            if (when := candidate.refused[address]) is not None:
                free_at.append(when)
        else:
            obstacle = "" if even_inactive and candidate.room != 0 else candidate.obstacle(now)
            if obstacle and (when := candidate.free_at(now)) is not None:
                free_at.append(when)
        if obstacle:
            obstacles.append((candidate, obstacle))
        else:
            before_first = before_first if servers else len(obstacles)
            servers.append(candidate)
    return Able(
        rule,
        tuple(servers),
        tuple(obstacles),
        before_first,
        min(free_at, default=None),
        is_by_hand=only is not None,
        is_named=bool(named),
        nobody="" if considered else _nobody(candidates, rule, named),
    )


def choose(
    candidates: Sequence[Candidate],
    now: dt.datetime,
    *,
    rule: RoutingRule = DEFAULT,
    mail_from: str = "",
    named: Collection[int] = (),
    avoid: Container[int] = (),
    only: int | None = None,
    even_inactive: bool = False,
    spot: float = 0.0,
) -> Choice:
    """Return the server for a single message; parameters as in :func:`able`."""
    found = able(
        candidates,
        now,
        rule=rule,
        mail_from=mail_from,
        named=named,
        avoid=avoid,
        only=only,
        even_inactive=even_inactive,
    )
    return found.choice(spot)


def spot_of(number: int) -> float:
    """Return a position between 0 and 1 for the ``number``-th item; any run of numbers is spread evenly."""
    return number * 0.6180339887498949 % 1.0  # Multiples of the golden ratio leave the smallest gaps (Weyl).


def _considered(
    candidates: Sequence[Candidate], rule: RoutingRule, named: Collection[int], only: int | None
) -> Sequence[Candidate]:
    if only is not None:
        return [candidate for candidate in candidates if candidate.server_id == only]
    if not rule.server_ids and not named:
        return candidates
    allowed = rule.server_ids & frozenset(named) if rule.server_ids and named else rule.server_ids or frozenset(named)
    return [candidate for candidate in candidates if candidate.server_id in allowed]


def _nobody(candidates: Sequence[Candidate], rule: RoutingRule, named: Collection[int]) -> str:
    known = {candidate.server_id for candidate in candidates}
    if not known:
        return "There is no SMTP server yet. Add one to start sending."
    if named and known.isdisjoint(named):
        return "Every server that the campaign names has been deleted. Duplicate the campaign and choose others."
    if rule.server_ids and known.isdisjoint(rule.server_ids):
        return f"Every server that the routing rule “{rule.name}” names has been deleted. Choose others there."
    if rule.server_ids and named:
        return f"The routing rule “{rule.name}” allows none of the servers that the campaign names."
    return "The server that was asked for is not there any more."


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
    for number, (_, _, used, of) in enumerate(limited, start=1):
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


def _moment(instant: dt.datetime) -> str:
    return f"{instant:%d %B %Y %H:%M} UTC"
