"""The reading of incoming mail: its form, its kind, and what it says of each recipient.

Whether a mail may have an effect is decided elsewhere: nothing here proves who wrote it. The first form that fits
decides.
"""

from mail.incoming import clues, dsn, mime
from mail.incoming.fingerprint import fingerprint_bytes
from mail.incoming.report import Clues, Form, Kind, Reading, ReportedRecipient

__all__ = ["Clues", "Form", "Kind", "Reading", "ReportedRecipient", "fingerprint_bytes", "read"]

_SEVERITY = (Kind.HARD, Kind.SOFT, Kind.CONTENT, Kind.SERVER, Kind.NOTE)


def read(content: bytes) -> Reading:
    """Return the meaning of a mail. Never raises, whatever the bytes are."""
    try:
        return _read(mime.parse(content))
    except mime.Unreadable as error:
        return Reading(Kind.UNKNOWN, Form.UNREADABLE, str(error))
    except (RecursionError, MemoryError, LookupError, ValueError) as error:
        return Reading(Kind.UNKNOWN, Form.UNREADABLE, f"The mail can't be taken apart ({type(error).__name__}).")


def _read(mail: mime.Part) -> Reading:
    return _read_dsn(mail) or Reading(Kind.UNKNOWN, Form.OTHER, "It is no report.", clues=clues.clues_of(mail))


def _read_dsn(mail: mime.Part) -> Reading | None:
    reports = [part for part in mail.walk() if part.type in dsn.TYPES]
    if not reports:
        return None
    of_message, groups = dsn.fields_of(reports[0])
    recipients = tuple(dsn.read_recipient(fields) for fields in groups)
    kinds = {recipient.kind for recipient in recipients}
    kind = next((kind for kind in _SEVERITY if kind in kinds), Kind.UNKNOWN)
    return Reading(kind, Form.DSN, "A delivery status notification.", recipients, clues.clues_of(mail, of_message))
