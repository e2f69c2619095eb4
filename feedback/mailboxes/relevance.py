"""Which mails of a mailbox are ours to read. The headers alone are looked at, and nothing is stored here.

Ours is mail to a tag or an address of ours, a report by its type, and mail with the null sender. All other mail is
somebody's, and stays untouched.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from feedback.intake.addresses import OurAddresses, Purpose
from mail.aggregates.intake import MOST_MAIL_BYTES, announces_report
from mail.incoming.addresses import addresses_in
from mail.incoming.mime import MOST_HEADER_BYTES, Part, parse_headers, split, with_plain_line_ends

WHOLE_BYTES = 1024 * 1024
MOST_RESULTS = 20
# The receiving system wrote the first ones; what a sender wrote comes last.
RECIPIENT_HEADERS = ("delivered-to", "x-original-to", "envelope-to", "to", "cc")
REPORT_TYPES = (
    "multipart/report",
    "message/delivery-status",
    "message/global-delivery-status",
    "message/feedback-report",
    "message/disposition-notification",
)


@dataclass(frozen=True, slots=True)
class Relevance:
    """Whether a mail is ours, and the address that says so."""

    is_ours: bool
    envelope_to: str = ""  # The recipient as far as it is known: an address of ours, or nothing.
    purpose: Purpose | None = None
    subject: str = ""
    most_bytes: int = WHOLE_BYTES  # A larger mail is cut.
    message_id: str = ""
    results: tuple[str, ...] = ()  # The Authentication-Results headers, from the top.


def relevance(head: bytes, ours: OurAddresses) -> Relevance:
    """Return what the headers of a mail say."""
    block = split(with_plain_line_ends(head))[0][:MOST_HEADER_BYTES]
    headers = Part(parse_headers(block), b"")
    found = [(address, purpose) for address in _recipients(headers) if (purpose := ours.purpose(address))]
    address, purpose = min(found, key=lambda pair: pair[1] is Purpose.ROLE) if found else ("", None)
    subject = headers.first("subject")
    is_of_domain = purpose is Purpose.DOMAIN_REPORT or _is_domain_report(headers, subject)
    is_report = is_of_domain or headers.type in REPORT_TYPES
    is_null = headers.first("return-path") == "<>"
    most_bytes = MOST_MAIL_BYTES if is_of_domain else WHOLE_BYTES
    return Relevance(
        bool(found) or is_report or is_null,
        address,
        purpose,
        subject,
        most_bytes,
        headers.first("message-id"),
        tuple(headers.all("authentication-results")[:MOST_RESULTS]),
    )


def _is_domain_report(headers: Part, subject: str) -> bool:
    """Tell whether a mail brings a DMARC or TLS report by its headers (RFC 8460 section 5.3)."""
    return announces_report(subject) or bool(headers.first("tls-report-domain"))


def _recipients(headers: Part) -> Iterator[str]:
    for name in RECIPIENT_HEADERS:
        for value in headers.all(name)[:10]:
            yield from addresses_in(value)
