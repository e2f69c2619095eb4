"""The check of a key's record: all authoritative servers first, then the own resolver, and no trouble is a finding."""

import base64
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from domains.keys.dns_check import DnsCheck
from mail.records.dkim_key import name_of, value_of
from mail.records.finding import Record
from tests.peers.name_server import SILENT, Nameserver, Zone, running_nameserver

NAME = name_of("br2611abcr", "acme.example")
KEY = generate_private_key(65537, 2048).public_key()
RECORD = Record(NAME, "TXT", value_of(KEY))
ZONE_OF_DOMAIN: Zone = {
    "acme.example": {
        "SOA": ["ns1.acme.example. a.acme.example. 1 2 3 4 5"],
        "NS": ["ns1.acme.example.", "ns2.acme.example."],
    },
    "ns1.acme.example": {"A": ["127.0.0.2"]},
    "ns2.acme.example": {"A": ["127.0.0.3"]},
    "_domainkey.acme.example": {},
}
GOOD: Zone = {NAME: {"TXT": [RECORD.value]}}


class Net:
    """A resolver and two authoritative servers."""

    def __init__(self, resolver: Nameserver, first: Nameserver, second: Nameserver) -> None:
        self.resolver, self.first, self.second = resolver, first, second
        self.check = DnsCheck(
            [resolver.address],
            asks_authorities=True,
            port=int(first.address.partition("#")[2]),
            may_ask=lambda address: address.startswith("127.0.0."),
        )

    def publish(self, resolver: Zone, first: Zone, second: Zone) -> None:
        self.resolver.zone = {**ZONE_OF_DOMAIN, **resolver}
        self.first.zone, self.second.zone = dict(first), dict(second)


@pytest.fixture
def net() -> Iterator[Net]:
    with ExitStack() as stack:
        resolver = stack.enter_context(running_nameserver({}))
        first = stack.enter_context(running_nameserver({}, host="127.0.0.2", is_authoritative=True))
        port = int(first.address.partition("#")[2])
        second = stack.enter_context(running_nameserver({}, host="127.0.0.3", port=port, is_authoritative=True))
        yield Net(resolver, first, second)


def test_a_key_is_seen_when_all_authoritative_servers_and_the_resolver_have_it(net: Net) -> None:
    net.publish(GOOD, GOOD, GOOD)

    seen = net.check(RECORD)

    assert (seen.is_answered, seen.fault, seen.is_from_cache) == (True, "", False)
    assert (NAME, "TXT") in net.first.asked
    assert (NAME, "TXT") in net.second.asked


def test_one_server_without_the_key_is_enough_and_the_resolver_is_not_asked_before(net: Net) -> None:
    net.publish(GOOD, GOOD, {})

    seen = net.check(RECORD)

    assert seen.fault == "dkim-not-everywhere"
    assert seen.sentence == "1 of 2 name servers of the domain don't have it yet."
    assert (NAME, "TXT") not in net.resolver.asked  # It would remember for long that there is none.


def test_no_server_with_the_key_says_what_is_wrong(net: Net) -> None:
    other = {NAME: {"TXT": [value_of(generate_private_key(65537, 2048).public_key())]}}
    net.publish(GOOD, other, other)

    assert net.check(RECORD).fault == "dkim-other-key"


def test_a_silent_server_is_no_finding(net: Net) -> None:
    net.publish(GOOD, GOOD, {NAME: "SERVFAIL"})

    assert (net.check(RECORD).fault, net.check(RECORD).is_from_cache) == ("", False)


def test_without_any_authoritative_server_the_resolver_is_believed_and_its_memory_named(net: Net) -> None:
    net.publish(GOOD, {NAME: "REFUSED"}, {NAME: "REFUSED"})

    seen = net.check(RECORD)

    assert (seen.fault, seen.is_from_cache, seen.ttl_seconds) == ("", True, 60)


def test_a_resolver_that_remembers_too_well_is_no_finding(net: Net) -> None:
    net.publish({NAME: {}}, GOOD, GOOD)

    seen = net.check(RECORD)

    assert (seen.is_answered, seen.fault) == (False, "")
    assert "your own resolver doesn't see it yet" in seen.sentence


@pytest.mark.parametrize("trouble", ["SERVFAIL", SILENT])
def test_resolver_trouble_is_no_finding(net: Net, trouble: str) -> None:
    net.publish({NAME: trouble}, {NAME: "REFUSED"}, {NAME: "REFUSED"})

    assert net.check(RECORD).is_answered is False


def test_an_alias_is_followed_to_the_servers_of_its_zone(net: Net) -> None:
    target = "br1r.acme.example.dkim.house.example"
    alias: Zone = {NAME: {"CNAME": [f"{target}."]}}
    there: Zone = {
        "house.example": {"SOA": ["ns1.acme.example. a.acme.example. 1 2 3 4 5"], "NS": ["ns1.acme.example."]},
        **{f"{left}house.example": {} for left in ("acme.example.dkim.", "example.dkim.", "dkim.")},
        target: {"TXT": [RECORD.value]},
    }
    net.publish({**alias, **there}, {**alias, target: {"TXT": [RECORD.value]}}, alias)

    assert net.check(RECORD).fault == ""
    assert (target, "TXT") in net.first.asked

    net.publish({**alias, **there}, {**alias, target: {}}, alias)

    assert net.check(RECORD).fault == "dkim-missing"


def test_servers_in_our_own_network_are_never_asked(net: Net) -> None:
    net.publish(GOOD, {}, {})

    seen = DnsCheck([net.resolver.address], asks_authorities=True, port=53)(RECORD)

    assert (seen.fault, seen.is_from_cache) == ("", True)
    assert net.first.asked == net.second.asked == []


def test_named_resolvers_are_the_only_ones_asked(net: Net) -> None:
    net.publish(GOOD, {}, {})

    assert DnsCheck([net.resolver.address])(RECORD).is_from_cache
    assert net.resolver.asked == [(NAME, "TXT")]

    net.resolver.is_authoritative = True

    assert not DnsCheck([net.resolver.address])(RECORD).is_from_cache


def test_the_keys_are_compared_and_not_their_text(net: Net) -> None:
    spaced = RECORD.value.replace("p=MIIB", "p=MI IB").replace("k=rsa; ", "")
    net.publish({NAME: {"TXT": [spaced]}}, {NAME: {"TXT": [spaced]}}, {NAME: {"TXT": [spaced]}})

    assert net.check(RECORD).fault == ""


def test_ed25519_is_published_as_32_raw_octets() -> None:
    key = Ed25519PrivateKey.generate().public_key()
    octets = base64.b64decode(value_of(key).rpartition("p=")[2])

    assert octets == key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    assert value_of(key).startswith("v=DKIM1; k=ed25519; p=")
    assert base64.b64decode(value_of(KEY).rpartition("p=")[2]) == KEY.public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
