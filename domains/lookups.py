"""The edge to DNS and to policy files, with limits: one :class:`Lookups` for each look at a domain.

Where DNS_RESOLVERS is set, only those servers are asked, also for the hosts of files.
"""

import asyncio
import time
from collections.abc import Sequence

import dns.exception
import dns.name
import dns.nameserver
import dns.rdata
import dns.resolver
from django.conf import settings
from dns.rdtypes.ANY.TXT import TXT

from mail.addresses import is_reserved
from mail.records.answers import Answer, Unanswered
from mail.records.transport import FetchFailed
from net.addresses import NotConnected
from net.fetch import request

MOST_LOOKUPS = 150
LOOKUP_SECONDS = 5.0
ALL_SECONDS = 120.0  # For all look-ups of one domain.
SILENT_LOOKUPS = 5  # After so many in a row without an answer, the name servers are taken for unreachable.
FILE_SECONDS = 10.0
MOST_RECORDS = 100


class Lookups:
    """Asks DNS, each question once."""

    def __init__(
        self, nameservers: Sequence[str] | None = None, most: int = MOST_LOOKUPS, seconds: float = LOOKUP_SECONDS
    ) -> None:
        """Prepare.

        :param nameservers: as the setting DNS_RESOLVERS, which is the default; empty: the machine's own.
        :param seconds: for each look-up.
        """
        configured = settings.DNS_RESOLVERS if nameservers is None else nameservers
        self.asks_others = not configured
        self._resolver = dns.resolver.Resolver(configure=not configured)
        self._resolver.lifetime = seconds
        self._resolver.timeout = seconds / 2  # A lost packet is sent once more.
        if configured:
            self._resolver.nameservers = [nameserver(one) for one in configured]
        self._left = most
        self._silent = 0
        self._until = time.monotonic() + ALL_SECONDS
        self._known: dict[tuple[str, str], Answer | Unanswered] = {}

    def __call__(self, name: str, kind: str) -> Answer:
        """Return what DNS has; see :class:`mail.records.answers.Ask`."""
        key = (name.rstrip(".").lower(), kind)
        if key not in self._known:
            self._known[key] = self._ask(*key)
        answer = self._known[key]
        if isinstance(answer, Unanswered):
            raise answer
        return answer

    def _ask(self, name: str, kind: str) -> Answer | Unanswered:
        try:
            asked = dns.name.from_text(f"{name}.")
        except (dns.exception.DNSException, UnicodeError):
            return Answer(exists=False)  # Too long, or with an empty label: such a name cannot exist.
        if self._left <= 0 or time.monotonic() > self._until:
            return Unanswered("too many look-ups for one domain")
        if self._silent >= SILENT_LOOKUPS:
            return Unanswered("the name servers don't answer")
        self._left -= 1
        self._silent += 1
        try:
            found = self._resolver.resolve(asked, kind, raise_on_no_answer=False, search=False)
        except dns.resolver.NXDOMAIN:
            self._silent = 0
            return Answer(exists=False)
        except dns.exception.Timeout:
            return Unanswered(f"{kind} of {name[:100]}: no answer in time")
        except (dns.exception.DNSException, OSError, ValueError):
            # SERVFAIL, refused, a loop of aliases, or octets that are no answer.
            self._silent = 0
            return Unanswered(f"{kind} of {name[:100]}: the name server failed or refused")
        self._silent = 0
        if found.rrset is None:
            return Answer()
        # Name servers shuffle records; sorted, they look the same at the next look.
        return Answer(tuple(sorted(written(record) for record in list(found.rrset)[:MOST_RECORDS])))

    def fetch(self, url: str, most_octets: int) -> bytes:
        """Return a file of a public host by https; see :class:`mail.records.transport.Fetch`.

        :raises Unanswered: if DNS does not answer for its host.
        """
        try:
            response = asyncio.run(
                request(
                    url,
                    seconds=FILE_SECONDS,
                    most=most_octets,
                    resolve=None if self.asks_others else self._addresses,
                )
            )
        except NotConnected as error:
            raise FetchFailed(str(error).rstrip(".")) from None
        if response.status != 200:
            raise FetchFailed(f"{response.host} answered {response.status}")
        return response.body

    async def _addresses(self, host: str, port: int) -> list[str]:
        return [address for kind in ("A", "AAAA") for address in self(host, kind).records]


def is_example(domain: str) -> bool:
    """Tell whether nobody is asked about a domain, since examples do not exist. Tests ask name servers of their own."""
    return is_reserved(domain) and not settings.DNS_RESOLVERS


def nameserver(written: str) -> dns.nameserver.Nameserver:
    """Return the name server of a setting like ``127.0.0.1`` or ``127.0.0.1#5353``."""
    host, _, port = written.partition("#")
    return dns.nameserver.Do53Nameserver(host, int(port or 53))


def written(record: dns.rdata.Rdata) -> str:
    """Return a record as text; the strings of a TXT record are joined, and control characters escaped."""
    if isinstance(record, TXT):
        text = b"".join(record.strings).decode("utf-8", "backslashreplace")
        # No other control character is allowed in a record, nor in a database or a terminal.
        return "".join(letter if letter.isprintable() or letter == "\t" else f"\\x{ord(letter):02x}" for letter in text)
    return str(record.to_text())
