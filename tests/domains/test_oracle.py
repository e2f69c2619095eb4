"""checkdmarc, another judge of SPF and DMARC, asks the same name server and comes to the same verdicts."""

import re
import warnings
from collections.abc import Iterator
from typing import Any

import dns.resolver
import pytest

from domains.lookups import Lookups, nameserver
from mail.records import dmarc, spf_chain
from mail.records.finding import Finding, Line, State
from tests.domains.zones import DOMAIN, SEEDED, Seeded
from tests.peers.name_server import Nameserver, Zone, running_nameserver

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from checkdmarc.dmarc import check_dmarc
    from checkdmarc.spf import check_spf

# Readable, and wrong all the same: +all lets everyone send. And an address of reports that receivers ignore, with the
# rest of the record in force (RFC 9989 section 4.7).
OURS_IS_STRICTER, OURS_IS_MILDER = {"spf-all-pass"}, {"dmarc-reports-invalid"}
# These are about servers, of which checkdmarc knows nothing.
ABOUT_SERVERS = {"spf-provider-missing", "spf-relay-missing"}
CASES = [
    seeded
    for seeded in (Seeded(Line.SPF, "", {}), Seeded(Line.DMARC, "", {}), *SEEDED)
    if seeded.line in (Line.SPF, Line.DMARC) and seeded.fault not in ABOUT_SERVERS
]


@pytest.fixture(scope="module")
def server() -> Iterator[Nameserver]:
    with running_nameserver({}) as running:
        yield running


def renamed(zone: Zone, number: int) -> tuple[str, Zone]:
    """Return the zone under names that checkdmarc has not in its cache yet."""

    def new(text: str) -> str:
        return re.sub(r"\b(acme|mailer|n\d+)\.example", rf"\1-{number}.example", text)

    return new(DOMAIN), {
        new(name): records
        if isinstance(records, str)
        else {kind: [new(str(value)) for value in values] for kind, values in records.items()}
        for name, records in zone.items()
    }


def ask_both(server: Nameserver, seeded: Seeded, number: int) -> tuple[Finding, dict[str, Any]]:
    domain, server.zone = renamed(seeded.zone(), number)
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [nameserver(server.address)]
    ask = Lookups([server.address])
    if seeded.line is Line.SPF:
        return spf_chain.check(domain, ask), dict(check_spf(domain, resolver=resolver))
    return dmarc.check(domain, ask, f"dmarc@{domain}"), dict(check_dmarc(domain, resolver=resolver))


@pytest.mark.parametrize("number", range(len(CASES)), ids=[str(seeded) or "sound" for seeded in CASES])
def test_another_judge_comes_to_the_same_verdict(server: Nameserver, number: int) -> None:
    seeded = CASES[number]

    ours, theirs = ask_both(server, seeded, number)

    is_valid = theirs["valid"]
    if seeded.fault in OURS_IS_STRICTER | OURS_IS_MILDER:
        is_valid = not is_valid
    assert (ours.state is not State.BROKEN) == is_valid, theirs
    if theirs.get("dns_lookups") is not None:
        assert f"{theirs['dns_lookups']} of 10 look-ups" in ours.seen
