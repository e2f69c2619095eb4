"""The reading of incoming mail: its form, its kind, and what it says of each recipient.

Whether a mail may have an effect is decided elsewhere: nothing here proves who wrote it. The first form that fits
decides, with one exception: automatic replies to the address that unsubscribes are no wish of a person.
"""

from dataclasses import replace

from mail.incoming import auto_replies, bounce_text, complaints, dsn, mime, original
from mail.incoming.clues import clues_of
from mail.incoming.fingerprint import fingerprint_bytes
from mail.incoming.report import Clues, Form, Kind, Reading, ReportedRecipient
from mail.incoming.senders import is_system
from mail.replies.rules import Stage
from mail.verp import is_unsubscribe_address

__all__ = ["Clues", "Form", "Kind", "Reading", "ReportedRecipient", "fingerprint_bytes", "read"]

_SEVERITY = (Kind.HARD, Kind.SOFT, Kind.CONTENT, Kind.SERVER, Kind.NOTE)
_RECEIPT = "message/disposition-notification"


def read(content: bytes) -> Reading:
    """Return the meaning of a mail. Never raises, whatever the bytes are."""
    try:
        return _read(mime.parse(content))
    except mime.Unreadable as error:
        return Reading(Kind.UNKNOWN, Form.UNREADABLE, str(error))
    except (RecursionError, MemoryError, LookupError, ValueError) as error:
        return Reading(Kind.UNKNOWN, Form.UNREADABLE, f"The mail can't be taken apart ({type(error).__name__}).")


def _read(mail: mime.Part) -> Reading:
    text, quoted = original.own_text(mail)
    reading = (
        _read_complaint(mail)
        or _read_receipt(mail)
        or _read_dsn(mail, text)
        or _read_marked_bounce(mail, text, quoted)
        or _read_auto_reply(mail, text)
        or _read_bounce(mail, text, quoted)
    )
    clues = reading.clues if reading else clues_of(mail)
    if (reading is None or reading.form is Form.FEEDBACK_REPORT) and any(
        map(is_unsubscribe_address, clues.delivered_to)
    ):
        return Reading(Kind.UNSUBSCRIBE, Form.UNSUBSCRIBE, "It is addressed to unsubscribe.", clues=clues)
    return reading or Reading(
        Kind.UNKNOWN, Form.OTHER, "It has no form of a report, a bounce or an automatic reply.", clues=clues
    )


def _read_complaint(mail: mime.Part) -> Reading | None:
    if not complaints.is_complaint_report(mail):
        return None
    kind, sentence, feedback_type, fields, recipients = complaints.read_complaint(mail)
    return Reading(kind, Form.FEEDBACK_REPORT, sentence, recipients, clues_of(mail, fields), feedback_type)


def _read_receipt(mail: mime.Part) -> Reading | None:
    is_named = mail.parameter("report-type").lower() == "disposition-notification"
    report = next((part for part in mail.walk() if part.type == _RECEIPT), None)
    if not (is_named and mail.type == "multipart/report") and report is None:
        return None
    fields = dsn.fields_of(report)[0] if report else {}
    clues = clues_of(mail, fields)
    if original_id := fields.get("original-message-id", "").strip():
        clues = replace(clues, message_ids=(*clues.message_ids, original_id))
    disposition = fields.get("disposition", "").rpartition(";")[2].strip()[:40] or "no disposition given"
    return Reading(Kind.NOTE, Form.RECEIPT, f"It is a receipt of a mail program ({disposition}).", clues=clues)


def _read_dsn(mail: mime.Part, text: str) -> Reading | None:
    """Return the reading of a delivery status notification that a mail system sent, and nobody forwarded."""
    is_report = mail.type == "multipart/report"
    if not is_report and not is_system(mail):
        return None
    report = dsn.status_part(mail)
    if report is None:
        return None
    of_message, groups = dsn.fields_of(report)
    is_about_sender = "in reply to MAIL FROM" in text and "in reply to RCPT TO" not in text
    stage = Stage.MAIL if is_about_sender else Stage.DSN
    recipients = tuple(dsn.read_recipient(fields, stage) for fields in groups)
    if not recipients and is_system(mail):
        return None  # Its text may say more.
    return _reading_of(Form.DSN, recipients, clues_of(mail, of_message))


def _read_marked_bounce(mail: mime.Part, text: str, quoted: str) -> Reading | None:
    return _bounce(mail, text, quoted) if bounce_text.is_marked(mail, text) else None


def _read_bounce(mail: mime.Part, text: str, quoted: str) -> Reading | None:
    return _bounce(mail, text, quoted) if bounce_text.is_bounce(mail, text) else None


def _bounce(mail: mime.Part, text: str, quoted: str) -> Reading:
    recipients = bounce_text.read_recipients(mail, text)
    return _reading_of(Form.BOUNCE_TEXT, recipients, clues_of(mail, quoted=quoted))


def _read_auto_reply(mail: mime.Part, text: str) -> Reading | None:
    if auto_replies.is_challenge(mail, text):
        return Reading(Kind.NOTE, Form.CHALLENGE, "It asks the sender to confirm the mail.", clues=clues_of(mail))
    if auto_replies.is_auto_reply(mail, text):
        return Reading(Kind.NOTE, Form.AUTO_REPLY, "A program answered automatically.", clues=clues_of(mail))
    return None


def _reading_of(form: Form, recipients: tuple[ReportedRecipient, ...], clues: Clues) -> Reading:
    """Return a reading whose kind is that of the recipient whom it concerns most."""
    worst = min(recipients, key=lambda recipient: _SEVERITY.index(recipient.kind), default=None)
    if worst is None:
        return Reading(Kind.UNKNOWN, form, "The report names no recipient.", clues=clues)
    codes = " ".join(filter(None, (str(worst.code or ""), worst.enhanced)))
    said = worst.diagnostic.rstrip(".") or codes or "without a code"
    rule = f" Rule: {worst.verdict.rule}." if worst.verdict else ""
    whom = worst.address or "an address that isn't named"
    sentence = f"Mail to {whom}: {worst.action or 'no action given'} ({said}).{rule}"
    return Reading(worst.kind, form, sentence, recipients, clues)
