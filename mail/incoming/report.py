"""The values that a reading of incoming mail consists of."""

from dataclasses import dataclass
from enum import StrEnum

from mail.replies.reply import Verdict


class Kind(StrEnum):
    """The meaning of a mail for the message that it is about."""

    HARD = "hard"  # The address does not exist, or is out of use.
    SOFT = "soft"  # A full mailbox, a try that took too long, a refusal without a known reason.
    CONTENT = "content"  # The message was refused for its content or its size.
    SERVER = "server"  # Our server, its reputation or the authentication of the sender was refused.
    COMPLAINT = "complaint"  # A person called the message spam.
    UNSUBSCRIBE = "unsubscribe"  # A person wrote to the address of List-Unsubscribe (RFC 2369 section 3.2).
    NOTE = "note"  # An automatic reply, a receipt, a delay: it changes nothing.
    UNKNOWN = "unknown"


class Form(StrEnum):
    """The form of a mail."""

    DSN = "dsn"  # A delivery status notification (RFC 3464, RFC 6533).
    FEEDBACK_REPORT = "feedback report"  # ARF (RFC 5965).
    RECEIPT = "receipt"  # A message disposition notification (RFC 8098).
    AUTO_REPLY = "auto reply"  # RFC 3834.
    CHALLENGE = "challenge"  # It asks the sender to prove that they are a person.
    BOUNCE_TEXT = "bounce text"  # A bounce in words only.
    UNSUBSCRIBE = "unsubscribe"
    OTHER = "other"
    UNREADABLE = "unreadable"  # It exceeds a limit, or is no mail.


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """One recipient that a report names, and what the report says of this recipient."""

    address: str  # Final-Recipient.
    original: str  # Original-Recipient, or empty.
    action: str  # "failed", "delayed", "delivered", "relayed", "expanded" (RFC 3464 section 2.3.3), or empty.
    code: int | None  # The basic code of the reply.
    enhanced: str  # The enhanced status code (RFC 3463), or empty.
    diagnostic: str  # The text of the reply, cut at 600 characters.
    kind: Kind
    verdict: Verdict | None  # None for what is no failure.


@dataclass(frozen=True, slots=True)
class Clues:
    """Where the identity of the message may stand. Nothing of it is proved."""

    delivered_to: tuple[str, ...] = ()  # From Delivered-To, X-Original-To, Envelope-To, then To; never From.
    envelope_ids: tuple[str, ...] = ()  # Original-Envelope-Id.
    message_ids: tuple[str, ...] = ()  # Of the embedded original, with their brackets, the last occurrence first.
    feedback_ids: tuple[str, ...] = ()  # CFBL-Feedback-ID of the original (RFC 9477), the last occurrence first.
    unsubscribe_urls: tuple[str, ...] = ()  # List-Unsubscribe of the original, the last occurrence first.


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of reading one mail."""

    kind: Kind
    form: Form
    reason: str  # A sentence for operators.
    recipients: tuple[ReportedRecipient, ...] = ()
    clues: Clues = Clues()
    feedback_type: str = ""  # Feedback-Type of a feedback report, in lower case.
