"""The only writer of delivery status after queueing: closes attempts and settles quota.

Results come in groups. A group is one transaction under the lane's token: a worker that lost its lane records
nothing, and the sweep settles its account instead.
"""

import datetime as dt
import random
import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence

from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from delivery import acting, lanes
from delivery.composing import HAS_COPIES, copy_addresses
from delivery.judging import Judgement
from delivery.models import Attempt, Mailing, Message
from delivery.outgoing import Result as Result
from mail.addresses import fold
from smtpservers import reserving
from smtpservers.models import SmtpServer

GIVEN_BACK = "not_sent"


def given_back(reason: str, wait: dt.timedelta = dt.timedelta(0)) -> Judgement:
    """Return the judgement of a message that was claimed and not begun."""
    return Judgement(GIVEN_BACK, "queued", reason, wait=wait)


def ended(status: str, reason: str) -> Judgement:
    """Return the judgement of a message that ends without being sent: suppressed, cancelled, failed."""
    return Judgement(GIVEN_BACK, status, reason)


def record(token: uuid.UUID, results: Sequence[Result], now: dt.datetime) -> bool:
    """Write a group of results down; False, and nothing written, when ``token`` lost its lane."""
    with transaction.atomic():
        if not lanes.holds(token):
            return False
        settle(results, now)
    return True


def settle(results: Sequence[Result], now: dt.datetime) -> None:
    """Write results down inside the caller's transaction, whoever holds the lane; each attempt is closed once."""
    results = _still_open(results)
    _close_attempts(results, now)
    _update_messages(results, now)
    _settle_quota(results, now)
    _make_copies(results, now)
    acting.act(results, now)


def _still_open(results: Sequence[Result]) -> list[Result]:
    ids = [result.attempt_id for result in results]
    still_open = set(
        Attempt.objects.select_for_update().filter(pk__in=ids, finished_at=None).values_list("pk", flat=True)
    )
    return [result for result in results if result.attempt_id in still_open]


def _close_attempts(results: Iterable[Result], now: dt.datetime) -> None:
    moment = connection.ops.adapt_datetimefield_value(now)
    rows = [
        (
            moment,
            result.judgement.outcome,
            result.stage,
            result.reply.code if result.reply else None,
            (str(result.reply) if result.reply else result.judgement.reason)[:600],
            result.judgement.rule,
            result.attempt_id,
        )
        for result in results
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE delivery_attempt SET finished_at = %s, outcome = %s, stage = %s, code = %s, reply = %s, rule = %s"
            " WHERE id = %s",
            rows,
        )


def _update_messages(results: Iterable[Result], now: dt.datetime) -> None:
    alike: dict[tuple[str, str, dt.timedelta | None], list[Result]] = defaultdict(list)
    for result in results:
        is_redirected = result.judgement.is_accepted and result.message.redirected_to
        reason = result.message.reason if is_redirected else result.judgement.reason
        alike[result.judgement.status, reason, result.judgement.wait].append(result)
    for (status, reason, wait), group in alike.items():
        ids = [result.message.pk for result in group]
        messages = Message.objects.filter(pk__in=ids)
        if wait is None:
            messages.update(status=status, reason=reason[:600], changed_at=now, due_at=None)
            continue
        due_at = now + wait * random.uniform(0.8, 1.2)
        messages.update(status=status, reason=reason[:600], changed_at=now, due_at=due_at)
        # What would come too late ends here; a cancelled mailing's messages do not come back.
        messages.filter(status="deferred", expires_at__lt=due_at).update(
            status=Message.Status.EXPIRED, due_at=None, reason=f"Given up: {reason}"[:600]
        )
        messages.filter(mailing__state="cancelled").update(
            status=Message.Status.CANCELLED, due_at=None, reason="The mailing was cancelled."
        )
    for result in results:
        if result.judgement.avoids_server:
            avoid = sorted({*result.message.avoid, result.server_id})
            Message.objects.filter(pk=result.message.pk).update(avoid=avoid)


def _settle_quota(results: Iterable[Result], now: dt.datetime) -> None:
    used: dict[int, int] = defaultdict(int)
    released: dict[int, int] = defaultdict(int)
    ledger: dict[int, list[dt.datetime]] = defaultdict(list)
    for result in results:
        if result.judgement.holds_unit and result.server_id:  # Zero: the server was deleted meanwhile.
            ledger[result.server_id].append(result.reserved_at)
        if result.period_id is not None:
            (used if result.judgement.holds_unit else released)[result.period_id] += 1
    for period_id in sorted({*used, *released}):
        reserving.settle(period_id, used=used[period_id], released=released[period_id], now=now)
    for server_id in sorted(ledger):
        reserving.write_ledger(server_id, ledger[server_id])


def _make_copies(results: Iterable[Result], now: dt.datetime) -> None:
    """CC and BCC copies are messages of their own, made when the original is accepted."""
    accepted = [
        r
        for r in results
        if r.judgement.is_accepted
        and r.stream in HAS_COPIES
        and r.message.copy_of_id is None
        and not r.message.redirected_to
    ]
    servers = SmtpServer.objects.in_bulk({result.server_id for result in accepted})
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
    """Close the mailings that have nothing left to send, and return how many they were."""
    unfinished = Mailing.objects.filter(finished_at=None, is_snapshotted=True)
    pending = Message.objects.filter(mailing=OuterRef("pk"), status__in=Message.PENDING)
    return unfinished.filter(~Exists(pending)).update(finished_at=now, waiting_reason="", waiting_until=None)
