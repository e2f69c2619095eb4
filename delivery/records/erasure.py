"""A person's data in the outbox: its export, and its erasure in place, so that all counts stay.

An erased message keeps its mailing, status, server and times. A fixed word replaces the address, and a key that no
address can have replaces the address key.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db.models import CharField, Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat

from contacts.privacy.erasure import PersonalData, Subject
from contacts.privacy.redaction import ERASED, redact
from delivery.models import Attempt, Batch, Chunk, Incident, Mailing, Message, Trial

STOPPED = "The person asked for everything about them to be erased."
KEY = "erased:"  # With the message's id: a unique key that no address has.
ASKED_AT_ONCE = 500
# Streams whose content is written to one person, or about some.
OWN_CONTENT = (Mailing.Stream.SINGLE, Mailing.Stream.NOTICE, Mailing.Stream.TEST)


def of_person(subject: Subject) -> QuerySet[Message]:
    """Return all messages to any of the person's addresses. Each part of the query uses an index."""
    return Message.objects.filter(Q(contact=subject.contact_id) | Q(email_key__in=subject.keys))


def is_anonymous(message: Message) -> bool:
    """Whether the message's recipient was erased."""
    return message.email_key.startswith(KEY)


def address_of(message: Message) -> str:
    """Return the address of a message, or the person's present one if the message is anonymous."""
    return message.contact.email if message.contact is not None and is_anonymous(message) else message.email


def emails(contact_id: int) -> Iterable[str]:
    rows = Message.objects.filter(contact=contact_id).exclude(email_key__startswith=KEY).order_by()
    return rows.values_list("email", flat=True).distinct()


def stop(subject: Subject, now: dt.datetime) -> bool:
    """Cancel waiting messages to the person; return whether a worker holds some, or is about to add some."""
    pending = Q(status__in=Message.PENDING)
    ids = list(of_person(subject).values_list("pk", flat=True))
    waiting = list(Message.objects.filter(pending, Q(pk__in=ids) | Q(copy_of__in=ids)).values_list("pk", "mailing"))
    mailings = {mailing for _, mailing in waiting}
    # Waits for claims from these chunks, so that they are seen below.
    list(Chunk.objects.select_for_update().filter(mailing__in=mailings).order_by("pk").values_list("pk"))
    held = _held(mailings)
    free = [pk for pk, _ in waiting if pk not in held]
    rows = Message.objects.filter(pk__in=free, status__in=(Message.Status.QUEUED, Message.Status.DEFERRED))
    stopped = rows.update(status=Message.Status.CANCELLED, reason=STOPPED, due_at=None, changed_at=now)
    is_preparing = Mailing.objects.filter(
        stream=Mailing.Stream.CAMPAIGN, is_snapshotted=False, finished_at=None, state=Mailing.State.OPEN
    ).exists()
    return stopped < len(waiting) or is_preparing


def _held(mailings: Collection[int]) -> set[int]:
    """Return the messages of these mailings that a worker has claimed."""
    claims = Batch.objects.filter(Batch.OPEN, mailing__in=mailings).values_list("claims", flat=True)
    return {message_id for batch in claims for message_id, _ in batch}


def export(subject: Subject) -> dict[str, Any]:
    """Return every message to the person with its attempts, oldest first."""
    rows = of_person(subject).select_related("mailing", "server").prefetch_related("attempts__batch").order_by("pk")
    return {"messages": [_exported(message) for message in rows.iterator(chunk_size=ASKED_AT_ONCE)]}


def _exported(message: Message) -> dict[str, Any]:
    is_own = message.mailing.stream == Mailing.Stream.SINGLE
    content = {"html": message.mailing.html, "text": message.mailing.text} if is_own else {}
    return {
        "to": message.email,
        "mailing": message.mailing.name,
        "subject": message.mailing.subject,
        "status": message.status,
        "since": message.changed_at,
        "reason": message.reason,
        "server": message.server.name if message.server else "",
        "Message-ID": message.message_id,
        "merge values": message.merge,
        **content,
        "attempts": [
            {
                "begun": attempt.batch.started_at,
                "through": attempt.batch.server_name,
                "outcome": attempt.outcome,
                "code": attempt.code,
                "answer": attempt.reply,
            }
            for attempt in message.attempts.all()
        ],
    }


def erase(subject: Subject, now: dt.datetime) -> dict[str, int]:
    """Erase the person from their messages and attempts, and from mailings written only to them.

    Other mailings that name the person are :func:`texts`, which a higher room redacts in the background.
    """
    pattern = subject.pattern
    ids = list(of_person(subject).values_list("pk", flat=True))
    for start in range(0, len(ids), ASKED_AT_ONCE):
        some = Message.objects.filter(pk__in=ids[start : start + ASKED_AT_ONCE])
        _empty_own_mailings(some)
        redact(some, pattern, "reason", "redirected_to")
        attempts = Attempt.objects.filter(message__in=some)
        redact(Batch.objects.filter(pk__in=attempts.values("batch")), pattern, "choice")
        redact(attempts, pattern, "reply", "envelope_from")
        some.update(**ANONYMOUS, contact=None)
    _erase_tests(subject)
    redact(Incident.objects.all(), pattern, "reason")
    Trial.objects.filter(recipient_key__in=subject.keys).delete()
    return {"messages": len(ids)}


def texts() -> tuple[QuerySet[Mailing], Sequence[str]]:
    """Return the mailings that may name anybody, perhaps millions, and their columns with text."""
    # Failure digests name recipients, and tests and single messages whom they are about.
    return Mailing.objects.filter(stream__in=OWN_CONTENT), ("name", "subject", "html", "text")


def anonymous_key() -> Concat:
    return Concat(Value(KEY), Cast("pk", CharField()), output_field=CharField())


ANONYMOUS: dict[str, Any] = {
    "email": ERASED,
    "email_key": anonymous_key(),
    "merge": None,
    "first_opened_at": None,
    "first_clicked_at": None,
}


def _empty_own_mailings(messages: QuerySet[Message]) -> None:
    """Empty the content of single messages, which was written only to this person."""
    others = Message.objects.filter(mailing=OuterRef("pk"), copy_of=None).exclude(pk__in=messages.values("pk"))
    single = Mailing.objects.filter(stream=Mailing.Stream.SINGLE, pk__in=messages.values("mailing"))
    single.exclude(Exists(others)).update(name=ERASED, subject=ERASED, html="", text=ERASED, files=[])


def _erase_tests(subject: Subject) -> None:
    """Erase the person's merge values from tests. A test goes to another address, so only the names identify them."""
    first, last = subject.names
    if first or last:
        tests = Message.objects.filter(mailing__stream=Mailing.Stream.TEST, merge__isnull=False)
        tests.filter(merge__first_name=first, merge__last_name=last).update(merge=None)
        Trial.objects.filter(merge__first_name=first, merge__last_name=last).update(merge=None)


PART = PersonalData(emails=emails, stop=stop, export=export, erase=erase)
