"""The plan: how much of each mailing each server sends now, and why a mailing waits.

A plan takes a constant number of queries for any number of mailings and servers: every worker makes two a second.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.db.models import BigIntegerField, Count, Exists, F, Min, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import RawSQL
from django.db.models.functions import Coalesce, Least

from delivery import identity
from delivery.content.test_inbox import of_other_kind
from delivery.models import Chunk, Mailing, Message, Taken
from smtpservers.limits.quota_period import kept_from_campaigns
from smtpservers.routing import rules as routing_rules
from smtpservers.routing import selection
from smtpservers.routing.candidates import Candidate, fleet
from smtpservers.routing.rules import RoutingRule
from smtpservers.routing.strategies import Able, Portion
from words.texts import kept

# The most urgent stream first: nobody waits for a password behind a newsletter.
STREAM_ORDER = (Mailing.Stream.TEST, Mailing.Stream.SINGLE, Mailing.Stream.NOTICE, Mailing.Stream.CAMPAIGN)
URGENT = frozenset(STREAM_ORDER) - {Mailing.Stream.CAMPAIGN}
# How long an urgent message waits for its first server before another one may take it too, and how many may.
PATIENCE = dt.timedelta(seconds=2)
MOST_STANDING_BY = 3
# How many messages of a mailing are divided among its servers at once. The fastest server gets ahead of the slowest by
# its share of this window at most, apart from messages that are held back (at_once).
WINDOW_CHUNKS = 20
WINDOW_MESSAGES = 10_000
# The most shares of a plan, if many servers share many mailings, and the fewest servers that each mailing keeps then.
MOST_SHARES = 2_000
LEAST_SERVERS = 8

# The messages that a chunk has left: at most its count at the start, and at most its remaining ids.
ONLY_TEST_INBOX = "Only servers that lead to the Test inbox are left for this campaign. Choose others."
ONLY_REAL = "This campaign is for the Test inbox, and none of its servers leads there any more. Choose others."

_LEFT = Least(
    Coalesce(F("messages"), F("last_id"), output_field=BigIntegerField()),
    F("last_id") - F("next_id") + 1,
    output_field=BigIntegerField(),
)


@dataclass(frozen=True, slots=True)
class LaneShare:
    """One server's share of one mailing, and why the server was chosen."""

    mailing_id: int
    reason: str  # Shown with every attempt.
    stream: str = Mailing.Stream.CAMPAIGN
    at_most: int | None = None  # Messages it may claim before the next plan; None: as many as it can send.
    counted_for: int = 0  # The rule under which its claims are counted, if ``up_to`` is set.
    up_to: int | None = None  # The most messages it may claim under that rule in all; None: not counted.
    leave: int = 0  # Units of the server's quota that it leaves to other mail.
    sorted_by: tuple[RoutingRule, ...] = ()  # The rules that split the mailing by recipient domain, if any.
    class_id: int = 0  # The route whose recipients it serves; 0: recipients that no rule of ``sorted_by`` names.
    only_refused: bool = False  # Only messages that other servers refused.

    @property
    def is_all(self) -> bool:
        """Whether the share covers all messages of its mailing."""
        return not self.sorted_by and not self.only_refused

    @property
    def key(self) -> tuple[int, int, bool]:
        """The key that distinguishes it from the other shares of its server."""
        return self.mailing_id, self.class_id, self.only_refused


@dataclass(frozen=True, slots=True)
class ServerWork:
    """The shares of one server, the most urgent first."""

    server_id: int
    shares: tuple[LaneShare, ...]


@dataclass(slots=True)
class _Part:
    """Messages of one mailing that fall under the same routing rule."""

    mailing: Mailing
    rule: RoutingRule
    sorted_by: tuple[RoutingRule, ...] = ()
    count: int | None = None  # Their number, up to the window; None: not counted.

    @property
    def class_id(self) -> int:
        return self.rule.route_id if self.rule.recipient_domains else 0

    def share(self, portion: Portion, *, only_refused: bool = False) -> LaneShare:
        return LaneShare(
            self.mailing.pk,
            portion.reason,
            self.mailing.stream,
            None if only_refused else portion.at_most,
            self.rule.route_id,
            None if only_refused else portion.up_to,
            max(portion.leave, _reserve(portion.server.quota, self.mailing.stream)),
            self.sorted_by,
            self.class_id,
            only_refused,
        )


def plan(now: dt.datetime) -> list[ServerWork]:
    """Return the work of each server, and store why a mailing waits.

    While this database is a copy that waits for a person's answer, nothing is planned and no reason is changed.
    """
    if identity.why_held(now):
        return []
    mailings = _open_mailings(now)
    flowing: set[int] = set()
    waiting: dict[int, tuple[str, dt.datetime | None]] = {}
    work: dict[int, list[LaneShare]] = defaultdict(list)
    busy = [mailing for mailing in mailings if _has_work(mailing)]
    if busy:
        fleet = _Fleet(now)
        parts = _parts(busy, routing_rules.rules(), now)
        found = [(part, fleet.able(part)) for part in parts]
        shared = [part for part, able in found if able.is_shared]
        sizes, taken = _sizes(shared, now), _taken(part.mailing.pk for part in shared)
        refused, due_since = _refused(busy, now), _due_since(busy, now)
        promised: dict[int, int] = defaultdict(int)
        most_servers = max(LEAST_SERVERS, MOST_SHARES // max(1, len(shared)))
        for part, able in found:
            mailing = part.mailing
            if not able.servers:
                choice = able.choice()
                waiting.setdefault(mailing.pk, (choice.reason, choice.until))
                continue
            flowing.add(mailing.pk)
            count = part.count if part.count is not None else sizes.get(mailing.pk, 1)
            sent = taken.get((mailing.pk, part.rule.route_id), {})
            portions = able.portions(count, sent, promised, selection.spot_of(mailing.pk), most_servers)
            for portion in portions:
                promised[portion.server.server_id] += portion.at_most or 0
                work[portion.server.server_id].append(part.share(portion))
            if portions and mailing.pk in due_since:
                more = min(int((now - due_since[mailing.pk]) / PATIENCE), MOST_STANDING_BY)
                for portion, _ in zip(able.others(portions[0].server), range(more), strict=False):
                    work[portion.server.server_id].append(part.share(portion))
            for avoid in refused.get(mailing.pk, ()):
                if not any(portion.server.server_id not in avoid for portion in portions):
                    _plan_refused(part, avoid, fleet, work, now)
    _note_waiting(mailings, {pk: why for pk, why in waiting.items() if pk not in flowing})
    return [ServerWork(server_id, tuple(shares)) for server_id, shares in work.items()]


def is_anything_due(now: dt.datetime) -> bool:
    """Whether a message of any open mailing could be sent now."""
    return any(_has_work(mailing) for mailing in _open_mailings(now))


def due(mailing_id: int, now: dt.datetime) -> QuerySet[Message]:
    """Return the due messages of a mailing: outside its chunks, with their time reached."""
    return _all_due(now).filter(mailing=mailing_id)


def due_of(share: LaneShare, now: dt.datetime) -> QuerySet[Message]:
    """Return the due messages of a share: outside chunks, with their time reached."""
    messages = due(share.mailing_id, now)
    if share.only_refused:
        messages = messages.exclude(avoid=[])
    if share.sorted_by:
        messages = messages.annotate(class_id=_class_of(share.sorted_by)).filter(class_id=share.class_id)
    return messages


def chunks_of(share: LaneShare) -> QuerySet[Chunk]:
    """Return the chunks of a share. Chunks of a deleted rule count as not named by any rule."""
    if share.only_refused:
        return Chunk.objects.none()
    chunks = Chunk.objects.filter(mailing=share.mailing_id)
    if not share.sorted_by:
        return chunks
    if share.class_id:
        return chunks.filter(route=share.class_id)
    return chunks.exclude(route__in=[rule.route_id for rule in share.sorted_by if rule.recipient_domains])


def may_take(share: LaneShare, server_id: int, wanted: int) -> int:
    """Return how many of ``wanted`` messages the server may claim, by its present count and not by the plan's."""
    if share.up_to is None:
        return wanted
    taken = Taken.objects.filter(mailing=share.mailing_id, rule=share.counted_for, server=server_id)
    return max(0, min(wanted, share.up_to - (taken.values_list("messages", flat=True).first() or 0)))


def note_taken(share: LaneShare, server_id: int, messages: int) -> None:
    """Add the server's claims to its count, if the share is counted."""
    if share.up_to is None or not messages:
        return
    row = {"mailing_id": share.mailing_id, "rule": share.counted_for, "server_id": server_id}
    if not Taken.objects.filter(**row).update(messages=F("messages") + messages):
        Taken.objects.create(**row, messages=messages)  # No race: this worker holds the server's lane.


def sorting_rules(mail_from: str) -> tuple[RoutingRule, ...]:
    """Return the rules that split a mailing with this From by recipient domain; empty if no rule does."""
    found = routing_rules.applying(routing_rules.rules(), mail_from)
    return found if len(found) > 1 else ()


# --- mailings with work


def _open_mailings(now: dt.datetime) -> list[Mailing]:
    """Return the mailings that may be sent, the most urgent stream first."""
    found = (
        Mailing.objects.filter(finished_at=None, state="open", is_snapshotted=True)
        .filter(Q(opens_at=None) | Q(opens_at__lte=now), Q(closes_at=None) | Q(closes_at__gt=now))
        .annotate(
            has_chunks=Exists(Chunk.objects.filter(mailing=OuterRef("pk"))),
            has_due=Exists(_all_due(now).filter(mailing=OuterRef("pk"))),
        )
        .only(
            *("pk", "stream", "mail_from", "server_id", "server_ids", "is_for_test_inbox"),
            *("waiting_reason", "waiting_until"),
        )
    )
    return sorted(found, key=lambda mailing: (STREAM_ORDER.index(Mailing.Stream(mailing.stream)), mailing.pk))


def _has_work(mailing: Mailing) -> bool:
    return bool(mailing.has_chunks or mailing.has_due)  # type: ignore[attr-defined]  # Annotated.


def _all_due(now: dt.datetime) -> QuerySet[Message]:
    return Message.objects.filter(status__in=["queued", "deferred"], due_at__lte=now)


def _class_of(sorted_by: Sequence[RoutingRule]) -> RawSQL:
    sql, parameters = routing_rules.class_sql('"delivery_message"."email_key"', sorted_by)
    return RawSQL(sql, parameters)  # noqa: S611  # Made of constants and placeholders.


def _parts(mailings: Sequence[Mailing], every: Sequence[RoutingRule], now: dt.datetime) -> list[_Part]:
    """Return the mailings with work, split by the routing rules that apply to their messages."""
    deciding = {
        mailing_from: routing_rules.applying(every, mailing_from) for mailing_from in {m.mail_from for m in mailings}
    }
    is_sorted = [m for m in mailings if m.server_id is None and len(deciding[m.mail_from]) > 1]
    waiting = _counts_by_class(is_sorted, deciding, now) if is_sorted else {}
    parts: list[_Part] = []
    for mailing in mailings:
        rules = deciding[mailing.mail_from]
        if mailing.server_id is not None or len(rules) == 1:
            parts.append(_Part(mailing, rules[-1]))
            continue
        for rule in rules:
            class_id = rule.route_id if rule.recipient_domains else 0
            if count := waiting.get((mailing.pk, class_id)):
                parts.append(_Part(mailing, rule, rules, min(count, WINDOW_MESSAGES)))
    return parts


def _counts_by_class(
    mailings: Sequence[Mailing], deciding: Mapping[str, tuple[RoutingRule, ...]], now: dt.datetime
) -> dict[tuple[int, int], int]:
    """Return the approximate number of waiting messages by (mailing, class)."""
    found: dict[tuple[int, int], int] = defaultdict(int)
    named = {
        mailing.pk: {rule.route_id for rule in deciding[mailing.mail_from] if rule.recipient_domains}
        for mailing in mailings
    }
    chunks = Chunk.objects.filter(mailing__in=list(named)).order_by()
    for mailing_id, route_id, count in chunks.values_list("mailing", "route").annotate(count=Sum(_LEFT)):
        found[mailing_id, route_id if route_id in named[mailing_id] else 0] += count
    alike: dict[tuple[RoutingRule, ...], list[int]] = defaultdict(list)
    for mailing in mailings:
        if mailing.has_due:  # type: ignore[attr-defined]  # Annotated.
            alike[deciding[mailing.mail_from]].append(mailing.pk)
    for rules, ids in alike.items():
        messages = _all_due(now).filter(mailing__in=ids).order_by().annotate(class_id=_class_of(rules))
        for mailing_id, class_id, count in messages.values_list("mailing", "class_id").annotate(count=Count("pk")):
            found[mailing_id, class_id] += count
    return found


def _sizes(shared: Sequence[_Part], now: dt.datetime) -> dict[int, int]:
    """Return the number of messages that each mailing has left, up to the window."""
    ids = {part.mailing.pk for part in shared if part.count is None}
    if not ids:
        return {}
    of_mailing = Chunk.objects.filter(mailing=OuterRef("pk")).order_by("pk").values("pk")
    beyond = Subquery(of_mailing[WINDOW_CHUNKS : WINDOW_CHUNKS + 1])
    large = Mailing.objects.filter(pk__in=ids).annotate(beyond=beyond).filter(beyond__isnull=False)
    sizes = dict.fromkeys(large.values_list("pk", flat=True), WINDOW_MESSAGES)
    few = ids - set(sizes)
    for mailing_id, count in (
        *Chunk.objects.filter(mailing__in=few).order_by().values_list("mailing").annotate(count=Sum(_LEFT)),
        *_all_due(now).filter(mailing__in=few).order_by().values_list("mailing").annotate(count=Count("pk")),
    ):
        sizes[mailing_id] = min(sizes.get(mailing_id, 0) + count, WINDOW_MESSAGES)
    return sizes


def _taken(mailing_ids: Iterable[int]) -> dict[tuple[int, int], dict[int, int]]:
    """Return the number of messages that each server has claimed, by (mailing, rule)."""
    ids = set(mailing_ids)
    found: dict[tuple[int, int], dict[int, int]] = defaultdict(dict)
    rows = Taken.objects.filter(mailing__in=ids).values_list("mailing", "rule", "server", "messages") if ids else ()
    for mailing_id, rule_id, server_id, messages in rows:
        found[mailing_id, rule_id][server_id] = messages
    return found


def _due_since(mailings: Sequence[Mailing], now: dt.datetime) -> dict[int, dt.datetime]:
    """Return when the oldest due message of each urgent mailing became due, if more than one server may take it."""
    urgent = [m.pk for m in mailings if m.stream in URGENT and m.server_id is None and m.has_due]  # type: ignore[attr-defined]
    if not urgent:
        return {}
    messages = _all_due(now).filter(mailing__in=urgent).order_by()
    return dict(messages.values_list("mailing").annotate(since=Min("due_at")))


# --- refused messages


def _refused(mailings: Sequence[Mailing], now: dt.datetime) -> dict[int, list[frozenset[int]]]:
    """Return, by mailing, the sets of servers that refused its messages: one set for each combination."""
    ids = [mailing.pk for mailing in mailings if mailing.has_due]  # type: ignore[attr-defined]  # Annotated.
    found: dict[int, list[frozenset[int]]] = defaultdict(list)
    rows = _all_due(now).filter(mailing__in=ids).exclude(avoid=[]).order_by() if ids else Message.objects.none()
    for mailing_id, avoid in rows.values_list("mailing", "avoid").distinct():
        found[mailing_id].append(frozenset(avoid))
    return found


def _plan_refused(
    part: _Part, avoid: frozenset[int], fleet: "_Fleet", work: Mapping[int, list[LaneShare]], now: dt.datetime
) -> None:
    """Give messages refused by ``avoid`` to another server, and end them if no server is left."""
    able = fleet.able(part, avoid)
    if able.servers:
        portion = able.portions(1, {}, {}, selection.spot_of(part.mailing.pk))[0]
        work[portion.server.server_id].append(part.share(portion, only_refused=True))
    elif able.free_at is None:
        _end_refused(part.mailing.pk, avoid, now)


def _end_refused(mailing_id: int, refused: Iterable[int], now: dt.datetime) -> None:
    """End messages that no server is left for: a final refusal fails, a temporary one starts over later."""
    messages = due(mailing_id, now).filter(avoid=sorted(refused))
    messages.filter(is_refused=True).update(status="failed", changed_at=now, due_at=None)
    messages.update(avoid=[], is_refused=False, status="deferred", changed_at=now, due_at=now + settings.RETRY_WAITS[0])


# --- able servers


@dataclass(slots=True)
class _Fleet:
    """The present servers, with the answers for mailings of equal needs cached."""

    now: dt.datetime
    candidates: list[Candidate] = field(init=False)
    _other_kind: dict[bool, dict[int, str]] = field(
        init=False
    )  # Why campaigns for the test inbox, or not, bar servers.
    _of_streams: dict[str, list[Candidate]] = field(init=False, default_factory=dict)
    _known: dict[tuple[object, ...], Able] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.candidates = fleet(self.now)
        self._other_kind = {kind: of_other_kind(self.candidates, kind) for kind in (True, False)}

    def able(self, part: _Part, avoid: frozenset[int] = frozenset()) -> Able:
        """Return the servers that may and can take a part's messages."""
        mailing = part.mailing
        is_test = mailing.stream == Mailing.Stream.TEST
        named = tuple(mailing.server_ids)
        kind = mailing.is_for_test_inbox
        key = (part.rule.route_id, mailing.mail_from, named, mailing.server_id, mailing.stream, kind, avoid)
        if key not in self._known:
            barred = self._other_kind[kind] if mailing.stream == Mailing.Stream.CAMPAIGN else selection.NOBODY
            servers = self._of_stream(mailing.stream)
            able = selection.able(
                [server for server in servers if server.is_active or server.server_id not in barred],
                self.now,
                rule=part.rule,
                mail_from=mailing.mail_from,
                named=named,
                avoid=avoid,
                only=mailing.server_id,
                even_inactive=is_test,
                barred=barred,
            )
            is_none_else = not able.servers and all(server.server_id in barred for server, _ in able.obstacles)
            if is_none_else and set(barred).intersection(named or barred):
                able = replace(able, nobody=ONLY_REAL if kind else ONLY_TEST_INBOX)
            self._known[key] = able
        return self._known[key]

    def _of_stream(self, stream: str) -> list[Candidate]:
        """Return the servers with the quota that is left to this stream."""
        if stream not in self._of_streams:
            self._of_streams[stream] = [server.leaving(_reserve(server.quota, stream)) for server in self.candidates]
        return self._of_streams[stream]


def _reserve(quota: int | None, stream: str) -> int:
    """Return the units of a quota that mail of this stream leaves to other mail."""
    kept = kept_from_campaigns(quota)
    if stream == Mailing.Stream.CAMPAIGN:
        return kept
    # A notice that a server is nearly full must not use up its last unit, unless units are kept from campaigns.
    return 1 if stream == Mailing.Stream.NOTICE and quota and not kept else 0


def _note_waiting(mailings: Iterable[Mailing], waiting: Mapping[int, tuple[str, dt.datetime | None]]) -> None:
    """Store why mailings wait, if the reason changed."""
    changed: dict[tuple[str, dt.datetime | None], list[int]] = defaultdict(list)
    for mailing in mailings:
        reason, until = waiting.get(mailing.pk, ("", None))
        if (mailing.waiting_reason, mailing.waiting_until) != (reason[:500], until):
            changed[reason, until].append(mailing.pk)
    for (reason, until), ids in changed.items():
        # A mailing paused in the meantime keeps the reason of its pause.
        Mailing.objects.filter(pk__in=ids, state="open").update(
            waiting_reason=reason[:500], waiting_words=kept(reason), waiting_until=until
        )
