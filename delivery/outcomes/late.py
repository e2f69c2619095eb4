"""Late outcomes: what reports by mail and webhooks, seconds to days after the acceptance, change about a message.

Only accepted and unconfirmed messages change, and only by a report about their last attempt: an earlier attempt was
followed by another one, which decided. Used quota stays used. The caller has proved that the report is about the
message, and counts each report once.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection
from django.db.models import Q

from contacts.consent import changes
from contacts.models import Suppression
from db.dialect import instant
from db.rows import rows
from delivery.content.message import Outgoing, without_recipient
from delivery.models import FAILED, Mailing, Message, ServerOutcome
from delivery.outcomes import consequences, server_outcomes, unreachable_domains
from mail.addresses import domain_of
from mail.replies.rules import Repeats
from smtpservers.models import SmtpServer

Status = Message.Status
REPORTED_STREAMS = (Mailing.Stream.CAMPAIGN, Mailing.Stream.SINGLE)


class LateKind(StrEnum):
    """How a report says that a message ended."""

    HARD = "hard"  # The address will never work.
    SOFT = "soft"  # It did not get there this time.
    CONTENT = "content"  # It was refused for its content or size.
    SERVER = "server"  # It was refused because of our server, domain or reputation.
    SUPPRESSED = "suppressed"  # The provider does not send to the address.


_STATUS = {
    LateKind.HARD: Status.BOUNCED,
    LateKind.SOFT: Status.BOUNCED,
    LateKind.CONTENT: Status.FAILED,
    LateKind.SERVER: Status.FAILED,
    LateKind.SUPPRESSED: Status.SUPPRESSED,
}


@dataclass(frozen=True, slots=True)
class LateOutcome:
    """One report's verdict on one message."""

    message: Message  # With its mailing.
    attempt: int  # Its number.
    kind: LateKind
    reason: str  # The reply, or a sentence.
    server_id: int = 0  # That of the attempt; 0: unknown, or deleted.
    rule: str = ""  # Of mail.replies.
    must_confirm: bool = False  # It suppresses only if DNS confirms that the domain takes no mail.
    limit: Repeats | None = None  # For soft bounces; see consequences.why_soft_bounces_suffice.
    reported: int = 0  # Messages to this address that other reports ended under the same rule, within the limit.
    incident: str = ""  # The kind of incident that a person should look at; empty: none.
    is_erased: bool = False  # Its person was erased: no text is kept, and no address suppressed.


def record(outcomes: Sequence[LateOutcome], now: dt.datetime) -> set[int]:
    """Record late outcomes with all that follows, in the caller's transaction; return the messages that changed."""
    if not outcomes:
        return set()
    first: dict[int, LateOutcome] = {}  # Of two about one message the first one changes it.
    for outcome in outcomes:
        first.setdefault(outcome.message.pk, outcome)
    changed = _update_messages(first, now)
    decisive = [outcome for pk, outcome in first.items() if pk in changed]
    _count_for_days(decisive, now)
    _stop_campaigns(decisive)
    _report_again(decisive)
    _suppress(outcomes, changed, now)
    for outcome in outcomes:
        if outcome.incident and outcome.server_id and not outcome.is_erased:
            why = without_recipient(outcome.reason, Outgoing.of(outcome.message))
            consequences.note_incident(outcome.server_id, outcome.incident, why, now)
    return changed


def note_delivered(at: Mapping[int, dt.datetime]) -> list[int]:
    """Note when messages reached the recipient's server, where that is not known yet; return those messages."""
    if not at:
        return []
    given, parameters = rows(numbers={"id": sorted(at)}, instants={"at": [at[pk] for pk in sorted(at)]})
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE delivery_message SET delivered_at = given.at FROM {given}"  # noqa: S608  # Of constants.
            " WHERE delivery_message.id = given.id AND delivery_message.delivered_at IS NULL"
            " RETURNING delivery_message.id",
            parameters,
        )
        return [row[0] for row in cursor.fetchall()]


def _update_messages(outcomes: Mapping[int, LateOutcome], now: dt.datetime) -> set[int]:
    given, parameters = rows(
        numbers={"id": list(outcomes), "number": [each.attempt for each in outcomes.values()]},
        texts={
            "status": [_STATUS[each.kind].value for each in outcomes.values()],
            "reason": ["" if each.is_erased else each.reason[:600] for each in outcomes.values()],
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE delivery_message SET status = given.status, reason = given.reason, changed_at = {instant()}"  # noqa: S608
            f" FROM {given} WHERE delivery_message.id = given.id AND delivery_message.attempt_count = given.number"
            " AND delivery_message.status IN ('accepted', 'unconfirmed') RETURNING delivery_message.id",
            [connection.ops.adapt_datetimefield_value(now), *parameters],
        )
        return {row[0] for row in cursor.fetchall()}


def _count_for_days(outcomes: Iterable[LateOutcome], now: dt.datetime) -> None:
    """Count today what was counted as accepted once; an unconfirmed message counts as not accepted already."""
    bad = [each for each in outcomes if each.message.status == Status.ACCEPTED and _STATUS[each.kind] in FAILED]
    ids = {each.server_id for each in bad}
    names = dict(SmtpServer.objects.filter(pk__in=ids).order_by().values_list("pk", "name"))
    server_outcomes.add(Counter((names.get(each.server_id, ""), ServerOutcome.LATE) for each in bad), now)


def _stop_campaigns(outcomes: Iterable[LateOutcome]) -> None:
    """Add to the bad results of running campaigns, whose acceptances are counted already."""
    tallies: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    for each in outcomes:
        mailing = each.message.mailing
        is_counted = mailing.stream == Mailing.Stream.CAMPAIGN and each.message.copy_of_id is None
        if is_counted and each.server_id and mailing.finished_at is None:
            tally = tallies[mailing.pk, each.server_id]
            tally["hard_bounces"] += each.kind is LateKind.HARD
            tally["content_failures"] += each.kind is LateKind.CONTENT
    consequences.count_and_stop({key: tally for key, tally in tallies.items() if tally.total()}, {})


def _report_again(outcomes: Iterable[LateOutcome]) -> None:
    """Have Mail to unknown told of the failures of finished mailings."""
    mailings = {each.message.mailing_id for each in outcomes}
    finished = Q(stream__in=REPORTED_STREAMS, finished_at__isnull=False, is_reported=True)
    Mailing.objects.filter(finished, pk__in=mailings).update(is_reported=False)


def _suppress(outcomes: Iterable[LateOutcome], changed: Container[int], now: dt.datetime) -> None:
    """Suppress the addresses that were written to. A copy's address is dead all the same."""
    dead: dict[str, str] = {}
    not_sent_to: dict[str, str] = {}  # By the provider.
    for outcome in outcomes:
        message = outcome.message
        if message.redirected_to or message.mailing.stream not in REPORTED_STREAMS or outcome.is_erased:
            continue
        if outcome.kind is LateKind.SUPPRESSED:
            not_sent_to.setdefault(message.email, outcome.reason)
        elif why := _why_dead(outcome, now, has_changed=message.pk in changed):
            dead.setdefault(message.email, why)
    changes.suppress_all(dead, Suppression.Reason.HARD_BOUNCE, now)
    changes.suppress_all(not_sent_to, Suppression.Reason.PROVIDER, now)


def _why_dead(outcome: LateOutcome, now: dt.datetime, *, has_changed: bool) -> str:
    """Return why the address must get no more mail; empty if it may."""
    message = outcome.message
    if outcome.kind not in (LateKind.HARD, LateKind.SOFT):
        return ""
    is_hard = outcome.kind is LateKind.HARD
    if is_hard and outcome.must_confirm:  # Without confirmation it counts as soft: DNS over there may be broken.
        is_hard = unreachable_domains.is_known(domain_of(message.email), now)
    if is_hard or not has_changed:
        return outcome.reason if is_hard else ""
    return consequences.why_soft_bounces_suffice(
        message.email_key, outcome.reason, now, rule=outcome.rule, limit=outcome.limit, reported=outcome.reported
    )
