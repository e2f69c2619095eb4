"""What large mailbox providers ask of senders, with source and date: state of 28 November 2026.

Rules, no enforcement: a check names the requirement that it is about. Providers change their pages without notice.
"""

import datetime as dt
from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

CHECKED_ON = dt.date(2026, 11, 28)  # The date of the last look at the sources.


class Need(StrEnum):
    """One requirement."""

    SPF = "spf"
    DKIM = "dkim"
    DMARC = "dmarc"
    ALIGNMENT = "alignment"  # From agrees with SPF or DKIM.
    DOMAIN = "domain"  # The domains of From and of the return path exist, with SOA and MX or address.
    PTR = "ptr"
    TLS = "tls"
    FORM = "form"  # RFC 5321 and RFC 5322.
    ONE_CLICK = "one-click"  # RFC 8058.
    VISIBLE_LINK = "visible-link"
    CONSENT = "consent"
    SPAM_RATE = "spam-rate"
    STEADY = "steady"  # Volume grows slowly.


class SenderRules(NamedTuple):
    """The requirements of one provider."""

    provider: str  # As in ``mail.mailbox_providers``.
    company: str  # As people call it.
    source: str
    since: dt.date  # When it began to enforce them.
    of_all: frozenset[Need]  # Asked of every sender.
    of_bulk: frozenset[Need]  # Asked in addition of bulk senders.
    refuses: str  # What happens otherwise.


RULES = (
    SenderRules(
        "Gmail",
        "Gmail",
        "https://support.google.com/a/answer/81126",
        dt.date(2024, 2, 1),
        frozenset({Need.PTR, Need.TLS, Need.FORM, Need.SPAM_RATE}),
        frozenset(
            {
                *(Need.SPF, Need.DKIM, Need.DMARC, Need.ALIGNMENT, Need.ONE_CLICK, Need.VISIBLE_LINK),
                *(Need.CONSENT, Need.STEADY),
            }
        ),
        "Rejects for a while or for good since November 2025.",
    ),
    SenderRules(
        "Yahoo",
        "Yahoo",
        "https://senders.yahooinc.com/best-practices/",
        dt.date(2024, 2, 1),
        frozenset({Need.PTR, Need.FORM, Need.DOMAIN, Need.SPAM_RATE}),
        frozenset(
            {
                *(Need.SPF, Need.DKIM, Need.DMARC, Need.ALIGNMENT, Need.ONE_CLICK, Need.VISIBLE_LINK),
                *(Need.CONSENT, Need.STEADY),
            }
        ),
        "Rejects or puts into spam. It names no number of messages.",
    ),
    SenderRules(
        "Outlook",
        "Microsoft",
        "https://sendersupport.olc.protection.outlook.com/pm/policies.aspx",
        dt.date(2025, 5, 5),
        frozenset({Need.PTR, Need.FORM}),
        frozenset({Need.SPF, Need.DKIM, Need.DMARC, Need.ALIGNMENT, Need.VISIBLE_LINK, Need.CONSENT}),
        "Puts into junk or rejects with 550 5.7.515.",
    ),
    SenderRules(
        "iCloud",
        "Apple",
        "https://support.apple.com/en-us/102322",
        dt.date(2025, 2, 25),
        frozenset(),
        frozenset({Need.SPF, Need.DKIM, Need.DMARC, Need.PTR, Need.FORM, Need.VISIBLE_LINK, Need.CONSENT}),
        "Rejects. It names no number of messages.",
    ),
)


def asking_for(needs: Collection[Need]) -> list[SenderRules]:
    """Return the providers that ask bulk senders for one of these."""
    return [rules for rules in RULES if any(need in rules.of_all or need in rules.of_bulk for need in needs)]
