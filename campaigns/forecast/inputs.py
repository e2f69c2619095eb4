"""The inputs of a forecast: the fleet and the mail on its way, read from the database. Changes nothing."""

import datetime as dt
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Q

from campaigns.content.written import Written
from campaigns.forecast.forecast import Forecast, ForecastWork, forecast
from campaigns.forecast.remaining import Lot, lots, lots_of_mailings
from campaigns.forecast.simulation import ASSUMED, LIMIT, RECORD, MailingPart, ServerState
from campaigns.models import Campaign
from campaigns.schedule import mailings
from campaigns.schedule.schedule import begins_at, hours_of
from delivery.content.copies import copy_addresses
from delivery.content.test_inbox import of_other_kind
from delivery.models import Attempt, Mailing, Taken
from smtpservers.limits import rate_limiter
from smtpservers.limits.quota_period import kept_from_campaigns
from smtpservers.limits.refused_senders import sender_of
from smtpservers.routing import rules
from smtpservers.routing.candidates import Candidate, at_once, lasting_obstacle, refusing
from smtpservers.routing.fleet import Fleet
from smtpservers.routing.rules import RoutingRule

ASSUMED_PER_SECOND = 10.0  # For a server without a rate that has sent too little recently.
RECORD_ATTEMPTS = 10_000  # The latest attempts, from which the speeds of servers are measured.
LEAST_RECORD = 50  # Messages. Fewer are too few to measure a speed.
PAUSE = dt.timedelta(seconds=5)  # After a longer gap between two answers the server was not sending.
Status = Campaign.Status


def forecast_campaign(campaign: Campaign, now: dt.datetime) -> Forecast:
    """Return the forecast of a campaign that is queued now, or of the unsent messages of one that is on its way.

    :raises NotCounted: as :meth:`campaigns.audience.headcounts.Headcounts.once` does.
    """
    return forecast_of(Written(campaign), Fleet(now))


def forecast_of(written: Written, fleet: Fleet) -> Forecast:
    """Return the same for a campaign and a fleet that the caller has read.

    :raises NotCounted: as :func:`forecast_campaign` does.
    """
    campaign = written.campaign
    starts_at = begins_at(campaign, fleet.now, written.headcounts)
    parts: list[MailingPart] = []
    ahead: list[Lot] = []
    ours = [lot for lot in lots(written, starts_at, fleet.rules) if lot.messages]
    others = _others(campaign, ours, starts_at)
    for lot in ours:
        found = _ahead(lot, others, ahead, starts_at, fleet.rules)
        ahead += found
        parts += [part for other in found for part in _parts(other, fleet, is_ours=False)]
        parts += _parts(lot, fleet)
    states = _states(fleet, campaign, _other_kind(fleet, written.mailing_ids))
    expected = forecast(states, ForecastWork(tuple(parts)), starts_at)
    waiting = [lot for lot in ours if lot.not_before is not None]
    retries = [(at, number) for lot in ours for at, number in lot.retries if at > starts_at]
    return replace(
        expected,
        waiting=sum(lot.messages for lot in waiting),
        waiting_until=min((lot.not_before for lot in waiting if lot.not_before), default=None),
        retried=sum(number for _, number in retries),
        retried_at=min((at for at, _ in retries), default=None),
    )


# --- the fleet


def _other_kind(fleet: Fleet, mailing_ids: Collection[int]) -> dict[int, str]:
    """Return why servers can't take the rest of a campaign that began for the test inbox, or for real mailboxes."""
    mailing = Mailing.objects.filter(pk__in=mailing_ids).only("is_for_test_inbox").first() if mailing_ids else None
    return {} if mailing is None else of_other_kind(fleet.candidates, mailing.is_for_test_inbox)


def _states(fleet: Fleet, campaign: Campaign, barred: Mapping[int, str]) -> list[ServerState]:
    """Return every server in display order."""
    records = speeds()
    return [
        _state(server, records, candidate, fleet.now, campaign, barred.get(server.pk, ""))
        for server, candidate in zip(fleet.servers, fleet.candidates, strict=True)
    ]


def _state(
    server: Any,
    records: Mapping[int, float],
    candidate: Candidate,
    now: dt.datetime,
    campaign: Campaign,
    barred: str,
) -> ServerState:
    per_second, speed_from = rate_limiter.effective(server, now).per_second, LIMIT
    if per_second is None:
        per_second, speed_from = records.get(server.pk), RECORD
    rests = [server.full_until]
    obstacle = lasting_obstacle(server) or barred or candidate.unsigned(campaign.mail_from)
    if server.paused_reason and server.paused_until is not None:
        rests.append(server.paused_until)
    if (address := sender_of(campaign.mail_from or server.mail_from)) in candidate.refused:
        rests.append(candidate.refused[address])
        if candidate.refused[address] is None:
            obstacle = obstacle or refusing(address)
    return ServerState(
        server.pk,
        server.name,
        per_second or ASSUMED_PER_SECOND,
        speed_from if per_second else ASSUMED,
        weight=server.weight,
        copies=len(copy_addresses(server)) if campaign.sends_copies else 0,
        obstacle=obstacle,
        is_slowed=at_once(server, now) is not None,
        rests_until=max((until for until in rests if until is not None and until > now), default=None),
        quota=(server.max_per_month or 0) - kept_from_campaigns(server.max_per_month) or None,
        taken=server.period_taken or 0,
        month_start_day=server.month_start_day,
        zone=ZoneInfo(server.time_zone),
        per_hour=server.max_per_hour or None,
        per_day=server.max_per_day or None,
        by_minute=server.by_minute or {},
        by_quarter=server.by_quarter or {},
    )


def speeds() -> dict[int, float]:
    """Return the messages per second that each server recently accepted, without pauses, by its id."""
    rows = Attempt.objects.order_by("-pk").values_list("batch__server", "finished_at", "outcome")[:RECORD_ATTEMPTS]
    instants: dict[int, list[dt.datetime]] = defaultdict(list)
    for server_id, finished_at, outcome in rows:
        if server_id is not None and finished_at is not None and outcome == Attempt.Outcome.ACCEPTED:
            instants[server_id].append(finished_at)
    return {server_id: speed for server_id, known in instants.items() if (speed := speed_of(known))}


def speed_of(instants: Iterable[dt.datetime]) -> float | None:
    """Return the rate of these instants per second, without pauses; None if they are too few."""
    known = sorted(instants)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(known) if later - earlier <= PAUSE]
    if len(known) < LEAST_RECORD or sum(gaps) < 1:
        return None
    return len(gaps) / sum(gaps)


# --- the mail


def _parts(lot: Lot, fleet: Fleet, *, is_ours: bool = True) -> list[MailingPart]:
    campaign = lot.campaign
    deciding = rules.applying(fleet.rules, campaign.mail_from)
    named = frozenset(campaign.server_ids)
    sent = _taken(lot.mailing_id) if lot.mailing_id else {}
    found: list[MailingPart] = []
    for rule in deciding:
        class_id = rule.route_id if rule.recipient_domains else 0
        number, later = lot.counts.get(class_id, (0, ()))
        if not number:
            continue
        found.append(
            MailingPart(
                number,
                _may_carry(fleet.candidates, rule, campaign.mail_from, named),
                rule.strategy,
                is_ours,
                "" if rule.is_default else f"recipients of the routing rule “{rule.name}”",
                sent.get(rule.route_id, {}),
                later or (((lot.not_before, number),) if lot.not_before else ()),
                hours_of(campaign),
                campaign.not_after,
            )
        )
    return found


def _may_carry(
    candidates: Sequence[Candidate], rule: RoutingRule, mail_from: str, named: frozenset[int]
) -> tuple[int, ...]:
    """Return the ids of servers that are allowed to send this mail, even if they cannot send just now."""
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


def _others(campaign: Campaign, ours: Sequence[Lot], starts_at: dt.datetime) -> list[Written]:
    """Return the other campaigns on their way, and those due before the last of ``ours`` may start."""
    if not ours:
        return []
    latest = max((lot.not_before or starts_at for lot in ours if lot.mailing_id is None), default=None)
    is_first = Q(status=Status.SENDING)
    if latest is not None:
        is_first |= Q(status=Status.SCHEDULED, starts_at__lt=latest)
    others = Campaign.objects.filter(is_first, is_overdue=False).exclude(pk=campaign.pk)
    return Written.each(others.order_by("pk"))


def _ahead(
    lot: Lot,
    others: Iterable[Written],
    known: Collection[Lot],
    starts_at: dt.datetime,
    every: Sequence[RoutingRule],
) -> list[Lot]:
    """Return other campaigns' mail that goes first: on its way already, or due earlier. Skips ``known`` lots."""
    sending = [other for other in others if other.campaign.status == Status.SENDING]
    older = mailings.mailings_of(other.campaign.pk for other in sending)
    older = older.filter(state=Mailing.State.OPEN, finished_at=None)
    if lot.mailing_id is not None:
        older = older.filter(pk__lt=lot.mailing_id)
    ids = set(older.values_list("pk", flat=True)) - {each.mailing_id for each in known}
    found = sorted(
        (each for other in sending for each in lots_of_mailings(other, ids)), key=lambda each: each.mailing_id or 0
    )
    if lot.mailing_id is None:
        before, seen = lot.not_before or starts_at, {each.campaign.pk for each in known}
        for other in others:
            due_at = other.campaign.starts_at
            is_waiting = other.campaign.status == Status.SCHEDULED and other.campaign.pk not in seen
            if is_waiting and due_at is not None and due_at < before:
                # Of an A/B test only the sample goes first: the mailing to the rest is made when its winner is chosen.
                fresh = [each for each in lots(other, starts_at, every) if each.not_before is None]
                found += [replace(each, not_before=due_at) for each in fresh]
    return found
