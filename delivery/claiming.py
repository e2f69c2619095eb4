"""Taking work: messages, their quota and their attempts on record in one transaction, before a byte is sent."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from contacts.models import Subscription, Suppression
from delivery import lanes, planning
from delivery.models import Attempt, Chunk, Mailing, Message
from delivery.outgoing import Outgoing
from delivery.planning import Share
from delivery.return_paths import ReturnPath
from mail.addresses import parse_mailbox
from smtpservers import reserving
from smtpservers.endpoint import domain_name_of
from smtpservers.models import SmtpServer

CLAIM_MESSAGES = 500
# What is kept of the server's switches with each attempt, so that a later edit does not rewrite history.
SWITCHES = (
    *("use_unsubscribe_link", "use_precedence", "use_return_path", "use_verp"),
    *("use_spam_address", "use_abuse_address"),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One message this worker may send now: its unit of quota is reserved and its attempt is on record."""

    message: Outgoing
    attempt_id: int
    number: int
    period_id: int
    period_ends_at: dt.datetime
    reserved_at: dt.datetime
    was_unconfirmed: bool = False  # It was sent in full before, and the answer was lost.


def claim(token: uuid.UUID, server: SmtpServer, share: Share, wanted: int, now: dt.datetime) -> list[Claim] | None:
    """Claim up to ``wanted`` messages of a share for its server; an empty list when there is nothing.

    :return: None when ``token`` holds the server's lane no more.
    """
    with transaction.atomic():
        if not lanes.holds(token):
            return None
        mailing = Mailing.objects.filter(pk=share.mailing_id, state="open").first()
        if mailing is None:
            return []
        wanted = planning.may_take(share, server.pk, min(wanted, CLAIM_MESSAGES))
        reservation = reserving.reserve(server, wanted, now, leave=share.leave) if wanted else None
        if reservation is None:
            return []
        messages = _take(share, server, reservation.units, now)
        claims = _write_attempts(token, server, mailing, messages, reservation, share.reason, now)
        reserving.settle(reservation.period_id, used=0, released=reservation.units - len(claims), now=now)
        planning.note_taken(share, server.pk, len(claims))
        return claims


def _take(share: Share, server: SmtpServer, wanted: int, now: dt.datetime) -> list[Message]:
    """Return locked messages to send: what came back first, then the front of the first chunk."""
    due = planning.due_of(share, now).select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "pk")
    found = [message for message in _with_people(due)[:wanted] if server.pk not in set(message.avoid)]
    if len(found) < wanted:
        found += _take_from_chunk(share, wanted - len(found))
    return found


def _take_from_chunk(share: Share, wanted: int) -> list[Message]:
    chunk = planning.chunks_of(share).select_for_update(skip_locked=True, of=("self",)).order_by("pk").first()
    if chunk is None:
        return []
    queued = Message.objects.filter(
        mailing=share.mailing_id, pk__gte=chunk.next_id, pk__lte=chunk.last_id, status="queued", due_at=None
    ).order_by("pk")
    found = list(_with_people(queued)[:wanted])
    if len(found) < wanted or found[-1].pk == chunk.last_id:
        chunk.delete()
    else:
        Chunk.objects.filter(pk=chunk.pk).update(next_id=found[-1].pk + 1)
    return found


def _with_people(messages: QuerySet[Message]) -> QuerySet[Message]:
    return messages.select_related("contact", "copy_of", "copy_of__contact")


def _write_attempts(
    token: uuid.UUID,
    server: SmtpServer,
    mailing: Mailing,
    messages: Sequence[Message],
    reservation: reserving.Reservation,
    reason: str,
    now: dt.datetime,
) -> list[Claim]:
    if not messages:
        return []
    domain = domain_name_of(server)
    header_from = mailing.mail_from or server.mail_from
    return_path = ReturnPath(server, parse_mailbox(header_from).address, mailing.stream)
    switches = {name: getattr(server, name) for name in SWITCHES}
    attempts = Attempt.objects.bulk_create(
        Attempt(
            message=message,
            number=message.attempt_count + 1,
            server=server,
            server_name=server.name,
            period_id=reservation.period_id,
            lane_token=token,
            choice=reason,
            started_at=now,
            envelope_from=return_path.of(message.pk, is_redirected=bool(message.redirected_to)),
            header_from=header_from,
            settings_used=switches,
        )
        for message in messages
    )
    _mark_sending([message.pk for message in messages], server, now)
    for message in messages:
        message.message_id = message.message_id or f"<{mailing.pk}.{message.pk}.{uuid.uuid4().hex[:12]}@{domain}>"
    _store_message_ids(messages)
    unconfirmed = set(
        Attempt.objects.filter(message__in=messages, outcome="unconfirmed").values_list("message__pk", flat=True)
        if mailing.stream == Mailing.Stream.SINGLE
        else ()
    )
    return [
        Claim(
            Outgoing.of(message),
            attempt.pk,
            attempt.number,
            reservation.period_id,
            reservation.ends_at,
            now,
            was_unconfirmed=message.pk in unconfirmed,
        )
        for message, attempt in zip(messages, attempts, strict=True)
    ]


def redirect(claim: Claim, server: SmtpServer, mailing: Mailing, to: str, reason: str) -> bool:
    """Write down that a single message goes to Mail To Unknown instead of its recipient; empty: that it does not."""
    message = claim.message
    message.redirected_to, message.reason = to, reason[:600]
    from_address = parse_mailbox(mailing.mail_from or server.mail_from).address
    sender = ReturnPath(server, from_address, mailing.stream).of(message.pk, is_redirected=bool(to))
    with transaction.atomic():
        Message.objects.filter(pk=message.pk).update(redirected_to=to, reason=message.reason)
        Attempt.objects.filter(pk=claim.attempt_id).update(envelope_from=sender)
    return True


def _mark_sending(message_ids: list[int], server: SmtpServer, now: dt.datetime) -> None:
    Message.objects.filter(pk__in=message_ids).update(
        status=Message.Status.SENDING, changed_at=now, due_at=None, server=server
    )


def _store_message_ids(messages: Sequence[Message]) -> None:
    """Fix each Message-ID at the first claim; fail-over keeps it."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "UPDATE delivery_message SET message_id = %s, attempt_count = attempt_count + 1 WHERE id = %s",
            [(message.message_id, message.pk) for message in messages],
        )


def stopped(message_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
    """Return which of these claimed messages must not be sent any more: (what to do, why) by message.

    The last look before MAIL: the mailing's state, the suppression list and the person's consent, as they are now.
    ``give back`` keeps the message for later; the other values are final statuses.
    """
    found: dict[int, tuple[str, str]] = {}
    subscriptions = Subscription.objects.filter(
        Q(contact=OuterRef("contact")) | Q(contact=OuterRef("copy_of__contact")),
        list__in=Mailing.lists.through._default_manager.filter(mailing=OuterRef(OuterRef("mailing"))).values(
            "contactlist"
        ),
    )
    rows = (
        Message.objects.filter(pk__in=message_ids)
        .annotate(
            is_suppressed=Exists(Suppression.objects.filter(email_key=OuterRef("email_key"))),
            original_is_suppressed=Exists(Suppression.objects.filter(email_key=OuterRef("copy_of__email_key"))),
            has_consent=Exists(subscriptions.filter(status=Subscription.Status.SUBSCRIBED)),
            has_withdrawn=Exists(subscriptions.filter(status=Subscription.Status.UNSUBSCRIBED)),
        )
        .values_list(
            "pk",
            "mailing__state",
            "mailing__stream",
            "is_suppressed",
            "original_is_suppressed",
            "has_consent",
            "has_withdrawn",
            "copy_of",
        )
    )
    for pk, state, stream, is_suppressed, original_is_suppressed, has_consent, has_withdrawn, copy_of in rows:
        if state == Mailing.State.CANCELLED:
            found[pk] = ("cancelled", "The mailing was cancelled.")
        elif state == Mailing.State.PAUSED:
            found[pk] = ("give back", "The mailing is paused.")
        elif (is_suppressed or original_is_suppressed) and stream != Mailing.Stream.TEST:
            found[pk] = ("suppressed", "On the suppression list.")
        elif stream == Mailing.Stream.CAMPAIGN and not has_consent and copy_of is None:
            found[pk] = ("suppressed", "Unsubscribed." if has_withdrawn else "No longer on a list of this mailing.")
    return found
