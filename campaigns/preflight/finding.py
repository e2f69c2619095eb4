"""The checks before sending, and their findings: a severity, a sentence, and a remedy.

A check is a row of ``CHECKS``. The modules of ``campaigns.preflight.checks`` make its findings.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from mail.sender_rules import Need, SenderRules, asking_for
from words.texts import text as _


class Severity(StrEnum):
    """The severity of a finding, the most severe first."""

    FATAL = "fatal"  # The campaign cannot start, and nobody can override the check.
    BLOCK = "block"  # The campaign cannot start unless an administrator overrides the check, with a reason.
    WARN = "warn"
    INFORM = "inform"


FATAL, BLOCK, WARN, INFORM = Severity


class Place(StrEnum):
    """Where a finding is put right, in the order of the review page."""

    CAMPAIGN = "campaign"
    RECIPIENTS = "recipients"
    DNS = "dns"
    SERVERS = "servers"


PLACES = {
    Place.CAMPAIGN: _("In the campaign"),
    Place.RECIPIENTS: _("Among the recipients"),
    Place.DNS: _("In your DNS"),
    Place.SERVERS: _("On the servers"),
}


WEIGHTS = {BLOCK: _("Fix before sending"), WARN: _("Warnings"), INFORM: _("For your information")}


@dataclass(frozen=True, slots=True)
class Check:
    """One row of the checks."""

    title: str
    place: Place
    worst: Severity  # No finding of the check is more severe.
    needs: tuple[Need, ...] = ()  # What mailbox providers ask for, if it is about that.


# All checks by their ids: B of the campaign as a whole, M of the message, D of DNS, S of the servers' sessions,
# C of settings and people, T of what receivers said lately.
CHECKS = {
    "B1": Check(_("Ready to send"), Place.CAMPAIGN, FATAL),
    "B2": Check(_("Test inbox or real people"), Place.SERVERS, FATAL),
    "M1": Check(_("Message format"), Place.CAMPAIGN, FATAL, (Need.FORM,)),
    "M2": Check(_("Sender"), Place.CAMPAIGN, FATAL, (Need.FORM,)),
    "M3": Check(_("Message-ID"), Place.CAMPAIGN, FATAL, (Need.FORM,)),
    "M4": Check(_("One-click unsubscribe"), Place.SERVERS, BLOCK, (Need.ONE_CLICK,)),
    "M5": Check(_("Unsubscribe page"), Place.SERVERS, BLOCK, (Need.ONE_CLICK,)),
    "M6": Check(_("Visible unsubscribe link"), Place.CAMPAIGN, BLOCK, (Need.VISIBLE_LINK,)),
    "M7": Check(_("Reported signatures"), Place.DNS, BLOCK, (Need.DKIM,)),
    "M8": Check(_("Postal address"), Place.CAMPAIGN, BLOCK),
    "M9": Check(_("Text and HTML"), Place.CAMPAIGN, WARN),
    "M10": Check(_("Merge fields"), Place.CAMPAIGN, BLOCK),
    "M11": Check(_("Links"), Place.CAMPAIGN, BLOCK),
    "M12": Check(_("Subject"), Place.CAMPAIGN, WARN),
    "M13": Check(_("Size"), Place.CAMPAIGN, BLOCK),
    "M14": Check(_("Copies"), Place.CAMPAIGN, WARN),
    "M15": Check(_("Opens and clicks"), Place.CAMPAIGN, INFORM),
    "M16": Check(_("Sample text"), Place.CAMPAIGN, WARN),
    "D0": Check(_("DNS not known"), Place.DNS, WARN),
    "D1": Check(_("SPF record"), Place.DNS, BLOCK, (Need.SPF,)),
    "D2": Check(_("SPF of the provider"), Place.DNS, WARN, (Need.SPF,)),
    "D3": Check(_("DKIM key"), Place.DNS, BLOCK, (Need.DKIM,)),
    "D4": Check(_("DMARC policy"), Place.DNS, BLOCK, (Need.DMARC,)),
    "D5": Check(_("Domain alignment"), Place.DNS, BLOCK, (Need.ALIGNMENT,)),
    "D6": Check(_("Sender's domain"), Place.DNS, BLOCK, (Need.DOMAIN,)),
    "D7": Check(_("Return path"), Place.DNS, BLOCK, (Need.DOMAIN,)),
    "D8": Check(_("Reverse DNS"), Place.DNS, BLOCK, (Need.PTR,)),
    "D9": Check(_("Block lists"), Place.DNS, WARN),
    "D10": Check(_("Optional records"), Place.DNS, INFORM),
    "D11": Check(_("Address for misuse"), Place.SERVERS, INFORM),
    "S0": Check(_("Server not tried"), Place.SERVERS, WARN),
    "S1": Check(_("Connection"), Place.SERVERS, BLOCK, (Need.TLS,)),
    "S2": Check(_("Sign-in"), Place.SERVERS, BLOCK),
    "S3": Check(_("Sender accepted"), Place.SERVERS, BLOCK),
    "S4": Check(_("Server features"), Place.SERVERS, INFORM),
    "S5": Check(_("Encryption"), Place.SERVERS, FATAL, (Need.TLS,)),
    "C1": Check(_("Quota and timing"), Place.SERVERS, BLOCK),
    "C2": Check(_("Bulk sending allowed"), Place.SERVERS, BLOCK),
    "C3": Check(_("Consent"), Place.RECIPIENTS, INFORM, (Need.CONSENT,)),
    "C4": Check(_("Addresses"), Place.RECIPIENTS, WARN),
    "C5": Check(_("Large mailbox providers"), Place.RECIPIENTS, WARN, (Need.STEADY,)),
    "C6": Check(_("Feedback loops"), Place.DNS, INFORM),
    "C7": Check(_("Reachable recipients"), Place.RECIPIENTS, BLOCK),
    "T1": Check(_("Spam complaints"), Place.RECIPIENTS, BLOCK, (Need.SPAM_RATE,)),
    "T2": Check(_("Hard bounces"), Place.RECIPIENTS, BLOCK),
    "T3": Check(_("Unread reports"), Place.SERVERS, BLOCK, (Need.CONSENT,)),
}

# The checks that read the samples of a message: all with an M but the server's own page, reports, copies, counts.
OF_MESSAGES = tuple(
    check_id for check_id in CHECKS if check_id[0] == "M" and check_id not in ("M5", "M7", "M14", "M15")
)

# The checks whose findings are fixed in the campaign's content.
OF_CONTENT = ("M6", "M9", "M10", "M11", "M12", "M13", "M16")

# The checks whose people stand on the page of recipients and exclusions.
OF_PEOPLE = ("C3", "C7")


# The checks whose findings are fixed by choosing other servers for the campaign.
OF_SERVERS = ("B2",)


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check."""

    check_id: str  # A key of ``CHECKS``, such as "M6". Stable, because overrides are stored under it.
    severity: Severity
    sentence: str  # The fact, with its value.
    remedy: str = ""  # What the reader can do.
    domain: str = ""  # The A-label of the domain whose page has more; empty: none has.
    detail: str = ""  # For people who may see the servers' settings.

    @property
    def title(self) -> str:
        return CHECKS[self.check_id].title

    @property
    def place(self) -> Place:
        return CHECKS[self.check_id].place

    @property
    def asked_by(self) -> list[SenderRules]:
        """The mailbox providers that ask for what is missing; empty for a note."""
        return [] if self.severity is INFORM else asking_for(CHECKS[self.check_id].needs)

    @property
    def is_blocking(self) -> bool:
        return self.severity in (FATAL, BLOCK)

    @property
    def is_about_content(self) -> bool:
        """Whether the editor of the campaign is the place to fix it."""
        return self.check_id in OF_CONTENT

    @property
    def is_about_people(self) -> bool:
        """Whether the page of recipients and exclusions lists the people."""
        return self.check_id in OF_PEOPLE

    @property
    def is_about_servers(self) -> bool:
        """Whether the campaign's servers are the field to change."""
        return self.check_id in OF_SERVERS


@dataclass(frozen=True, slots=True)
class Group:
    """The findings of the same weight that are put right in the same place."""

    place: Place
    findings: tuple[Finding, ...]

    @property
    def title(self) -> str:
        return PLACES[self.place]


@dataclass(frozen=True, slots=True)
class Weight:
    """The findings that weigh the same for the reader, by place."""

    severity: Severity
    title: str
    groups: tuple[Group, ...]

    @property
    def number(self) -> int:
        return sum(len(group.findings) for group in self.groups)

    @property
    def is_folded(self) -> bool:
        """Whether the page shows only the title first."""
        return self.severity is INFORM


def found(
    check_id: str, severity: Severity, sentence: str, remedy: str = "", domain: str = "", detail: str = ""
) -> Finding:
    """Return a finding of the check with this id."""
    return Finding(check_id, severity, sentence, remedy, domain, detail)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings without duplicates, the most severe first."""
    gravity = list(Severity)
    return sorted(dict.fromkeys(findings), key=lambda finding: gravity.index(finding.severity))


def by_weight(findings: Iterable[Finding], answered: Collection[str]) -> list[Weight]:
    """Return the findings as a page shows them: what keeps the campaign from starting, warnings, notes.

    :param answered: the ids of overridden checks; their findings stand among the warnings.
    """
    parts: dict[Severity, list[Finding]] = {BLOCK: [], WARN: [], INFORM: []}
    for each in findings:
        is_answered = each.severity is BLOCK and each.check_id in answered
        parts[WARN if is_answered else BLOCK if each.is_blocking else each.severity].append(each)
    return [Weight(severity, WEIGHTS[severity], _by_place(its)) for severity, its in parts.items() if its]


def _by_place(findings: Collection[Finding]) -> tuple[Group, ...]:
    groups = ((place, tuple(each for each in findings if each.place is place)) for place in Place)
    return tuple(Group(place, its) for place, its in groups if its)
