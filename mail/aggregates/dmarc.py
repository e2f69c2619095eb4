"""DMARC aggregate reports (RFC 9990, and RFC 7489 appendix C, which most reporters still write).

One path reads both: the newer one has a namespace that reporters often leave out, and elements that the older one
lacks. Elements that nobody asked for are skipped. A document type is refused, so that no entity makes a text grow.
"""

import datetime as dt
import ipaddress
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from mail.aggregates.container import ReportInvalid
from mail.aggregates.report import (
    MOST_RECORDS,
    OTHER,
    TEXT_LENGTH,
    DmarcReport,
    Source,
    domain_in,
    needed_domain,
    needed_text,
    number_of,
    period,
    plain,
)

_MOST_DEPTH = 16
_MOST_RESULTS = 100  # Signatures of one record. The RFC allows many.
_TEXT_CHARACTERS = 2_000
_DISPOSITIONS = frozenset({"none", "pass", "quarantine", "reject"})
_DKIM_RESULTS = frozenset({"none", "pass", "fail", "policy", "neutral", "temperror", "permerror"})
_SPF_RESULTS = frozenset({"none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"})
_IPV4_BITS, _IPV6_BITS = 24, 48

Values = dict[str, str]


@dataclass(slots=True)
class _Record:
    """A record while it is read."""

    values: Values = field(default_factory=dict)
    dkim: list[Values] = field(default_factory=list)
    spf: list[Values] = field(default_factory=list)


def parse(content: bytes) -> DmarcReport:
    """Return what a report says.

    :param content: XML, unpacked.
    :raises ReportInvalid: if it is no report, exceeds a limit, or lacks what the account needs.
    """
    reader = _Reader()
    reader.read(content.lstrip())
    begins_at, ends_at = period(_instant(reader.head, "begin"), _instant(reader.head, "end"))
    return DmarcReport(
        needed_text(reader.head.get("report_metadata/org_name", ""), "name of its reporter"),
        needed_text(reader.head.get("report_metadata/report_id", ""), "number"),
        needed_domain(reader.head.get("policy_published/domain", "")),
        _known(reader.head.get("policy_published/p", ""), _DISPOSITIONS, ""),
        begins_at,
        ends_at,
        dict(reader.sources),
    )


class _Reader:
    """Collects the texts of a report while expat reads it."""

    def __init__(self) -> None:
        self.head: Values = {}  # By their path below the root.
        self.sources: Counter[Source] = Counter()
        self._path: list[str] = []
        self._text: list[str] = []
        self._length = 0
        self._record: _Record | None = None
        self._records = 0

    def read(self, content: bytes) -> None:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        try:
            parser.Parse(content, True)
        except expat.ExpatError as error:
            raise ReportInvalid(f"The XML is broken in line {error.lineno}.") from None
        except (LookupError, UnicodeError, ValueError) as error:
            if isinstance(error, ReportInvalid):
                raise
            raise ReportInvalid("The XML is written in an unknown charset.") from None

    def _start(self, name: str, attributes: object) -> None:
        name = name.rpartition(":")[2]
        if not self._path and name != "feedback":
            raise ReportInvalid(f"The XML is no DMARC report: it begins with “{plain(name)[:40]}”.")
        if len(self._path) == _MOST_DEPTH:
            raise ReportInvalid("The XML is nested too deep.")
        self._path.append(name)
        self._text.clear()
        self._length = 0
        if self._path == ["feedback", "record"]:
            self._begin_record()
        elif self._record is not None and len(self._path) == 4 and self._path[2] == "auth_results":
            results = {"dkim": self._record.dkim, "spf": self._record.spf}.get(name, [])
            if len(results) == _MOST_RESULTS:
                raise ReportInvalid(f"A record has more than {_MOST_RESULTS} signatures.")
            results.append({})

    def _begin_record(self) -> None:
        self._records += 1
        if self._records > MOST_RECORDS:
            raise ReportInvalid(f"The report has more than {MOST_RECORDS:,} records.")
        self._record = _Record()

    def _data(self, text: str) -> None:
        self._length += len(text)
        if self._length <= _TEXT_CHARACTERS:
            self._text.append(text)

    def _end(self, name: str) -> None:
        text = "".join(self._text).strip()
        self._text.clear()
        path, record = self._path, self._record
        if record is None:
            if text:
                self.head.setdefault("/".join(path[1:]), text)
        elif len(path) == 2:
            source, number = _source(record)
            self.sources[source] += number
            self._record = None
        elif len(path) == 5 and path[2] == "auth_results" and path[3] in ("dkim", "spf"):
            (record.dkim if path[3] == "dkim" else record.spf)[-1].setdefault(path[4], text)
        elif text:
            record.values.setdefault("/".join(path[2:]), text)
        path.pop()


def _refuse(*_: object) -> None:
    raise ReportInvalid("The XML declares a document type, which no report needs.")


def _instant(head: Values, name: str) -> dt.datetime:
    text = head.get(f"report_metadata/date_range/{name}", "")
    try:
        return dt.datetime.fromtimestamp(int(float(text[:20])), dt.UTC)
    except (ValueError, OverflowError, OSError):
        raise ReportInvalid(f"The report doesn't say when it {name}s.") from None


def _source(record: _Record) -> tuple[Source, int]:
    values = record.values
    author = domain_in(values.get("identifiers/header_from", ""))
    signature = _telling(record.dkim, author)
    envelope = next((one for one in record.spf if one.get("scope", "").lower() != "helo"), {})
    source = Source(
        author,
        _network(values.get("row/source_ip", "")),
        domain_in(signature.get("domain", "")),
        plain(signature.get("selector", ""))[:63].lower(),
        _known(signature.get("result", ""), _DKIM_RESULTS),
        domain_in(envelope.get("domain", "")),
        _known(envelope.get("result", ""), _SPF_RESULTS),
        values.get("row/policy_evaluated/dkim", "").lower() == "pass",
        values.get("row/policy_evaluated/spf", "").lower() == "pass",
        _known(values.get("row/policy_evaluated/disposition", ""), _DISPOSITIONS),
    )
    return source, number_of(values.get("row/count", ""), "messages")


def _telling(signatures: Sequence[Values], author: str) -> Values:
    """Return the signature that says most of a message: one that passed, if possible for the domain of From."""

    def rank(one: Values) -> tuple[bool, bool]:
        domain = one.get("domain", "").lower().rstrip(".")
        is_near = bool(domain) and (author == domain or author.endswith(f".{domain}") or domain.endswith(f".{author}"))
        return one.get("result", "").lower() != "pass", not is_near

    return min(signatures, key=rank, default={})


def _network(text: str) -> str:
    try:
        address = ipaddress.ip_address(text[:64].strip())
    except ValueError:
        raise ReportInvalid(f"“{plain(text)[:60]}” is no IP address.") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    bits = _IPV4_BITS if address.version == 4 else _IPV6_BITS
    return str(ipaddress.ip_network((address, bits), strict=False))


def _known(text: str, words: frozenset[str], missing: str = "none") -> str:
    word = text.strip().lower()[:TEXT_LENGTH]
    return word if word in words else (OTHER if word else missing)
