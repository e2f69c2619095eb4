"""Statements: what one raw report says of one recipient, the same for mails and webhooks.

Nothing here proves anything: a statement holds the clues by which :mod:`feedback.reports.matches` finds its message.
"""

import datetime as dt
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from feedback.models import Feedback
from feedback.webhooks.event import Event, EventKind
from mail.incoming.fingerprint import fingerprint_bytes
from mail.incoming.report import Clues, Form, Reading, ReportedRecipient
from mail.incoming.report import Kind as MailKind
from mail.incoming.verdicts import judge
from mail.replies.reply import Verdict

Kind = Feedback.Kind
DELIVERED = "delivered"  # No feedback: it is noted in bulk.
NOTHING = "other"  # Known, and without any meaning for a message.
UNKNOWN = ""

_OF_MAIL = {
    MailKind.HARD: Kind.HARD_BOUNCE,
    MailKind.SOFT: Kind.SOFT_BOUNCE,
    MailKind.CONTENT: Kind.CONTENT,
    MailKind.SERVER: Kind.SERVER,
    MailKind.COMPLAINT: Kind.COMPLAINT,
    MailKind.UNSUBSCRIBE: Kind.UNSUBSCRIBE,
    MailKind.UNKNOWN: UNKNOWN,
}
_OF_NOTE = {
    Form.AUTO_REPLY: Kind.AUTO_REPLY,
    Form.CHALLENGE: Kind.AUTO_REPLY,
    Form.RECEIPT: Kind.RECEIPT,
}
_OF_ACTION = {"delayed": Kind.DELAYED, "delivered": DELIVERED}
_OF_EVENT = {
    EventKind.CONTENT: Kind.CONTENT,
    EventKind.SERVER: Kind.SERVER,
    EventKind.COMPLAINT: Kind.COMPLAINT,
    EventKind.DELIVERED: DELIVERED,
    EventKind.SUPPRESSED: Kind.SUPPRESSED,
    EventKind.UNSUBSCRIBE: Kind.UNSUBSCRIBE,
    EventKind.AUTO_REPLY: Kind.AUTO_REPLY,
    EventKind.DELAYED: Kind.DELAYED,
    EventKind.OTHER: NOTHING,
}
_NO_REASON = ("5xx-rcpt", "unreadable")  # Rules of replies that say nothing but yes or no.


@dataclass(frozen=True, slots=True)
class Statement:
    """What a raw report says of one recipient."""

    kind: str  # One of ``Feedback.Kind``, or a constant of this module.
    identity: bytes  # The same in every repetition of the statement.
    clues: Clues
    recipients: tuple[str, ...] = ()  # The address, and the one it was originally written to.
    code: int | None = None
    enhanced: str = ""
    text: str = ""
    rule: str = ""  # Of mail.replies.
    at: dt.datetime | None = None
    reason: str = ""  # A sentence of the reader.
    needs_tag: bool = False  # Only the address it came to proves its message: anybody can write the rest.


def of_mail(content: bytes, reading: Reading) -> list[Statement]:
    """Return what a mail says: one statement for each recipient it names, or one for all of it."""
    needs_tag = reading.form in (Form.UNSUBSCRIBE, Form.BOUNCE_TEXT)
    digest = hashlib.sha256(fingerprint_bytes(content)).digest()
    recipients: Sequence[ReportedRecipient | None] = reading.recipients or (None,)
    found = []
    for number, recipient in enumerate(recipients):
        identity = b"mail\n" + digest + number.to_bytes(2)
        kind = _kind_of_mail(reading, recipient)
        if recipient is None:
            found.append(Statement(kind, identity, reading.clues, reason=reading.reason, needs_tag=needs_tag))
            continue
        named = tuple(filter(None, dict.fromkeys((recipient.address, recipient.original))))
        found.append(
            Statement(
                kind,
                identity,
                reading.clues,
                named,
                recipient.code,
                recipient.enhanced,
                recipient.diagnostic,
                recipient.verdict.rule if recipient.verdict else "",
                reason=reading.reason,
                needs_tag=needs_tag,
            )
        )
    return found


def _kind_of_mail(reading: Reading, recipient: ReportedRecipient | None) -> str:
    # A report as a whole has the kind of its worst recipient.
    kind = recipient.kind if recipient is not None and reading.form is Form.DSN else reading.kind
    if kind is not MailKind.NOTE:
        return _OF_MAIL[kind]
    if reading.form is Form.FEEDBACK_REPORT:
        return Kind.NOT_SPAM if reading.feedback_type == "not-spam" else NOTHING
    if reading.form is Form.DSN:
        return _OF_ACTION.get(recipient.action if recipient else "", NOTHING)
    return _OF_NOTE.get(reading.form, NOTHING)


def of_webhook(provider: str, content: bytes, events: Sequence[Event]) -> Iterator[Statement]:
    """Yield what a provider's request says, event by event."""
    digest = hashlib.sha256(content).hexdigest()
    for number, event in enumerate(events):
        kind, verdict = _judge(event)
        yield Statement(
            kind,
            _identity(provider, event, place=f"{digest} {number}"),
            # The tag stands where a report by mail has its envelope id.
            Clues(
                envelope_ids=(event.tag,) if event.tag else (),
                message_ids=(event.message_id,) if event.message_id else (),
            ),
            (event.recipient,) if event.recipient else (),
            event.code,
            event.enhanced,
            event.text,
            verdict.rule if verdict else "",
            event.at,
        )


def _judge(event: Event) -> tuple[str, Verdict | None]:
    """Return the kind of an event: the remote server's reply decides, where it gives a reason."""
    if event.kind not in (EventKind.BOUNCE, EventKind.SOFT_BOUNCE, EventKind.CONTENT, EventKind.SERVER):
        return _OF_EVENT[event.kind], None
    has_reply = event.code is not None or bool(event.enhanced)
    said, verdict = judge(event.code, event.enhanced, event.text, event.recipient) if has_reply else (None, None)
    if event.kind in _OF_EVENT:
        return _OF_EVENT[event.kind], verdict
    is_permanent = event.kind is EventKind.BOUNCE
    if said is None or verdict is None or verdict.rule in _NO_REASON:
        return (Kind.HARD_BOUNCE if is_permanent else Kind.SOFT_BOUNCE), verdict
    if said is MailKind.HARD and not is_permanent:
        return Kind.SOFT_BOUNCE, verdict
    return _OF_MAIL[said], verdict


def _identity(provider: str, event: Event, place: str) -> bytes:
    """Return what tells an event from all others.

    :param place: its place in its request, which is all that an event without id and time has of its own.
    """
    if event.event_id:
        return "\n".join(("webhook", provider, event.event_id, event.kind, event.recipient)).encode()
    second = f"{event.at:%Y-%m-%dT%H:%M:%S}" if event.at else place
    about = event.tag or event.message_id
    return "\n".join(
        ("webhook", provider, "", event.kind, about, event.recipient, str(event.code or ""), event.enhanced, second)
    ).encode()
