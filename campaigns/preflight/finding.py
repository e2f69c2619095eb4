"""The finding of a preflight check: its severity, a sentence, and a remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from words.texts import text as _


class Severity(StrEnum):
    """The severity of a finding, the most severe first."""

    FATAL = "fatal"  # The campaign cannot start, and nobody can override the check.
    BLOCK = "block"  # The campaign cannot start unless an administrator overrides the check, with a reason.
    WARN = "warn"
    INFORM = "inform"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check."""

    check_id: str  # Such as "M6". Stable, because overrides are stored under it.
    severity: Severity
    title: str
    sentence: str  # The fact, with its value.
    remedy: str = ""  # What the reader can do.

    @property
    def is_blocking(self) -> bool:
        return self.severity in (Severity.FATAL, Severity.BLOCK)

    @property
    def is_about_content(self) -> bool:
        """Whether the editor of the campaign is the place to fix it."""
        return self.check_id in OF_CONTENT

    @property
    def is_about_people(self) -> bool:
        """Whether the page of recipients and exclusions lists the people."""
        return self.check_id in OF_PEOPLE


# The title of every check, by its id.
TITLES = {
    "B1": _("Ready to send"),
    "M1": _("Message format"),
    "M2": _("Sender"),
    "M3": _("Message-ID"),
    "M4": _("One-click unsubscribe"),
    "M5": _("Unsubscribe page"),
    "M6": _("Visible unsubscribe link"),
    "M8": _("Postal address"),
    "M9": _("Text and HTML"),
    "M10": _("Merge fields"),
    "M11": _("Links"),
    "M12": _("Subject"),
    "M13": _("Size"),
    "M14": _("Copies"),
    "M15": _("Sample text"),
    "C1": _("Quota and timing"),
    "C2": _("Bulk sending allowed"),
    "C3": _("Consent"),
    "C4": _("Addresses"),
    "C5": _("Large mailbox providers"),
    "C6": _("Reachable recipients"),
}

# The checks that read the samples of a message: all with an M but the server's own page and the copies.
OF_MESSAGES = tuple(check_id for check_id in TITLES if check_id[0] == "M" and check_id not in ("M5", "M14"))

# The checks whose findings are fixed in the campaign's content.
OF_CONTENT = ("M6", "M9", "M10", "M11", "M12", "M13", "M15")

# The checks whose people stand on the page of recipients and exclusions.
OF_PEOPLE = ("C3", "C6")


def found(check_id: str, severity: Severity, sentence: str, remedy: str = "") -> Finding:
    """Return a finding of the check with this id, under its title."""
    return Finding(check_id, severity, TITLES[check_id], sentence, remedy)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without duplicates, the most severe first."""
    gravity = list(Severity)
    return sorted(dict.fromkeys(findings), key=lambda finding: gravity.index(finding.severity))
