"""What the forecast is made from: the fleet and the mail on its way, as the database has them now. Changes nothing."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from zoneinfo import ZoneInfo

from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.expressions import RawSQL

from campaigns.audience import audience_of
from campaigns.forecasting import ASSUMED, LIMIT, RECORD, Forecast, Part, ServerState, Work, forecast
from campaigns.models import Campaign
from campaigns.timing import begins_at, hours_of, starts_of
from contacts.models import Contact
from contacts.reaching import reached
from delivery import counting
from delivery.composing import copy_addresses
from delivery.models import Attempt, Chunk, LaterChunk, Mailing, Message, Taken
from smtpservers import pace, routes, selection
from smtpservers.models import QuotaPeriod, SmtpServer
from smtpservers.routes import Rule
from smtpservers.senders import refused, sender_of

ASSUMED_PER_SECOND = 10.0  # Of a server without a rate that has sent nothing lately.
RECORD_ATTEMPTS = 10_000  # The latest, which a server's own speed is read from.
LEAST_RECORD = 50  # Messages; fewer say nothing.
PAUSE = dt.timedelta(seconds=5)  # Longer without an answer, and the server was not sending.
Status = Campaign.Status


def foresee(campaign: Campaign, now: dt.datetime) -> Forecast:
    """Return what is to be expected of a campaign that is queued now, or of the rest of one that is on its way."""
    starts_at = begins_at(campaign, now)
    ours = _rest(campaign) if campaign.mailing_id else _whole(campaign, starts_at)
    named = frozenset(campaign.server_ids)
    candidates = selection.fleet(now)
    every = routes.rules()
    parts = [*_others(campaign, candidates, every, starts_at), *_parts(campaign, ours, named, candidates, every)]
    return forecast(_fleet(now, campaign.mail_from, campaign.sends_copies), Work(tuple(parts)), starts_at)


# --- the fleet


def _fleet(now: dt.datetime, mail_from: str, sends_copies: bool) -> list[ServerState]:
    """Return every server in display order."""
    current = QuotaPeriod.objects.filter(server=OuterRef("pk"), starts_at__lte=now, ends_at__gt=now)
    taken = Subquery(current.order_by("-starts_at").annotate(taken=F("used") + F("reserved")).values("taken")[:1])
    servers = SmtpServer.objects.select_related("recent_use").annotate(taken=taken)
    records, kept_away = speeds(), refused(now)
    return [
        _state(server, records, kept_away.get(server.pk, {}), now, mail_from, sends_copies)
        for server in servers.order_by("display_order", "pk")
    ]


def _state(
    server: SmtpServer,
    records: Mapping[int, float],
    refusals: Mapping[str, dt.datetime | None],
    now: dt.datetime,
    mail_from: str,
    sends_copies: bool,
) -> ServerState:
    per_second, speed_from = pace.effective(server, now).per_second, LIMIT
    if per_second is None:
        per_second, speed_from = records.get(server.pk), RECORD
    recent = getattr(server, "recent_use", None)
    rests = [server.full_until]
    obstacle = "" if server.is_active else "is switched off"
    if server.paused_reason and server.paused_until is None:
        obstacle = obstacle or "is paused until an administrator looks at it"
    elif server.paused_reason:
        rests.append(server.paused_until)
    if (address := sender_of(mail_from or server.mail_from)) in refusals:
        rests.append(refusals[address])
        if refusals[address] is None:
            obstacle = obstacle or f"refuses mail from {address}"
    return ServerState(
        server.pk,
        server.name,
        per_second or ASSUMED_PER_SECOND,
        speed_from if per_second else ASSUMED,
        weight=server.weight,
        copies=len(copy_addresses(server)) if sends_copies else 0,
        obstacle=obstacle,
        rests_until=max((until for until in rests if until is not None and until > now), default=None),
        quota=server.max_per_month or None,
        taken=getattr(server, "taken", None) or 0,
        month_start_day=server.month_start_day,
        zone=ZoneInfo(server.time_zone),
        per_hour=server.max_per_hour or None,
        per_day=server.max_per_day or None,
        by_minute=recent.by_minute if recent else {},
        by_quarter=recent.by_quarter if recent else {},
    )


def speeds() -> dict[int, float]:
    """Return the messages a second that servers had accepted lately while they were sending."""
    rows = Attempt.objects.order_by("-pk").values_list("server", "finished_at", "outcome")[:RECORD_ATTEMPTS]
    instants: dict[int, list[dt.datetime]] = defaultdict(list)
    for server_id, finished_at, outcome in rows:
        if server_id is not None and finished_at is not None and outcome == Attempt.Outcome.ACCEPTED:
            instants[server_id].append(finished_at)
    return {server_id: speed for server_id, known in instants.items() if (speed := speed_of(known))}


def speed_of(instants: Iterable[dt.datetime]) -> float | None:
    """Return how many a second these are while they come, pauses not counted; None where they are too few."""
    known = sorted(instants)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(known) if later - earlier <= PAUSE]
    if len(known) < LEAST_RECORD or sum(gaps) < 1:
        return None
    return len(gaps) / sum(gaps)


# --- the mail


# How many messages of each routing class, and of these how many only later; the class is a rule's key, or 0.
_Counts = Mapping[int, tuple[int, tuple[tuple[dt.datetime, int], ...]]]


def _whole(campaign: Campaign, now: dt.datetime) -> _Counts:
    """Return the people whom a campaign reaches that has not begun."""
    starts = starts_of(campaign, now)
    people = _by_class(reached(audience_of(campaign), now), campaign.mail_from)
    counts: dict[int, int] = defaultdict(int)
    later: dict[int, list[tuple[dt.datetime, int]]] = defaultdict(list)
    by_zone = ("class_id", "time_zone") if starts else ("class_id",)
    for class_id, *zone, number in people.values_list(*by_zone).annotate(number=Count("pk")):
        counts[class_id] += number
        if zone and starts.get(zone[0], now) > now:
            later[class_id].append((starts[zone[0]], number))
    return {class_id: (number, tuple(later[class_id])) for class_id, number in counts.items()}


def _by_class(people: QuerySet[Contact], mail_from: str) -> QuerySet[Contact]:
    deciding = routes.applying(routes.rules(), mail_from)
    sql, parameters = routes.class_sql('"contacts_contact"."email_key"', deciding if len(deciding) > 1 else ())
    return people.order_by().annotate(class_id=RawSQL(sql, parameters))  # noqa: S611  # Constants and placeholders.


def _rest(campaign: Campaign) -> _Counts:
    assert campaign.mailing_id is not None
    return _rest_of(campaign.mailing_id)


def _rest_of(mailing_id: int) -> _Counts:
    """Return what is left of a mailing on its way; what was deferred counts to the class without a rule."""
    found = counting.by_status(mailing_id)
    pending = sum(found[status] for status in Message.PENDING)
    counts: dict[int, int] = defaultdict(int)
    later: dict[int, list[tuple[dt.datetime, int]]] = defaultdict(list)
    waiting = LaterChunk.objects.filter(mailing=mailing_id).order_by("opens_at")
    for route_id, opens_at, number in waiting.values_list("route", "opens_at").annotate(number=Sum("messages")):
        counts[route_id or 0] += number
        later[route_id or 0].append((opens_at, number))
    size = F("last_id") - F("next_id") + 1
    chunks = Chunk.objects.filter(mailing=mailing_id).order_by()
    for route_id, number in chunks.values_list("route").annotate(number=Sum(size)):
        counts[route_id or 0] += number
    counts[0] += max(0, pending - sum(counts.values()))
    return {class_id: (number, tuple(later[class_id])) for class_id, number in counts.items() if number}


def _parts(
    campaign: Campaign,
    counts: _Counts,
    named: frozenset[int],
    candidates: Sequence[selection.Candidate],
    every: Sequence[Rule],
    *,
    is_ours: bool = True,
    not_before: dt.datetime | None = None,
) -> list[Part]:
    deciding = routes.applying(every, campaign.mail_from)
    sent = _taken(campaign.mailing_id) if campaign.mailing_id else {}
    found: list[Part] = []
    for rule in deciding:
        class_id = rule.route_id if rule.recipient_domains else 0
        number, later = counts.get(class_id, (0, ()))
        if not number:
            continue
        found.append(
            Part(
                number,
                _may_carry(candidates, rule, campaign.mail_from, named),
                rule.strategy,
                is_ours,
                "" if rule.is_default else f"recipients of the routing rule “{rule.name}”",
                sent.get(rule.route_id, {}),
                later or (((not_before, number),) if not_before else ()),
                hours_of(campaign),
                campaign.not_after,
            )
        )
    return found


def _may_carry(
    candidates: Sequence[selection.Candidate], rule: Rule, mail_from: str, named: frozenset[int]
) -> tuple[int, ...]:
    """Return the servers that may send this mail, also those that cannot just now."""
    return tuple(
        candidate.server_id
        for candidate in candidates
        if (not rule.server_ids or candidate.server_id in rule.server_ids)
        and (not named or candidate.server_id in named)
        and candidate.may_send_from(mail_from)
    )


def _taken(mailing_id: int) -> dict[int, dict[int, int]]:
    found: dict[int, dict[int, int]] = defaultdict(dict)
    rows = Taken.objects.filter(mailing=mailing_id).values_list("rule", "server", "messages")
    for rule_id, server_id, messages in rows:
        found[rule_id][server_id] = messages
    return found


def _others(
    campaign: Campaign, candidates: Sequence[selection.Candidate], every: Sequence[Rule], starts_at: dt.datetime
) -> list[Part]:
    """Return the parts of the other campaigns that go first: on their way already, or due before this one."""
    on_their_way = Q(status=Status.SENDING, mailing__state=Mailing.State.OPEN, mailing__finished_at=None)
    if campaign.mailing_id:
        on_their_way &= Q(mailing__lt=campaign.mailing_id)
    ahead = on_their_way if campaign.mailing_id else on_their_way | Q(status=Status.SCHEDULED, starts_at__lt=starts_at)
    found: list[Part] = []
    first_made = F("mailing").asc(nulls_last=True)
    for other in Campaign.objects.filter(ahead, is_overdue=False).exclude(pk=campaign.pk).order_by(first_made, "pk"):
        waits = None
        if other.mailing_id:
            counts = _rest_of(other.mailing_id)
        else:
            counts, waits = _whole(other, starts_at), other.starts_at
        named = frozenset(other.server_ids)
        found += _parts(other, counts, named, candidates, every, is_ours=False, not_before=waits)
    return found
