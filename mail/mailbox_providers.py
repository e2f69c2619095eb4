"""Mailbox providers that are open to everybody: their domains, MX, SMTP servers and rules for bulk senders.

One table for all uses: who receives for a domain, whether a From can pass through a server, and from how many messages
a day on a provider's bulk rules apply. Nothing here queries DNS; providers that are not listed are identified by the
registered domain of their MX.
"""

import re
from typing import NamedTuple


def _national(label: str, countries: str) -> tuple[str, ...]:
    return tuple(f"{label}.{country}" for country in countries.split())


class MailboxProvider(NamedTuple):
    """One mailbox provider. All domains are lower case and belong to no other provider."""

    name: str  # The common name of its mailboxes.
    mx: tuple[str, ...]  # The registered domains of its MX; the first is the provider's key in the database.
    domains: tuple[str, ...]  # The domains of its mailboxes; the first is the best known.
    relays: tuple[str, ...] = ()  # Further domains of SMTP servers that may send for its mailboxes.
    bulk_per_day: int | None = None  # From this number of messages a day on, its bulk rules apply.

    @property
    def key(self) -> str:
        """The domain that identifies the provider in holds, tallies and URLs."""
        return self.mx[0]

    def may_send(self, host: str) -> bool:
        """Tell whether an SMTP server belongs to the provider, so that DMARC aligns its domains."""
        return any(host == domain or host.endswith(f".{domain}") for domain in (*self.domains, *self.relays))


# National domains are listed, not derived from the first label: live.tv and yahoo.co.jp belong to other companies.
PROVIDERS = (
    MailboxProvider(
        "Gmail",
        mx=("google.com", "googlemail.com"),
        domains=("gmail.com", "googlemail.com"),
        relays=("google.com",),
        bulk_per_day=5_000,
    ),
    MailboxProvider(
        "Outlook",
        mx=("outlook.com", "mx.microsoft"),
        domains=(
            *("outlook.com", "hotmail.com", "live.com", "msn.com"),
            *_national(
                "outlook",
                "at be cl co.id co.il co.th com.ar com.au com.br com.gr com.tr com.vn cz de dk es fr hu ie in it jp kr"
                " lv my ph pt sa sg sk",
            ),
            *_national(
                "hotmail",
                "be ca ch cl co.il co.jp co.kr co.nz co.th co.uk co.za com.ar com.au com.br com.tr de dk es fi fr gr it"
                " nl se",
            ),
            *_national(
                "live",
                "at be ca cl cn co.kr co.uk co.za com.ar com.au com.mx com.my com.pt com.sg de dk fr hk ie in it jp nl"
                " no ru se",
            ),
        ),
        relays=("office365.com",),
        bulk_per_day=5_000,
    ),
    MailboxProvider(
        "Yahoo",
        mx=("yahoodns.net",),
        domains=(
            *("yahoo.com", "ymail.com", "rocketmail.com", "aol.com"),
            *_national(
                "yahoo",
                "at be ca co.id co.il co.in co.nz co.th co.uk co.za com.ar com.au com.br com.co com.hk com.mx com.my"
                " com.ph com.sg com.tr com.tw com.vn cz de dk es fi fr gr ie in it nl no pl pt ro se",
            ),
        ),
        bulk_per_day=5_000,
    ),
    MailboxProvider("iCloud", mx=("icloud.com",), domains=("icloud.com", "me.com", "mac.com")),
    MailboxProvider("GMX", mx=("gmx.net",), domains=("gmx.net", "gmx.de", "gmx.com", "gmx.at", "gmx.ch")),
    MailboxProvider("WEB.DE", mx=("web.de",), domains=("web.de",)),
    MailboxProvider(
        "Proton Mail", mx=("protonmail.ch",), domains=("proton.me", "protonmail.com"), relays=("protonmail.ch",)
    ),
    MailboxProvider("Yandex Mail", mx=("yandex.ru", "yandex.net"), domains=("yandex.ru", "yandex.com")),
    MailboxProvider("Mail.ru", mx=("mail.ru",), domains=("mail.ru",)),
)
_BY_MAILBOX = {domain: provider for provider in PROVIDERS for domain in provider.domains}
_BY_ANY_DOMAIN = {**{domain: provider for provider in PROVIDERS for domain in provider.mx}, **_BY_MAILBOX}
_DOMAIN_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)+")


def with_mailboxes_at(domain: str) -> MailboxProvider | None:
    """Return the provider whose mailboxes end in this domain, such as ``hotmail.fr``."""
    return _BY_MAILBOX.get(domain)


def receiving_at(domain: str) -> MailboxProvider | None:
    """Return the provider that receives for a domain of its own: a mailbox domain, or a registered domain of its MX."""
    return _BY_ANY_DOMAIN.get(domain)


def is_named_in(words: str) -> bool:
    """Tell whether a text contains a mailbox domain of a provider, or a host below one."""
    for name in _DOMAIN_NAME.findall(words.lower()):
        labels = name.split(".")
        if any(".".join(labels[start:]) in _BY_MAILBOX for start in range(len(labels))):
            return True
    return False
