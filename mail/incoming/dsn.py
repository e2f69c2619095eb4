"""Delivery status notifications (RFC 3464), also of international mail (RFC 6533)."""

import re

from mail.incoming.addresses import address_in, without_type
from mail.incoming.mime import Part, Unreadable, parse_headers, with_plain_line_ends
from mail.incoming.report import Kind, ReportedRecipient
from mail.incoming.verdicts import codes_of, judge
from mail.replies.rules import Stage

TYPES = ("message/delivery-status", "message/global-delivery-status")
MOST_RECIPIENTS = 200
_MOST_STATUS_BYTES = 256 << 10
DIAGNOSTIC_CHARACTERS = 600

_BLANK_LINES = re.compile(rb"\n(?:[ \t]*\n)+")
_STATUS_TEXT = re.compile(rb"(?i)\A\s*(?:Reporting-MTA|Final-Recipient|Original-Recipient)[ \t]*:")
_OF_RECIPIENT = frozenset({"final-recipient", "original-recipient", "action", "status", "diagnostic-code"})
_CLASS_ACTIONS = {"2": "delivered", "4": "delayed", "5": "failed"}
_ACTIONS = frozenset({"failed", "delayed", "delivered", "relayed", "expanded"})  # RFC 3464 section 2.3.3.
_FAILURE = re.compile(r"fail|expired|error|undeliver|(?:not|non)\b|bounced|reject|refused")  # Their own spellings.

Fields = dict[str, str]


def status_part(mail: Part) -> Part | None:
    """Return the part with the status of the recipients; some systems call it text."""
    for part in mail.walk():
        if part.type in TYPES:
            return part
    if mail.type == "multipart/report":
        return next((part for part in mail.parts if _STATUS_TEXT.search(part.content(_MOST_STATUS_BYTES))), None)
    return None


def fields_of(report: Part) -> tuple[Fields, list[Fields]]:
    """Return the fields that concern the message, and those of each recipient, all names in lower case.

    Blank lines between the groups may be missing: a field that comes again begins another recipient.

    :raises Unreadable: if there are too many recipients.
    """
    of_message: Fields = {}
    recipients: list[Fields] = []
    for block in _BLANK_LINES.split(with_plain_line_ends(report.content(_MOST_STATUS_BYTES))):
        group: Fields | None = None
        for name, value in parse_headers(block):
            if name not in _OF_RECIPIENT and group is None:
                of_message.setdefault(name, value)
                continue
            if group is None or (name in group and name in ("final-recipient", "original-recipient", "action")):
                group = {}
                recipients.append(group)
                if len(recipients) > MOST_RECIPIENTS:
                    raise Unreadable(f"The report names more than {MOST_RECIPIENTS} recipients.")
            group.setdefault(name, value)
    return of_message, recipients


def read_recipient(fields: Fields, stage: Stage = Stage.DSN) -> ReportedRecipient:
    """Return what a report says of one recipient.

    :param stage: ``MAIL`` if the reply was about our sender.
    """
    status = re.match(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9])", fields.get("status", ""))
    action = _action(fields.get("action", ""), status[0] if status else "")
    diagnostic = without_type(fields.get("diagnostic-code", ""))[:DIAGNOSTIC_CHARACTERS].strip()
    code, enhanced = codes_of(diagnostic)
    enhanced = enhanced or (status[0] if status else "")
    final, original = (address_in(fields.get(name, "")) for name in ("final-recipient", "original-recipient"))
    if action != "failed":
        return ReportedRecipient(final or original, original, action, code, enhanced, diagnostic, Kind.NOTE, None)
    kind, verdict = judge(code, enhanced if enhanced[:1] != "2" else "", diagnostic, final or original, stage)
    return ReportedRecipient(final or original, original, action, code, enhanced, diagnostic, kind, verdict)


def _action(text: str, status: str) -> str:
    """Return the action; a missing or unknown one follows from the class of the status."""
    found = re.match(r"[a-z]+", text.strip().lower())
    word = found[0] if found else ""
    if word in _ACTIONS:
        return word
    if _FAILURE.match(word) and status[:1] != "2":
        return "failed"
    return _CLASS_ACTIONS.get(status[:1], word)
