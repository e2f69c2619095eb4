"""Asks DNS for a key's record: first the authoritative name servers, which must all agree, then the own resolver.

Where DNS_RESOLVERS is set, only those servers are asked. What cannot be asked is no finding.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.query
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset
from django.conf import settings

from domains.lookups import nameserver, written
from mail.reachability import is_public
from mail.records.dkim_key import faults_of
from mail.records.finding import Record, State
from words.texts import text as _

SECONDS = 5.0  # For each question.
ALL_SECONDS = 40.0  # For one key.
MOST_SERVERS = 8
MOST_ALIASES = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """What DNS says of a key's record."""

    is_answered: bool = True
    fault: str = ""  # A name of mail.records; empty: the record is right.
    sentence: str = ""  # What is wrong, or why there is no answer.
    is_from_cache: bool = False  # Only resolvers answered, which may remember an older record.
    ttl_seconds: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    texts: tuple[str, ...]
    ttl_seconds: int = 0
    is_authoritative: bool = False
    alias: str = ""  # The name to ask instead: another zone has the record.


class _Silent(Exception):
    """A name server gave no answer to rely on."""


class DnsCheck:
    """Checks records in DNS."""

    def __init__(
        self,
        nameservers: Sequence[str] | None = None,
        *,
        asks_authorities: bool | None = None,
        port: int = 53,
        may_ask: Callable[[str], bool] = is_public,
    ) -> None:
        """Prepare.

        :param nameservers: as the setting DNS_RESOLVERS, which is the default; empty: the machine's own.
        :param asks_authorities: None: unless name servers are given.
        :param port: of authoritative servers.
        :param may_ask: whether an address that DNS gave for an authoritative server may be asked.
        """
        configured = settings.DNS_RESOLVERS if nameservers is None else nameservers
        self._asks_authorities = not configured if asks_authorities is None else asks_authorities
        self._resolver = dns.resolver.Resolver(configure=not configured)
        self._resolver.lifetime, self._resolver.timeout = SECONDS, SECONDS / 2
        if configured:
            self._resolver.nameservers = [nameserver(one) for one in configured]
        self._port, self._may_ask = port, may_ask

    def __call__(self, record: Record) -> Seen:
        """Return what DNS says of a record that should be published."""
        until = time.monotonic() + ALL_SECONDS
        told = list(self._authoritative(record.name, until)) if self._asks_authorities else []
        wrong = [fault for answer in told if (fault := _fault(record, answer.texts)) is not None]
        if wrong:
            if len(wrong) == len(told):
                return Seen(fault=wrong[0][0], sentence=wrong[0][1])
            said = _("%(n)s of %(all)s name servers of the domain don't have it yet.", n=len(wrong), all=len(told))
            return Seen(fault="dkim-not-everywhere", sentence=said)
        try:
            own = self._own(record.name)
        except _Silent as error:
            return Seen(is_answered=False, sentence=str(error))
        fault = _fault(record, own.texts)
        if fault is None:
            is_from_cache = not told and not own.is_authoritative
            return Seen(is_from_cache=is_from_cache, ttl_seconds=own.ttl_seconds)
        if told:  # The resolver remembers what was there before.
            said = _("The domain's name servers have it, but your own resolver doesn't see it yet.")
            return Seen(is_answered=False, sentence=said)
        return Seen(fault=fault[0], sentence=fault[1], is_from_cache=not own.is_authoritative)

    # --- the own resolver

    def _own(self, name: str) -> _Answer:
        try:
            found = self._resolver.resolve(dns.name.from_text(name), "TXT", raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN as error:
            responses = error.responses().values()  # type: ignore[no-untyped-call]
            return _Answer((), is_authoritative=all(one.flags & dns.flags.AA for one in responses))
        except dns.exception.Timeout:
            raise _Silent(_("%(name)s: no answer in time.", name=name)) from None
        except (dns.exception.DNSException, OSError, ValueError):
            raise _Silent(_("%(name)s: the name server failed or refused.", name=name)) from None
        is_authoritative = bool(found.response.flags & dns.flags.AA)
        if found.rrset is None:
            return _Answer((), is_authoritative=is_authoritative)
        return _Answer(_texts(found.rrset), found.rrset.ttl, is_authoritative)

    # --- authoritative servers

    def _authoritative(self, name: str, until: float, aliases_left: int = MOST_ALIASES) -> Iterator[_Answer]:
        """Yield the answers of the authoritative servers that can be reached; aliases are followed to their zones."""
        answers = [answer for address in self._servers_of(name) if (answer := self._ask(address, name, until))]
        yield from (answer for answer in answers if not answer.alias)
        if aliases_left:
            for alias in sorted({answer.alias for answer in answers if answer.alias}):
                yield from self._authoritative(alias, until, aliases_left - 1)

    def _servers_of(self, name: str) -> list[str]:
        """Return an address of each name server of a name's zone; empty if they cannot be found."""
        try:
            zone = dns.resolver.zone_for_name(dns.name.from_text(name), resolver=self._resolver, lifetime=SECONDS)
            hosts = sorted(str(one.target) for one in self._resolver.resolve(zone, "NS", search=False))
        except (dns.exception.DNSException, OSError, ValueError):
            return []
        return [address for host in hosts[:MOST_SERVERS] if (address := self._address_of(host))]

    def _address_of(self, host: str) -> str:
        for kind in ("A", "AAAA"):
            try:
                found = self._resolver.resolve(dns.name.from_text(host), kind, search=False)
            except (dns.exception.DNSException, OSError, ValueError):
                continue
            for one in found:
                if self._may_ask(one.address):  # An address of strangers: never one in our own network.
                    return str(one.address)
        return ""

    def _ask(self, address: str, name: str, until: float) -> _Answer | None:
        """Return one server's answer; None if it gives none, or is not authoritative."""
        seconds = min(SECONDS, until - time.monotonic())
        if seconds <= 0:
            return None
        asked = dns.name.from_text(name)
        query = dns.message.make_query(asked, "TXT", use_edns=0, payload=1232)
        query.flags &= ~dns.flags.RD
        try:
            response, _is_tcp = dns.query.udp_with_fallback(query, address, seconds, self._port)
        except (dns.exception.DNSException, OSError, ValueError, EOFError):
            return None
        is_known = response.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
        return _of_response(response, asked) if is_known and response.flags & dns.flags.AA else None


def _of_response(response: dns.message.Message, name: dns.name.Name) -> _Answer:
    for _alias in range(MOST_ALIASES):
        for rrset in response.answer:
            if rrset.name == name and rrset.rdtype == dns.rdatatype.TXT:
                return _Answer(_texts(rrset), rrset.ttl, is_authoritative=True)
        target = next(
            (one[0].target for one in response.answer if one.name == name and one.rdtype == dns.rdatatype.CNAME), None
        )
        if target is None:
            break
        name = target
    is_alias = bool(response.answer)
    return _Answer((), is_authoritative=True, alias=name.to_text() if is_alias else "")


def _texts(rrset: dns.rrset.RRset) -> tuple[str, ...]:
    return tuple(sorted(written(one) for one in rrset))


def _fault(record: Record, texts: Sequence[str]) -> tuple[str, str] | None:
    """Return the key of the first fault that keeps receivers from verifying, and its sentence; None without one."""
    faults = faults_of(record.name, texts, record)
    return next(((fault.key, fault.sentence) for fault in faults if fault.state is State.BROKEN), None)
