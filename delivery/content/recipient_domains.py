"""DNS of recipient domains: whether a domain takes mail at all (field 13), and which mailbox provider takes it.

An unreachable name server proves nothing: unknown never means invalid. Recipients are never probed by VRFY or RCPT.
"""

import asyncio
import time
from collections.abc import Iterable
from typing import NamedTuple

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from django.conf import settings

from mail.addresses import AddressInvalid, check_address, domain_of, is_reserved
from mail.mailbox_providers import receiving_at
from mail.suffixes import registered_domain
from words.texts import text as _
from words.texts import text_of

LOOK_UP_SECONDS = 3.0  # For all queries about one domain together.
LOOK_UPS_AT_ONCE = 50
CACHE_SECONDS = 3600.0
UNKNOWN_SECONDS = 60.0
# After this many look-ups in a row without an answer, look-ups pause for a while: a list of ten thousand domains must
# not wait three seconds for each of them.
SILENT_LOOK_UPS = 20
SILENCE_SECONDS = 30.0


class AddressProblem(NamedTuple):
    """Why mail to an address cannot arrive; false if it may arrive."""

    kind: str  # One of :data:`mail.replies.words.MEANINGS`; the rule of an attempt that was not begun for it.
    sentence: str

    def __bool__(self) -> bool:
        return bool(self.kind)


NO_PROBLEM = AddressProblem("", "")


def syntax_problem(address: str) -> AddressProblem:
    """Return why ``address`` is malformed."""
    try:
        check_address(address)
    except AddressInvalid as error:
        return AddressProblem("not-an-address", text_of(error))
    return NO_PROBLEM


class DomainCache:
    """A cache of what DNS said about domains. The oldest entries are dropped first."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._known: dict[str, tuple[float, AddressProblem, str]] = {}

    def get(self, domain: str) -> AddressProblem | None:
        """Return the problem of a domain; None if the entry is missing or has expired."""
        until, problem, __ = self._known.get(domain, (0.0, NO_PROBLEM, ""))
        return problem if until > time.monotonic() else None

    def provider(self, domain: str) -> str:
        """Return the provider of a domain, empty if unknown. It outlives the entry: domains hardly ever move."""
        return self._known.get(domain, (0.0, NO_PROBLEM, ""))[2]

    def put(self, domain: str, problem: AddressProblem, seconds: float, provider: str = "") -> None:
        """Store an answer; without a provider an earlier one stays."""
        provider = provider or self.provider(domain)
        self._known.pop(domain, None)
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[domain] = (time.monotonic() + seconds, problem, provider)


# One for each process, so that it outlives a drain. Other processes ask DNS again: the name server has its own cache.
_PROCESS_CACHE = DomainCache()


def provider_of(domain: str, cache: DomainCache = _PROCESS_CACHE) -> str:
    """Return the provider that receives mail for ``domain``: the registrable domain of its first MX (``google.com``).

    No DNS query is made: the answer comes from this process's cache, which :meth:`Validator.look_ahead` fills. A
    domain that is not known yet, or has no MX, is its own provider.

    :param domain: in lower case, as :func:`mail.addresses.domain_of` returns it.
    """
    return _well_known_provider(domain) or cache.provider(domain) or domain


def _well_known_provider(domain: str) -> str:
    """Return the provider of a well-known mailbox domain; empty for others."""
    provider = receiving_at(domain)
    return provider.key if provider is not None else ""


class Validator:
    """Checks addresses by syntax and DNS. One instance for each event loop."""

    def __init__(self, nameservers: list[str] | None = None, cache: DomainCache | None = None) -> None:
        configured = settings.DNS_RESOLVERS if nameservers is None else nameservers
        self._nameservers = [_nameserver(one) for one in configured]
        self._cache = cache or _PROCESS_CACHE
        self._running: dict[str, asyncio.Task[AddressProblem]] = {}
        self._slots = asyncio.Semaphore(LOOK_UPS_AT_ONCE)
        self._silent = 0  # Look-ups in a row without an answer.
        self._silent_until = 0.0

    async def problem(self, address: str) -> AddressProblem:
        """Return why mail to ``address`` cannot arrive."""
        if problem := syntax_problem(address):
            return problem
        domain = domain_of(address)
        if is_reserved(domain):
            return AddressProblem(
                "reserved", _("The domain %(domain)s is reserved and receives no mail.", domain=domain)
            )
        known = self._cache.get(domain)
        # Shielded: if one caller is cancelled, the others still get the answer.
        return await asyncio.shield(self._task(domain)) if known is None else known

    async def exchanges(self, domain: str) -> list[str]:
        """Return the hosts that take mail for a domain, the preferred one first; empty if DNS does not say."""
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                answer = await self._resolver().resolve(domain, "MX")
        except dns.resolver.NoAnswer:
            return [domain]  # Without an MX, its own address takes mail (RFC 5321 section 5.1).
        except (dns.exception.DNSException, OSError):
            return []
        return [str(record.exchange).rstrip(".") for record in sorted(answer, key=lambda record: record.preference)]

    def known(self, address: str) -> AddressProblem | None:
        """Return the result of :meth:`problem` without a DNS query; None if a query is needed."""
        if problem := syntax_problem(address):
            return problem
        domain = domain_of(address)
        return None if is_reserved(domain) else self._cache.get(domain)

    def look_ahead(self, addresses: Iterable[str]) -> None:
        """Start the DNS queries for these addresses, so that callers do not wait for one domain after another."""
        for address in addresses:
            if syntax_problem(address):
                continue
            domain = domain_of(address)
            if not is_reserved(domain) and self._cache.get(domain) is None:
                self._task(domain)

    def _task(self, domain: str) -> asyncio.Task[AddressProblem]:
        if domain not in self._running:
            self._running[domain] = asyncio.create_task(self._look_up(domain))
        return self._running[domain]

    async def _look_up(self, domain: str) -> AddressProblem:
        problem, provider, lasts = NO_PROBLEM, "", UNKNOWN_SECONDS
        try:
            async with self._slots:
                if self._silent_until > time.monotonic():
                    lasts = SILENCE_SECONDS
                else:
                    async with asyncio.timeout(LOOK_UP_SECONDS):
                        problem, provider = await _ask(self._resolver(), domain)
                    lasts = CACHE_SECONDS
                    self._silent = 0
        except (dns.resolver.LifetimeTimeout, TimeoutError):
            self._note_silence()
        except (dns.exception.DNSException, OSError):  # Refused, broken or contradictory: an answer that says nothing.
            self._silent = 0
        finally:
            self._running.pop(domain, None)
        self._cache.put(domain, problem, lasts, provider)
        return problem

    def _note_silence(self) -> None:
        self._silent += 1
        if self._silent >= SILENT_LOOK_UPS:
            self._silent, self._silent_until = 0, time.monotonic() + SILENCE_SECONDS

    def _resolver(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        resolver.lifetime = LOOK_UP_SECONDS
        if self._nameservers:
            resolver.nameservers = self._nameservers
        return resolver


def _nameserver(written: str) -> dns.nameserver.Nameserver:
    """Return the name server of a setting like ``127.0.0.1`` or ``127.0.0.1#5353``."""
    host, __, port = written.partition("#")
    return dns.nameserver.Do53Nameserver(host, int(port or 53))


async def _ask(resolver: dns.asyncresolver.Resolver, domain: str) -> tuple[AddressProblem, str]:
    """Return the problem of a domain and its provider; either may be empty.

    MX is asked first, then A and AAAA (RFC 5321 section 5.1). A domain with a null MX takes no mail (RFC 7505).
    """
    try:
        answer = await resolver.resolve(domain, "MX")
    except dns.resolver.NXDOMAIN:
        return AddressProblem("no-domain", _("The domain %(domain)s does not exist.", domain=domain)), ""
    except dns.resolver.NoAnswer:
        pass
    else:
        first = min(answer, key=lambda record: (record.preference, str(record.exchange).lower()))
        host = str(first.exchange).rstrip(".").lower()
        if len(answer) == 1 and not host:
            return AddressProblem("no-mail", _("The domain %(domain)s says that it takes no mail.", domain=domain)), ""
        provider = registered_domain(host)
        return NO_PROBLEM, _well_known_provider(provider) or provider
    for kind in ("A", "AAAA"):
        try:
            await resolver.resolve(domain, kind)
        except dns.resolver.NoAnswer:
            continue
        return NO_PROBLEM, ""
    return AddressProblem("no-mail", _("The domain %(domain)s has no mail server and no address.", domain=domain)), ""
