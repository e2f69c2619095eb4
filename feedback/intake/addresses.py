"""The addresses that reports arrive at: tags of ours, return paths, the servers' spam and abuse addresses, and those
that domains ask receivers to send DMARC and TLS reports to.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from django.conf import settings

from domains.models import SendingDomain
from domains.reports import addresses as domain_addresses
from mail import verp
from mail.addresses import ascii_address, domain_of, fold
from smtpservers.models import SmtpServer

ROLES = ("postmaster", "abuse")  # RFC 5321 section 4.5.1, RFC 2142 section 4.


class Purpose(StrEnum):
    """What mail to an address of ours is about."""

    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    REPORT = "report"  # Spam and abuse reports, and what people write to these addresses.
    DOMAIN_REPORT = "domain report"  # DMARC and TLS reports.
    ROLE = "role"  # Postmaster and abuse of our domains.


@dataclass(frozen=True, slots=True)
class OurAddresses:
    """The addresses of all servers."""

    return_paths: frozenset[str] = field(default=frozenset())  # Folded; only those that are used without a tag.
    reports: frozenset[str] = field(default=frozenset())
    domains: frozenset[str] = field(default=frozenset())
    report_tags: frozenset[str] = field(default=frozenset())  # Of domains.

    def purpose(self, address: str) -> Purpose | None:
        """Return what mail to an address is about; None if the address is not ours.

        A tag counts at any domain: return paths change, and mail that was sent before still bounces.
        """
        if verp.is_unsubscribe_address(address):
            is_genuine = verp.message_to_unsubscribe(address, settings.TOKEN_KEYS) is not None
            return Purpose.UNSUBSCRIBE if is_genuine else None
        if verp.tag_of(address, settings.TOKEN_KEYS) is not None:
            return Purpose.BOUNCE
        folded = fold(address)
        if folded in self.return_paths:
            return Purpose.BOUNCE
        if folded in self.reports:
            return Purpose.REPORT
        local, _, domain = folded.rpartition("@")
        if domain_addresses.tag_of(local) in self.report_tags:
            return Purpose.DOMAIN_REPORT
        is_role = (local in ROLES and domain in self.domains) or folded == ROLES[0]  # It may stand without a domain.
        return Purpose.ROLE if is_role else None


def our_addresses() -> OurAddresses:
    """Read the addresses of all servers."""
    servers = list(SmtpServer.objects.all())
    plain = {fold(server.return_path) for server in servers if _has_return_path(server) and not _is_tagged(server)}
    reports = {fold(address) for server in servers for address in report_addresses(server)}
    tagged = (fold(server.return_path) for server in servers if _has_return_path(server))
    tags = SendingDomain.objects.values_list("report_tag", flat=True)
    return OurAddresses(frozenset(plain), frozenset(reports), frozenset(_domains([*tagged, *reports])), frozenset(tags))


def report_addresses(server: SmtpServer) -> list[str]:
    """Return the addresses that a server's messages name for spam and abuse reports."""
    spam = [server.spam_address] if server.use_spam_address else []
    return [address for address in [*spam, *([server.abuse_address] if server.use_abuse_address else [])] if address]


def _has_return_path(server: SmtpServer) -> bool:
    return bool(server.use_return_path and server.return_path)


def _is_tagged(server: SmtpServer) -> bool:
    """Tell whether each message has its own tag; a long address has no room for one."""
    plain = ascii_address(server.return_path)
    return server.use_verp and verp.tagged(plain, 0, 0, settings.TOKEN_KEYS) != plain


def _domains(addresses: Iterable[str]) -> set[str]:
    return {domain_of(address) for address in addresses}
