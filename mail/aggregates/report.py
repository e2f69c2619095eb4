"""The values that a report consists of, and the checks that both kinds share.

Every text in them was written by a stranger. Times are UTC: reports give seconds or an offset, never a local clock.
"""

import datetime as dt
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mail.addresses import AddressInvalid, check_domain_name
from mail.aggregates.container import ReportInvalid

MOST_RECORDS = 100_000
MOST_COUNT = 1 << 40
TEXT_LENGTH = 255
_EARLIEST = dt.datetime(2012, 1, 1, tzinfo=dt.UTC)  # The year of DMARC's first draft.
_LATEST = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
OTHER = "other"  # A word that the RFC does not know.


class Source(NamedTuple):
    """What the messages of a DMARC report have in common. Domains are in lower case."""

    author: str  # The domain of From; empty: it is no domain.
    network: str  # Of the sending server: a /24 or a /48.
    dkim_domain: str
    dkim_selector: str
    dkim_result: str  # RFC 8601 section 2.7.1.
    spf_domain: str
    spf_result: str  # RFC 8601 section 2.7.2.
    is_dkim_aligned: bool  # Whether DKIM passed for the domain of From.
    is_spf_aligned: bool
    disposition: str  # "none", "pass", "quarantine", "reject" or "other".


@dataclass(frozen=True, slots=True)
class DmarcReport:
    """An aggregate report (RFC 9990, and RFC 7489 appendix C)."""

    organisation: str
    report_id: str
    domain: str  # Whose policy it is.
    policy: str  # "none", "quarantine", "reject", or empty.
    begins_at: dt.datetime
    ends_at: dt.datetime
    sources: Mapping[Source, int]  # The number of messages.

    @property
    def messages(self) -> int:
        return sum(self.sources.values())

    @property
    def domains(self) -> list[str]:
        return [self.domain]


class TlsResult(NamedTuple):
    """What the sessions of a TLS report have in common."""

    domain: str
    policy: str  # "sts", "tlsa" or "no-policy-found" (RFC 8460 section 4.4).
    result: str  # Of section 4.3; empty: the session succeeded.
    host: str  # The MX host, as far as a failure names it.


@dataclass(frozen=True, slots=True)
class TlsReport:
    """A TLS report (RFC 8460)."""

    organisation: str
    report_id: str
    begins_at: dt.datetime
    ends_at: dt.datetime
    results: Mapping[TlsResult, int]  # The number of sessions.

    @property
    def domains(self) -> list[str]:
        return list(dict.fromkeys(result.domain for result in self.results))


DomainReport = DmarcReport | TlsReport


def plain(text: str) -> str:
    """Return one line of printable text, cut."""
    return " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * TEXT_LENGTH]).split())[:TEXT_LENGTH]


@functools.lru_cache(maxsize=4_096)
def domain_in(text: str) -> str:
    """Return a domain as an A-label; empty if the text is no domain."""
    try:
        return check_domain_name(text.strip().rstrip("."))
    except AddressInvalid:
        return ""


def needed_domain(text: str) -> str:
    """Return a domain as an A-label.

    :raises ReportInvalid: if the text is no domain.
    """
    domain = domain_in(text)
    if not domain:
        raise ReportInvalid(f"The report names no domain, but “{plain(text)[:60]}”.")
    return domain


def needed_text(text: str, what: str) -> str:
    """Return one line of text.

    :raises ReportInvalid: if it is empty.
    """
    found = plain(text)
    if not found:
        raise ReportInvalid(f"The report has no {what}.")
    return found


def period(begins_at: dt.datetime, ends_at: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    """Return the period of a report.

    :raises ReportInvalid: if it ends before it begins, or is in no year of DMARC.
    """
    if not _EARLIEST <= begins_at <= ends_at <= _LATEST:
        raise ReportInvalid("The report's period is impossible.")
    return begins_at, ends_at


def number_of(text: str, what: str) -> int:
    """Return a number of messages or sessions.

    :raises ReportInvalid: if it is none.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20 and int(text) <= MOST_COUNT):
        raise ReportInvalid(f"“{plain(text)[:40]}” is no number of {what}.")
    return int(text)
