"""Records of results: writes attempts, message statuses, quota and counts. The only writer of a server's answer.

Results come in groups. A group is one transaction under the lane's token: a worker that lost its lane records nothing,
and the recovery settles its attempts instead.
"""

import datetime as dt
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import NamedTuple

from django.db import IntegrityError, connection, transaction
from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce

from db.dialect import instant, locking
from db.rows import rows
from delivery.content.copies import COPIED_STREAMS, copy_addresses
from delivery.models import Batch, Mailing, Message, StatusCount
from delivery.outbox import leases
from delivery.outbox.mailings import CANCELLED_REASON
from delivery.outcomes import account_limits, consequences, server_outcomes
from delivery.outcomes.result import Result
from delivery.outcomes.verdicts import Judgement
from mail.addresses import fold
from smtpservers.limits import reservations
from smtpservers.models import SmtpServer

GIVEN_BACK = "not_sent"
_UNLESS_KNOWN = "ON CONFLICT (message_id, number) DO NOTHING RETURNING message_id, number"
LATE_AT_ONCE = 5_000  # Messages per call that were deferred while their mailing was cancelled.


def given_back(reason: str, wait: dt.timedelta = dt.timedelta(0)) -> Judgement:
    """Return the judgement of a claimed message that is released unsent and stays queued."""
    return Judgement(GIVEN_BACK, "queued", reason, wait=wait)


def ended(status: str, reason: str, rule: str = "") -> Judgement:
    """Return the judgement of a message that ends unsent: suppressed, cancelled or failed."""
    return Judgement(GIVEN_BACK, status, reason, rule)


def record(token: uuid.UUID, results: Sequence[Result], now: dt.datetime) -> bool:
    """Record a group of results. False, with nothing recorded, if ``token`` lost its lane."""
    try:
        is_recorded = _record(token, results, now, are_new=True)
    except IntegrityError:  # Some of them are on record already.
        is_recorded = _record(token, results, now, are_new=False)
    if is_recorded:
        account_limits.review_answers(results, now)
    return is_recorded


def _record(token: uuid.UUID, results: Sequence[Result], now: dt.datetime, *, are_new: bool) -> bool:
    with transaction.atomic():
        if not leases.holds(token):
            return False
        settle(results, now, are_new=are_new)
    return True


def settle(results: Sequence[Result], now: dt.datetime, *, are_new: bool = False) -> None:
    """Record results in the caller's transaction, without a check of the lane. Each attempt is recorded once.

    :param are_new: whether no attempt is on record yet, which saves a third of the work.
    :raises IntegrityError: if ``are_new`` is wrong.
    """
    if not results:
        return
    batches = _lock_batches(results)
    results = _write_attempts(results, batches, now, are_new=are_new)
    _update_messages(results, now)
    account_limits.note(results, now)
    _leave_batches(results, batches)
    groups = _group_alike(results)
    _settle_quota(groups, now)
    _count_outcomes(groups, batches, now)
    if any(batch.has_copies for batch in batches.values()):
        _make_copies(results, now)
    consequences.act(results, now)


class _Locked(NamedTuple):
    """A locked batch, with the fields that recording needs."""

    open_count: int
    server_name: str
    return_path: str
    has_copies: bool  # Whether its server has CC or BCC addresses now.


def _lock_batches(results: Iterable[Result]) -> dict[int, _Locked]:
    """Lock the open batches of the attempts, in the order of their keys, and return them."""
    ids = sorted({result.attempt_id // Batch.MOST for result in results})
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT b.id, b.open_count, b.server_name, b.return_path,"  # noqa: S608
            " COALESCE(s.mail_cc <> '' OR s.mail_bcc <> '', FALSE)"
            " FROM delivery_batch b LEFT JOIN smtpservers_smtpserver s ON s.id = b.server_id"
            f" WHERE b.id IN ({', '.join(['%s'] * len(ids))}) AND b.open_count > 0"
            f" ORDER BY b.id {locking('FOR UPDATE OF b')}",
            ids,
        )
        return {row[0]: _Locked(*row[1:]) for row in cursor.fetchall()}


def _write_attempts(
    results: Sequence[Result], batches: Mapping[int, _Locked], now: dt.datetime, *, are_new: bool
) -> Sequence[Result]:
    """Insert the attempts, and return the results whose attempts were new."""
    of_batch = [result.attempt_id // Batch.MOST for result in results]
    if len(batches) < len(set(of_batch)):  # Those of closed batches are recorded.
        results = [result for result, batch in zip(results, of_batch, strict=True) if batch in batches]
        of_batch = [result.attempt_id // Batch.MOST for result in results]
    if not results:
        return []
    paths = [batches[batch].return_path for batch in of_batch]
    replies = [str(r.reply) if r.reply else r.judgement.reason for r in results]
    given, parameters = rows(
        numbers={
            "batch": of_batch,
            "message": [r.message.pk for r in results],
            "number": [r.message.attempt_count + 1 for r in results],
            "code": [r.reply.code if r.reply else None for r in results],
        },
        texts={
            "outcome": [r.judgement.outcome for r in results],
            "stage": [r.stage for r in results],
            "reply": [reply[:600] for reply in replies],
            "rule": [r.judgement.rule for r in results],
            "envelope_from": [
                "" if r.message.envelope_from == path else r.message.envelope_from
                for r, path in zip(results, paths, strict=True)
            ],
        },
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO delivery_attempt
                (message_id, batch_id, finished_at, number, code, outcome, stage, reply, rule, envelope_from)
            SELECT given.message, given.batch, {instant()}, given.number, given.code, given.outcome, given.stage,
                given.reply, given.rule, given.envelope_from
            FROM {given} WHERE TRUE {"" if are_new else _UNLESS_KNOWN}
            """,  # noqa: S608  # Made of constants and placeholders.
            [connection.ops.adapt_datetimefield_value(now), *parameters],
        )
        if are_new:
            return results
        written = set(cursor.fetchall())
    return [r for r in results if (r.message.pk, r.message.attempt_count + 1) in written]


def _update_messages(results: Sequence[Result], now: dt.datetime) -> None:
    if not results:
        return
    cancelled = _cancelled(results)
    next_states = [_next_state(result, now, cancelled) for result in results]
    ids = [r.message.pk for r in results]
    given, parameters = rows(
        numbers={
            "id": ids,
            "server": [r.server_id or None for r in results],  # Zero: the server was deleted in the meantime.
            "number": [r.message.attempt_count + 1 for r in results],
        },
        texts={
            "status": [status for status, _, _ in next_states],
            "reason": [reason[:600] for _, reason, _ in next_states],
            "message_id": [r.message.message_id for r in results],
        },
        instants={"due_at": [due_at for _, _, due_at in next_states]},
    )
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE delivery_message SET status = given.status, reason = given.reason, due_at = given.due_at,
                changed_at = {instant()}, server_id = given.server, attempt_count = given.number,
                message_id = given.message_id
            FROM {given} WHERE delivery_message.id = given.id AND delivery_message.id BETWEEN %s AND %s
            """,  # noqa: S608  # Made of constants and placeholders.
            [connection.ops.adapt_datetimefield_value(now), *parameters, min(ids), max(ids)],
        )
    for result in results:
        if result.judgement.avoids_server:
            avoid = sorted({*result.message.avoid, result.server_id})
            Message.objects.filter(pk=result.message.pk).update(avoid=avoid, is_refused=result.judgement.is_final)


def _cancelled(results: Iterable[Result]) -> set[int]:
    mailings = {result.mailing_id for result in results if result.judgement.wait is not None}
    if not mailings:
        return set()
    return set(Mailing.objects.filter(pk__in=mailings, state="cancelled").values_list("pk", flat=True))


def _next_state(result: Result, now: dt.datetime, cancelled: Container[int]) -> tuple[str, str, dt.datetime | None]:
    """Return the new status, reason and due time of a result's message."""
    judgement, message = result.judgement, result.message
    reason = message.reason if judgement.is_accepted and message.redirected_to else judgement.reason
    if judgement.wait is None:
        return judgement.status, reason, None
    if result.mailing_id in cancelled:  # Its messages are not tried again.
        return Message.Status.CANCELLED, CANCELLED_REASON, None
    due_at = now + judgement.wait * random.uniform(0.8, 1.2)
    if judgement.status == Message.Status.DEFERRED and message.expires_at and message.expires_at < due_at:
        return Message.Status.EXPIRED, f"Given up: {reason}", None  # The next try would be too late.
    return judgement.status, reason, due_at


def _leave_batches(results: Iterable[Result], batches: Mapping[int, _Locked]) -> None:
    recorded = Counter(result.attempt_id // Batch.MOST for result in results)
    with connection.cursor() as cursor:
        for batch_id, number in recorded.items():
            if number >= batches[batch_id].open_count:
                cursor.execute("UPDATE delivery_batch SET open_count = 0, claims = '[]' WHERE id = %s", [batch_id])
            else:
                cursor.execute(
                    "UPDATE delivery_batch SET open_count = open_count - %s WHERE id = %s", [number, batch_id]
                )


def _group_alike(results: Iterable[Result]) -> list[tuple[Result, int]]:
    """Group results that are counted alike; return one result of each group with the size of the group.

    All results of a batch share mailing, server and quota period.
    """
    kinds: dict[tuple[int, int, bool], list[Result]] = defaultdict(list)
    for result in results:
        kinds[result.attempt_id // Batch.MOST, id(result.judgement), result.message.copy_of is None].append(result)
    return [(kind[0], len(kind)) for kind in kinds.values()]


def _settle_quota(groups: Iterable[tuple[Result, int]], now: dt.datetime) -> None:
    used: dict[int, int] = defaultdict(int)
    released: dict[int, int] = defaultdict(int)
    ledger: dict[int, list[dt.datetime]] = defaultdict(list)
    for result, number in groups:
        if result.judgement.holds_unit and result.server_id:  # Zero: the server was deleted in the meantime.
            ledger[result.server_id] += [result.reserved_at] * number
        if result.period_id is not None:
            (used if result.judgement.holds_unit else released)[result.period_id] += number
    for period_id in sorted({*used, *released}):
        reservations.settle(period_id, used=used[period_id], released=released[period_id], now=now)
    for server_id in sorted(ledger):
        reservations.write_ledger(server_id, ledger[server_id])


def _count_outcomes(groups: Iterable[tuple[Result, int]], batches: Mapping[int, _Locked], now: dt.datetime) -> None:
    """Add to the stored counts of attempts: per campaign, and per server for all mail."""
    of_mailings: Counter[tuple[int, str, str]] = Counter()
    of_servers: Counter[tuple[str, str]] = Counter()
    for result, number in groups:
        if (outcome := result.judgement.outcome) == GIVEN_BACK:
            continue
        server = batches[result.attempt_id // Batch.MOST].server_name
        of_servers[server, outcome] += number
        if result.stream == Mailing.Stream.CAMPAIGN and result.message.copy_of is None:
            of_mailings[result.mailing_id, server, outcome] += number
    minute = now.replace(second=0, microsecond=0)
    adapt = connection.ops.adapt_datetimefield_value
    with connection.cursor() as cursor:
        # Sorted, so that two workers cannot deadlock.
        for (mailing_id, server, outcome), number in sorted(of_mailings.items()):
            cursor.execute(
                "INSERT INTO delivery_mailingoutcome AS o"
                " (mailing_id, server_name, minute_at, outcome, number, first_at) VALUES (%s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (mailing_id, minute_at, server_name, outcome)"
                " DO UPDATE SET number = o.number + excluded.number",
                [mailing_id, server, adapt(minute), outcome, number, adapt(now)],
            )
    server_outcomes.add(of_servers, now)


def _make_copies(results: Iterable[Result], now: dt.datetime) -> None:
    """Queue the CC and BCC copies of accepted messages. Each copy is a message of its own."""
    accepted = [
        r
        for r in results
        if r.judgement.is_accepted
        and r.stream in COPIED_STREAMS
        and r.message.copy_of_id is None
        and not r.message.redirected_to
    ]
    if not accepted:
        return
    copying = SmtpServer.objects.filter(pk__in={result.server_id for result in accepted})
    servers = {server.pk: server for server in copying.exclude(mail_cc="", mail_bcc="").only("mail_cc", "mail_bcc")}
    if not servers:
        return
    with_copies = set(
        Mailing.objects.filter(pk__in={result.mailing_id for result in accepted}, sends_copies=True).values_list(
            "pk", flat=True
        )
    )
    copies = [
        Message(
            mailing_id=result.mailing_id,
            contact=None,
            email=address,
            email_key=fold(address),
            copy_of_id=result.message.pk,
            copy_kind=kind,
            changed_at=now,
            due_at=now,
            expires_at=result.message.expires_at,
        )
        for result in accepted
        if result.server_id in servers and result.mailing_id in with_copies
        for kind, address in copy_addresses(servers[result.server_id])
        if fold(address) != result.message.email_key
    ]
    if copies:
        Message.objects.bulk_create(copies, ignore_conflicts=True)
        Mailing.objects.filter(pk__in={copy.mailing_id for copy in copies}).update(finished_at=None)


def finish_mailings(now: dt.datetime) -> int:
    """Finish the mailings with nothing left to send, and return their number."""
    unfinished = Mailing.objects.filter(finished_at=None, is_snapshotted=True)
    # Messages that were deferred at the moment when their mailing was cancelled.
    late = Message.objects.filter(mailing__in=unfinished.filter(state="cancelled").values("pk"), due_at__isnull=False)
    some = list(late.order_by("due_at").values_list("pk", flat=True)[:LATE_AT_ONCE])
    late.filter(pk__in=some).update(
        status=Message.Status.CANCELLED, changed_at=now, due_at=None, reason=CANCELLED_REASON
    )
    counts = StatusCount.objects.filter(mailing=OuterRef("pk"), status__in=Message.PENDING).order_by()
    pending = counts.values("mailing").annotate(sum=Sum("number")).values("sum")
    finished = unfinished.annotate(pending=Coalesce(Subquery(pending), 0)).filter(pending=0)
    return finished.update(finished_at=now, waiting_reason="", waiting_until=None)
