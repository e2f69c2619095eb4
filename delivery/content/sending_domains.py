"""What the room of domains is told of servers: the domains that they send from, and what their mail carries."""

import datetime as dt
from collections.abc import Iterator

from delivery.content.test_inbox import is_this_machine, leads_to_test_inbox
from domains import rounds
from domains.senders import ProviderInclude, Sender
from mail.addresses import AddressInvalid, domain_of, parse_mailbox
from smtpservers import presets
from smtpservers.models import SmtpServer
from smtpservers.provider_dns import PROVIDER_DNS, dns_of
from smtpservers.routing.candidates import must_sign
from smtpservers.smtp.endpoint import domain_name_of


def server_domains() -> Iterator[str]:
    """Yield the domains of Mail from and of the return paths of all active servers."""
    for server in SmtpServer.objects.filter(is_active=True):
        author, envelope = _domains(server)
        yield author
        yield envelope


def follow_server(server: SmtpServer, now: dt.datetime) -> None:
    """Have DNS asked about the domains of a server that somebody saved: who signs its mail may be another now."""
    rounds.look_anew([name for name in _domains(server) if name], now)


def senders(domain: str) -> Iterator[Sender]:
    """Yield the active servers that send from a domain, or whose bounces go to it; none of the test inbox.

    :param domain: an A-label.
    """
    for server in SmtpServer.objects.filter(is_active=True).order_by("display_order", "pk"):
        author, envelope = _domains(server)
        if domain in (author, envelope) and not leads_to_test_inbox(server):
            yield _sender(server, author, envelope)


def senders_of_any(domain: str) -> Iterator[Sender]:
    """Yield all active servers as they would send a campaign whose own From is of a domain."""
    for server in SmtpServer.objects.filter(is_active=True).order_by("display_order", "pk"):
        if not leads_to_test_inbox(server):
            has_own = server.use_return_path and server.return_path
            yield _sender(server, domain, _domains(server)[1] if has_own else domain)


def sender_through(server: SmtpServer, mail_from: str) -> Sender | None:
    """Return what mail through a server carries; None for the test inbox, a server on this machine, or a damaged row.

    :param mail_from: a From that overrides the server's own; empty: none.
    """
    if is_this_machine(server.host) or leads_to_test_inbox(server):
        return None
    author, envelope = _domains(server)
    if mail_from:
        has_own = server.use_return_path and server.return_path
        try:
            author = domain_of(parse_mailbox(mail_from).address)
        except AddressInvalid:
            return None
        envelope = envelope if has_own else author
    return _sender(server, author, envelope) if author and envelope else None


def provider_includes() -> Iterator[ProviderInclude]:
    """Yield what the providers of bulk mail ask their customers to include."""
    for key, dns in PROVIDER_DNS.items():
        if dns.include and dns.is_for_bulk:
            yield ProviderInclude(presets.PRESETS[key].name, dns.include)


def _sender(server: SmtpServer, author: str, envelope: str) -> Sender:
    dns = dns_of(server.preset)
    return Sender(
        server.name,
        author,
        envelope,
        provider=presets.PRESETS[server.preset].name if server.preset in presets.PRESETS else "",
        replaces_envelope=dns.replaces_envelope and not server.is_own_relay,
        include=dns.include,
        selectors=dns.selectors,
        signs_here=server.dkim == SmtpServer.Signer.BRILLIANCE,
        must_sign=must_sign(server),
        is_own_relay=server.is_own_relay,
        host=server.host,
        helo=domain_name_of(server),
    )


def _domains(server: SmtpServer) -> tuple[str, str]:
    """Return the domains of Mail from and of the return path as A-labels; empty for a damaged row."""
    try:
        author = domain_of(parse_mailbox(server.mail_from).address)
        has_own = server.use_return_path and server.return_path
        return author, domain_of(server.return_path) if has_own else author
    except AddressInvalid:
        return "", ""
