"""Feedback reports: complaints of people who called a message spam (RFC 5965), also in the shapes of Microsoft."""

from mail.incoming.addresses import address_in
from mail.incoming.dsn import MOST_RECIPIENTS
from mail.incoming.mime import MOST_HEADER_BYTES, Part, Unreadable, parse_headers, split, with_plain_line_ends
from mail.incoming.original import parts_of
from mail.incoming.report import Kind, ReportedRecipient

TYPE = "message/feedback-report"

_MICROSOFT = "x-hmxmroriginalrecipient"  # JMRP: in the header of the original, the only place with the recipient.
_RECIPIENT_FIELDS = ("original-rcpt-to", "removal-recipient", "original-recipient")
# Reports about authentication, the opposite of a complaint, and a message that was put into the wrong folder.
_NOTES = {"not-spam": "not spam", "auth-failure": "an authentication that failed", "miscategorized": "a wrong folder"}


def is_complaint_report(mail: Part) -> bool:
    """Whether a mail is a feedback report, or has the older shape of Microsoft: nothing but the original."""
    if mail.type == "multipart/report" and mail.parameter("report-type").lower() == "feedback-report":
        return True
    return any(part.type == TYPE for part in mail.walk()) or bool(_microsoft_recipients(mail))


def read_complaint(mail: Part) -> tuple[Kind, str, str, dict[str, str], tuple[ReportedRecipient, ...]]:
    """Return the kind, a sentence, the type, the fields and the recipients of a feedback report.

    A report without a type is a complaint: Microsoft's report is almost empty. So is one of an unknown type (RFC 5965
    section 7.3).
    """
    report = next((part for part in mail.walk() if part.type == TYPE), None)
    content = with_plain_line_ends(report.content())[:MOST_HEADER_BYTES] if report else b""
    headers = parse_headers(content)
    fields = dict(reversed(headers))
    feedback_type = fields.get("feedback-type", "").strip().lower().replace("_", "-")[:40]
    feedback_type = {"notspam": "not-spam"}.get(feedback_type, feedback_type)
    about = _NOTES.get(feedback_type)
    kind = Kind.NOTE if about else Kind.COMPLAINT
    given = [value for name, value in headers if name in _RECIPIENT_FIELDS] or _microsoft_recipients(mail)
    addresses = list(dict.fromkeys(filter(None, map(address_in, given))))
    if len(addresses) > MOST_RECIPIENTS:
        raise Unreadable(f"The report names more than {MOST_RECIPIENTS} recipients.")
    recipients = tuple(ReportedRecipient(address, "", "", None, "", "", kind, None) for address in addresses)
    sentence = f"It reports {about}." if about else f"A recipient complained ({feedback_type or 'no type given'})."
    return kind, sentence, feedback_type, fields, recipients


def _microsoft_recipients(mail: Part) -> list[str]:
    return [
        value
        for part in parts_of(mail)
        for name, value in parse_headers(split(with_plain_line_ends(part.content()))[0][:MOST_HEADER_BYTES])
        if name == _MICROSOFT
    ]
