"""What a check found: how grave it is, a sentence, and how to mend it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How grave a finding is, the gravest first."""

    FATAL = "fatal"  # The campaign cannot start, whoever wants it.
    BLOCK = "block"  # It cannot start unless an administrator overrides the check, with a reason.
    WARN = "warn"
    INFORM = "inform"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check that has something to say."""

    check_id: str  # Of the check, such as "M6": stable, so that an override can name it.
    severity: Severity
    title: str
    sentence: str  # What is true, with the value.
    mend: str = ""  # What the reader can do.

    @property
    def is_blocking(self) -> bool:
        return self.severity in (Severity.FATAL, Severity.BLOCK)


# Every check by its id, as people call it.
TITLES = {
    "B1": "Ready to be sent",
    "M1": "Form of the message",
    "M2": "Sender",
    "M3": "Message-ID",
    "M4": "Unsubscribing with one click",
    "M5": "Unsubscribe page",
    "M6": "Visible unsubscribe link",
    "M8": "Postal address",
    "M9": "Text and HTML",
    "M10": "Merge fields",
    "M11": "Links",
    "M12": "Subject",
    "M13": "Size",
    "M14": "Copies",
    "C1": "Quota and time",
    "C2": "Providers and bulk mail",
    "C3": "Consent",
    "C4": "Addresses",
    "C5": "Large providers",
}


def found(check_id: str, severity: Severity, sentence: str, mend: str = "") -> Finding:
    """Return a finding of a known check."""
    return Finding(check_id, severity, TITLES[check_id], sentence, mend)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings, the gravest first, each once."""
    gravity = list(Severity)
    return sorted(dict.fromkeys(findings), key=lambda finding: gravity.index(finding.severity))
