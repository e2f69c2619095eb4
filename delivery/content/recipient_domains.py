"""What DNS says of a recipient's domain: whether it takes mail at all (field 13), and which provider takes it.

An unreachable name server says nothing: unknown is never invalid. VRFY or RCPT probes are never made.
"""

import asyncio
import time
from collections.abc import Iterable

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
from django.conf import settings

from mail.addresses import AddressInvalid, check_address, domain_of, is_reserved
from mail.mailbox_providers import receiving_at
from mail.suffixes import registered_domain

LOOK_UP_SECONDS = 3.0  # For all questions about one domain together.
LOOK_UPS_AT_ONCE = 50
CACHE_SECONDS = 3600.0
UNKNOWN_SECONDS = 60.0
# After so many look-ups in a row without any answer the name servers are left alone for a while: a list of ten
# thousand domains must not wait three seconds for each of them.
SILENT_LOOK_UPS = 20
SILENCE_SECONDS = 30.0


def syntax_problem(address: str) -> str:
    """Return why ``address`` cannot be used at all, as a sentence; empty when it can."""
    try:
        check_address(address)
    except AddressInvalid as error:
        return str(error)
    return ""


class DomainCache:
    """What was found out about domains, for a while; the oldest are forgotten first."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._known: dict[str, tuple[float, str, str]] = {}

    def get(self, domain: str) -> str | None:
        """Return the problem of a domain, empty for none; None when nothing is known (any more)."""
        until, problem, _ = self._known.get(domain, (0.0, "", ""))
        return problem if until > time.monotonic() else None

    def provider(self, domain: str) -> str:
        """Return the provider found for a domain, also an hour later: they hardly ever move; empty where unknown."""
        return self._known.get(domain, (0.0, "", ""))[2]

    def with_problem(self) -> list[str]:
        """Return the domains of which a problem is known."""
        moment = time.monotonic()
        return [domain for domain, (until, problem, _) in list(self._known.items()) if problem and until > moment]

    def put(self, domain: str, problem: str, seconds: float, provider: str = "") -> None:
        """Keep what was found out; without a provider an earlier one stays."""
        provider = provider or self.provider(domain)
        self._known.pop(domain, None)
        while len(self._known) >= self._most:
            del self._known[next(iter(self._known))]
        self._known[domain] = (time.monotonic() + seconds, problem, provider)


# One for each process, so that it outlives a drain. Other processes ask anew: the name server has a cache of its own.
_OF_THIS_PROCESS = DomainCache()


def provider_of(domain: str, cache: DomainCache = _OF_THIS_PROCESS) -> str:
    """Return who receives mail for ``domain``: the registrable domain of its first MX, such as ``google.com``.

    Nothing is asked: it is what this process knows already (:meth:`Validator.look_ahead` asks). A domain that is
    not known yet, or has no MX, stands for itself.

    :param domain: in lower case, as :func:`mail.addresses.domain_of` returns it.
    """
    return _named(domain) or cache.provider(domain) or domain


def is_known_unreachable(domain: str, cache: DomainCache = _OF_THIS_PROCESS) -> bool:
    """Whether this process lately found that the domain does not exist, or takes no mail."""
    return bool(cache.get(domain))


def known_unreachable(cache: DomainCache = _OF_THIS_PROCESS) -> list[str]:
    """Return the domains that this process lately found not to exist, or to take no mail."""
    return cache.with_problem()


def _named(domain: str) -> str:
    """Return the provider of a domain that everybody knows; empty for others."""
    provider = receiving_at(domain)
    return provider.key if provider is not None else ""


class Validator:
    """Answers for addresses; one for each event loop."""

    def __init__(self, nameservers: list[str] | None = None, cache: DomainCache | None = None) -> None:
        written = settings.DNS_RESOLVERS if nameservers is None else nameservers
        self._nameservers = [_nameserver(one) for one in written]
        self._cache = cache or _OF_THIS_PROCESS
        self._under_way: dict[str, asyncio.Task[str]] = {}
        self._free = asyncio.Semaphore(LOOK_UPS_AT_ONCE)
        self._silent = 0  # Look-ups in a row that nobody answered.
        self._silent_until = 0.0

    async def problem(self, address: str) -> str:
        """Return why mail to ``address`` cannot arrive, as a sentence; empty when it may."""
        if problem := syntax_problem(address):
            return problem
        domain = domain_of(address)
        if is_reserved(domain):
            return f"The domain {domain} is reserved and receives no mail."
        known = self._cache.get(domain)
        # Shielded: whoever is cancelled leaves the answer to the others who wait for it.
        return await asyncio.shield(self._task(domain)) if known is None else known

    def known(self, address: str) -> str | None:
        """Return what :meth:`problem` would, without asking anybody; None when somebody must be asked."""
        if problem := syntax_problem(address):
            return problem
        domain = domain_of(address)
        return None if is_reserved(domain) else self._cache.get(domain)

    def look_ahead(self, addresses: Iterable[str]) -> None:
        """Begin to ask for the domains of these addresses, so that nobody waits for them one after the other."""
        for address in addresses:
            if syntax_problem(address):
                continue
            domain = domain_of(address)
            if not is_reserved(domain) and self._cache.get(domain) is None:
                self._task(domain)

    def _task(self, domain: str) -> asyncio.Task[str]:
        if domain not in self._under_way:
            self._under_way[domain] = asyncio.create_task(self._look_up(domain))
        return self._under_way[domain]

    async def _look_up(self, domain: str) -> str:
        problem, provider, lasts = "", "", UNKNOWN_SECONDS
        try:
            async with self._free:
                if self._silent_until > time.monotonic():
                    lasts = SILENCE_SECONDS
                else:
                    async with asyncio.timeout(LOOK_UP_SECONDS):
                        problem, provider = await _ask(self._resolver(), domain)
                    lasts = CACHE_SECONDS
                    self._silent = 0
        except (dns.resolver.LifetimeTimeout, TimeoutError):
            self._note_silence()
        except (dns.exception.DNSException, OSError):  # Refused, broken, contradictory: an answer, and no knowledge.
            self._silent = 0
        finally:
            self._under_way.pop(domain, None)
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
    """Return a name server written as ``127.0.0.1`` or ``127.0.0.1#5353``."""
    host, _, port = written.partition("#")
    return dns.nameserver.Do53Nameserver(host, int(port or 53))


async def _ask(resolver: dns.asyncresolver.Resolver, domain: str) -> tuple[str, str]:
    """Return the problem of a domain and its provider, empty where there is none.

    MX first, then A and AAAA (RFC 5321 5.1); a null MX takes nothing (RFC 7505).
    """
    try:
        answer = await resolver.resolve(domain, "MX")
    except dns.resolver.NXDOMAIN:
        return f"The domain {domain} does not exist.", ""
    except dns.resolver.NoAnswer:
        pass
    else:
        first = min(answer, key=lambda record: (record.preference, str(record.exchange).lower()))
        host = str(first.exchange).rstrip(".").lower()
        if len(answer) == 1 and not host:
            return f"The domain {domain} says that it takes no mail.", ""
        provider = registered_domain(host)
        return "", _named(provider) or provider
    for kind in ("A", "AAAA"):
        try:
            await resolver.resolve(domain, kind)
        except dns.resolver.NoAnswer:
            continue
        return "", ""
    return f"The domain {domain} has no mail server and no address.", ""
