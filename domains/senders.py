"""What this room has to know of servers and campaigns. Higher rooms register it; nothing here asks DNS."""

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from mail.addresses import AddressInvalid, check_domain_name
from registry import Registry


@dataclass(frozen=True, slots=True)
class Sender:
    """An active server that sends mail from a domain, and what its provider is known to do."""

    server: str  # Its name.
    author: str  # The domain of From, an A-label.
    envelope: str  # The domain of its return path, an A-label.
    provider: str = ""  # The provider's name; empty if it has no preset.
    replaces_envelope: bool = False  # Whether the provider puts a return path of its own in place of ours.
    include: str = ""  # What the provider asks customers to include in SPF.
    selectors: tuple[str, ...] = ()  # What the provider usually calls its DKIM keys.
    signs_here: bool = False  # Whether we add the signature, and not the provider.
    must_sign: bool = False  # Whether its mail waits until we can.
    is_own_relay: bool = False  # Whether the machine that delivers is ours.
    host: str = ""
    helo: str = ""


@dataclass(frozen=True, slots=True)
class ProviderInclude:
    """What a provider of bulk mail asks its customers to include in SPF."""

    provider: str
    domain: str


class GmailCount(NamedTuple):
    """Our own account of a day's mail to Gmail."""

    day: dt.date  # In UTC.
    accepted: int
    complaints: int  # That reached us.


# The domains that mail is sent from, as A-labels or as people typed them.
FROM_DOMAINS: Registry[Callable[[], Iterable[str]]] = Registry()
# The domains that mail is about to be sent with, and that DNS should be asked about just before.
UPCOMING_DOMAINS: Registry[Callable[[dt.datetime], Iterable[str]]] = Registry()
# The active servers that send from a domain, which may also be the domain of a return path.
SENDERS: Registry[Callable[[str], Iterable[Sender]]] = Registry()
# All providers whose include would be left over if no server uses them.
PROVIDER_INCLUDES: Registry[Callable[[], Iterable[ProviderInclude]]] = Registry()


# Our own counts of mail to Gmail from a domain and the names below it, since a UTC day.
GMAIL_COUNTS: Registry[Callable[[str, dt.date], Iterable[GmailCount]]] = Registry()


def from_domains() -> set[str]:
    """Return the domains that mail is sent from, as A-labels; text that is no domain is left out."""
    found: set[str] = set()
    for domains in FROM_DOMAINS.values():
        for written in domains():
            try:
                found.add(check_domain_name(written))
            except AddressInvalid:
                continue
    return found


def senders_of(domain: str) -> list[Sender]:
    """Return the active servers that send from a domain."""
    return [sender for senders in SENDERS.values() for sender in senders(domain)]


def gmail_counts(domain: str, start: dt.date) -> list[GmailCount]:
    """Return our own counts of mail to Gmail from a domain and the names below it, by day."""
    return [count for counts in GMAIL_COUNTS.values() for count in counts(domain, start)]


def provider_includes() -> list[ProviderInclude]:
    return [include for includes in PROVIDER_INCLUDES.values() for include in includes()]
