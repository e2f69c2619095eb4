"""Taking work: messages, their quota and their attempts on record in one transaction, before a byte is sent."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from contacts.models import Subscription, Suppression
from delivery import lanes, return_paths
from delivery.judging import BACK_OFF
from delivery.models import Attempt, Chunk, Mailing, Message
from mail.addresses import parse_mailbox
from smtpservers import reserving, selection
from smtpservers.endpoint import domain_name_of
from smtpservers.models import SmtpServer

CLAIM_MESSAGES = 500
LEFT_BY_NOTICES = 1  # Units of a quota that are for other mail.
# What is kept of the server's switches with each attempt, so that a later edit does not rewrite history.
SWITCHES = (
    *("use_unsubscribe_link", "use_precedence", "use_return_path", "use_verp"),
    *("use_spam_address", "use_abuse_address"),
)
# Who comes first: nobody waits for a password behind a newsletter.
STREAM_ORDER = (Mailing.Stream.TEST, Mailing.Stream.SINGLE, Mailing.Stream.NOTICE, Mailing.Stream.CAMPAIGN)


@dataclass(frozen=True, slots=True)
class Claim:
    """One message this worker may send now: its unit of quota is reserved and its attempt is on record."""

    message: Message
    attempt_id: int
    number: int
    period_id: int
    period_ends_at: dt.datetime
    reserved_at: dt.datetime
    was_unconfirmed: bool = False  # It was sent in full before, and the answer was lost.


@dataclass(frozen=True, slots=True)
class Work:
    """What one server is to send: mailings in order, each with the reason the server was chosen."""

    server_id: int
    mailings: tuple[tuple[int, str], ...]


def plan(now: dt.datetime) -> list[Work]:
    """Return which server sends which mailing now, and write down why a mailing waits."""
    fleet = selection.fleet(now)
    # A notice that a server is nearly full must not be what fills it.
    fleet_of_notices = [replace(server, room=server.room and server.room - LEFT_BY_NOTICES) for server in fleet]
    work: dict[int, list[tuple[int, str]]] = {}
    for mailing in open_mailings():
        if not has_due_work(mailing.pk, now):
            _note_waiting(mailing, "", None)
            continue
        candidates = fleet_of_notices if mailing.stream == Mailing.Stream.NOTICE else fleet
        choose = partial(
            selection.choose,
            candidates,
            now,
            mail_from=mailing.mail_from,
            only=mailing.server_id,
            even_inactive=mailing.stream == Mailing.Stream.TEST,
        )
        choice = choose()
        if choice.server is None:
            _note_waiting(mailing, choice.reason, choice.until)
            continue
        _note_waiting(mailing, "", None)
        work.setdefault(choice.server.server_id, []).append((mailing.pk, choice.reason))
        # A message that its mailing's server refused goes to the next one.
        refused = _servers_refused(mailing.pk, now)
        if choice.server.server_id in refused:
            other = choose(avoid=refused)
            if other.server is not None:
                work.setdefault(other.server.server_id, []).append((mailing.pk, other.reason))
            elif other.until is None:
                _end_refused(mailing.pk, refused, now)
    return [Work(server_id, tuple(mailings)) for server_id, mailings in work.items()]


def open_mailings() -> list[Mailing]:
    """Return the mailings that may be sent, the most urgent stream first."""
    found = Mailing.objects.filter(finished_at=None, state="open", is_snapshotted=True).only(
        "pk", "stream", "mail_from", "server_id", "waiting_reason", "waiting_until"
    )
    return sorted(found, key=lambda mailing: (STREAM_ORDER.index(Mailing.Stream(mailing.stream)), mailing.pk))


def has_due_work(mailing_id: int, now: dt.datetime) -> bool:
    """Whether a message of the mailing could be sent now."""
    return Chunk.objects.filter(mailing=mailing_id).exists() or _due(mailing_id, now).exists()


def _due(mailing_id: int, now: dt.datetime) -> QuerySet[Message]:
    return Message.objects.filter(mailing=mailing_id, status__in=["queued", "deferred"], due_at__lte=now)


def _servers_refused(mailing_id: int, now: dt.datetime) -> set[int]:
    rows = _due(mailing_id, now).exclude(avoid=[]).values_list("avoid", flat=True)[:50]
    return {server_id for avoid in rows for server_id in avoid}


def _end_refused(mailing_id: int, refused: set[int], now: dt.datetime) -> None:
    """No server is left for what was refused: a final refusal fails, a temporary one starts over later."""
    messages = _due(mailing_id, now).filter(avoid=sorted(refused))
    messages.filter(reason__startswith="5").update(status="failed", changed_at=now, due_at=None)
    messages.update(avoid=[], status="deferred", changed_at=now, due_at=now + BACK_OFF[0])


def _note_waiting(mailing: Mailing, reason: str, until: dt.datetime | None) -> None:
    if (mailing.waiting_reason, mailing.waiting_until) != (reason[:500], until):
        Mailing.objects.filter(pk=mailing.pk).update(waiting_reason=reason[:500], waiting_until=until)


def claim(
    token: uuid.UUID, server: SmtpServer, mailing_id: int, reason: str, wanted: int, now: dt.datetime
) -> list[Claim] | None:
    """Claim up to ``wanted`` messages of one mailing for one server; an empty list when there is nothing.

    :return: None when ``token`` holds the server's lane no more.
    """
    with transaction.atomic():
        if not lanes.holds(token):
            return None
        mailing = Mailing.objects.filter(pk=mailing_id, state="open").first()
        if mailing is None:
            return []
        leave = LEFT_BY_NOTICES if mailing.stream == Mailing.Stream.NOTICE else 0
        reservation = reserving.reserve(server, min(wanted, CLAIM_MESSAGES), now, leave=leave)
        if reservation is None:
            return []
        messages = _take(mailing, server, reservation.units, now)
        claims = _write_attempts(token, server, mailing, messages, reservation, reason, now)
        reserving.settle(reservation.period_id, used=0, released=reservation.units - len(claims))
        return claims


def _take(mailing: Mailing, server: SmtpServer, wanted: int, now: dt.datetime) -> list[Message]:
    """Return locked messages to send: what came back first, then the front of the first chunk."""
    due = _due(mailing.pk, now).select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "pk")
    found = [message for message in _with_people(due)[:wanted] if server.pk not in set(message.avoid)]
    if len(found) < wanted:
        found += _take_from_chunk(mailing, wanted - len(found))
    return found


def _take_from_chunk(mailing: Mailing, wanted: int) -> list[Message]:
    chunk = Chunk.objects.select_for_update(skip_locked=True).filter(mailing=mailing).order_by("pk").first()
    if chunk is None:
        return []
    queued = Message.objects.filter(
        mailing=mailing, pk__gte=chunk.next_id, pk__lte=chunk.last_id, status="queued", due_at=None
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
    from_address = parse_mailbox(header_from).address
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
            envelope_from=return_paths.envelope_sender(server, from_address, message, mailing.stream),
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
            message,
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
    sender = return_paths.envelope_sender(server, from_address, message, mailing.stream)
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
