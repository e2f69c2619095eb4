"""The intake of reports from a mail or a file: the part that holds one is found, unpacked, and read by its kind."""

import re
from collections.abc import Callable, Iterator

from mail.aggregates import dmarc, tls
from mail.aggregates.container import MOST_PACKED_BYTES, ReportInvalid, unpack
from mail.aggregates.report import DomainReport
from mail.incoming import mime

MOST_MAIL_BYTES = MOST_PACKED_BYTES * 3 // 2  # In base64, with the rest of the mail.
_HINT = re.compile(rb"(?i)\.(?:xml|json|zip|gz)\b|/(?:x-)?(?:gzip|zip|xml|tlsrpt)\b|report.domain:")
_ANNOUNCED = re.compile(r"\s*+report[ _-]?domain:", re.IGNORECASE)  # The subject of DMARC reports (RFC 9990).
_TYPES = frozenset(
    {
        *("application/gzip", "application/x-gzip", "application/zip", "application/x-zip-compressed"),
        *("application/xml", "text/xml", "application/json", "application/octet-stream"),
        *("application/tlsrpt+json", "application/tlsrpt+gzip"),
    }
)
_BEGINNING = 4_096
_MARKS = b"\xef\xbb\xbf\xff\xfe \t\r\n"  # Byte order marks and blanks.
_FEEDBACK = re.compile(rb"<(?:[\w.-]+:)?feedback[\s/>]")


def read_file(content: bytes) -> DomainReport:
    """Return the report in a file, packed or not.

    :raises ReportInvalid: if it is none, or exceeds a limit.
    """
    unpacked = unpack(content)
    read = _kind(unpacked)
    if read is None:
        raise ReportInvalid("The file is no DMARC or TLS report.")
    return read(unpacked)


def announces_report(subject: str) -> bool:
    """Tell whether a mail has the subject of a DMARC report, wherever it was sent."""
    return _ANNOUNCED.match(subject) is not None


def brings_report(content: bytes) -> bool:
    """Tell whether a mail looks as if it brought a report. It is quick, because most mails are bounces."""
    return _HINT.search(content) is not None


def read_mail(content: bytes) -> DomainReport | None:
    """Return the report that a mail brings; None if it brings none.

    :raises ReportInvalid: if it brings one that cannot be read.
    """
    try:
        mail = mime.parse(content, MOST_MAIL_BYTES)
    except mime.Unreadable:
        return None  # It has no form of a report either.
    is_announced = announces_report(mail.first("subject"))
    for part in _candidates(mail):
        packed = part.content(MOST_PACKED_BYTES + 1)
        try:
            unpacked = unpack(packed)
        except ReportInvalid:
            if is_announced or _is_named(part):
                raise
            continue
        if read := _kind(unpacked):
            return read(unpacked)
    return None


def _candidates(mail: mime.Part) -> Iterator[mime.Part]:
    for part in mail.walk():
        if not part.parts and part.type in _TYPES:
            yield part


def _is_named(part: mime.Part) -> bool:
    """Tell whether a part's type or name says that it is a report (RFC 9990, RFC 8460 section 5)."""
    name = part.parameter("name") or mime.parameter(part.first("content-disposition"), "filename")
    return part.type.startswith("application/tlsrpt") or name.count("!") >= 3


def _kind(content: bytes) -> Callable[[bytes], DomainReport] | None:
    """Return the reader of what content begins like."""
    beginning = content[:_BEGINNING].lstrip(_MARKS).replace(b"\0", b"")  # UTF-16 has NULs.
    if beginning.startswith(b"<") and _FEEDBACK.search(beginning):
        return dmarc.parse
    if beginning.startswith(b"{") and (b'"policies"' in content or b'"organization-name"' in content):
        return tls.parse
    return None
