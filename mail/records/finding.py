"""Findings: the state of one line of a domain's page, the name of its fault, a sentence, and the record to paste."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from mail.records.answers import Unanswered, shown
from words.texts import joined
from words.texts import text as _

STRING_OCTETS = 255  # The longest string in a TXT record (RFC 1035 section 3.3).
MOST_SENTENCES = 3


class State(StrEnum):
    """How a line is."""

    GOOD = "good"
    LOOK = "look"  # Mail arrives, and something should be improved.
    BROKEN = "broken"  # Receivers reject or distrust mail for it.
    UNKNOWN = "unknown"  # Not checked, or DNS could not be asked. Never a finding.


class Line(StrEnum):
    """The lines of a domain's page, in their order."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    ALIGNMENT = "alignment"
    RETURN_PATH = "return_path"
    MX = "mx"
    PTR = "ptr"
    MTA_STS = "mta_sts"
    TLS_RPT = "tls_rpt"
    BIMI = "bimi"
    TRACKING = "tracking"
    BLOCK_LISTS = "block_lists"


class Record(NamedTuple):
    """A DNS record to publish."""

    name: str  # The whole name, without the final dot.
    kind: str
    value: str

    def __str__(self) -> str:
        """Return the line of a zone file; text is split into strings of 255 octets."""
        value = _strings(self.value) if self.kind == "TXT" else self.value
        return f"{self.name}. IN {self.kind} {value}"


class Fault(NamedTuple):
    """One thing that is wrong."""

    state: State
    key: str  # A short name that never changes, such as "spf-two-records".
    sentence: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about one line."""

    line: Line
    state: State
    sentence: str
    fault: str = ""  # The key of the worst fault; empty without one.
    seen: str = ""  # What DNS has.
    record: Record | None = None  # What to publish instead; None: nothing, or it cannot be known.

    def as_json(self) -> dict[str, str]:
        """Return the finding as ``check_domain --json`` prints it."""
        return {
            "line": self.line.value,
            "state": self.state.value,
            "fault": self.fault,
            "sentence": self.sentence,
            "seen": self.seen,
            "record": str(self.record or ""),
        }


COULD_NOT_ASK = "could-not-ask"  # The fault of a line that DNS gave no answer for.
_ORDER = (State.BROKEN, State.LOOK, State.GOOD)


def judged(line: Line, faults: Sequence[Fault], good: str, seen: str = "", record: Record | None = None) -> Finding:
    """Return the finding of a line: its worst fault first, or the sentence for a line without one.

    :param record: what to publish; left out of a good line.
    """
    if not faults:
        return Finding(line, State.GOOD, good, seen=seen)
    ranked = sorted(faults, key=lambda fault: _ORDER.index(fault.state))
    sentence = joined(list(dict.fromkeys(fault.sentence for fault in ranked))[:MOST_SENTENCES])
    return Finding(line, ranked[0].state, sentence, ranked[0].key, seen, record)


def not_checked(line: Line, sentence: str) -> Finding:
    """Return the finding of a line that does not apply or is not known; it has no fault."""
    return Finding(line, State.UNKNOWN, sentence)


def could_not_ask(line: Line, error: Unanswered) -> Finding:
    """Return the finding of a line for which DNS gave no answer."""
    return Finding(
        line, State.UNKNOWN, _("Could not ask: %(why)s. It is tried again.", why=shown(str(error), 200)), COULD_NOT_ASK
    )


def seen_of(records: Iterable[str]) -> str:
    """Return records for people: ten at most, each on a line of its own."""
    listed = list(records)
    lines = [shown(record) for record in listed[:10]]
    return "\n".join([*lines, f"… {len(listed) - 10} more"] if len(listed) > 10 else lines)


def _strings(value: str) -> str:
    octets = value.encode()
    parts = [octets[start : start + STRING_OCTETS] for start in range(0, len(octets), STRING_OCTETS)] or [b""]
    escaped = (part.decode("ascii", "backslashreplace").replace("\\", "\\\\").replace('"', '\\"') for part in parts)
    return " ".join(f'"{part}"' for part in escaped)
