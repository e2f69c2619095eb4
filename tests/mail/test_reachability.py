"""What an address leads to, whichever way it is written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mail import reachability

PUBLIC = ["93.184.216.34", "8.8.4.4", "2606:2800:220:1:248:1893:25c8:1946", "2a01:4f8::2"]
PRIVATE = [
    *("10.0.0.1", "172.20.1.1", "192.168.77.3", "127.0.0.1", "127.8.8.8", "100.64.0.1", "100.100.100.200"),
    *("198.18.0.1", "198.19.255.1", "192.0.2.1", "198.51.100.3", "203.0.113.4", "192.0.0.8", "192.88.99.1"),
    *("240.1.2.3", "::1", "fc00::1", "fd12::9", "fec0::1", "feff::1", "2001:db8::1", "2001:20::1", "3fff::1"),
    *("100::1", "5f00::1", "4000::1", "8000::1", "2001:2::1"),
]
FORBIDDEN = [
    *("169.254.169.254", "169.254.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "239.1.1.1", "255.255.255.255"),  # noqa: S104
    *("::", "fe80::1", "fe80::1%eth0", "febf::1", "ff02::1", "ff0e::1", "fd00:ec2::254"),
]


def wrapped(address: str) -> list[str]:
    """The IPv4 address in every way IPv6 can carry it."""
    four = ipaddress.IPv4Address(address)
    number, octets = int(four), four.packed

    def six(value: int) -> str:
        return str(ipaddress.IPv6Address(value))

    def local(places: tuple[int, ...]) -> str:
        packed = bytearray(ipaddress.IPv6Address("64:ff9b:1::").packed)
        for place, octet in zip(places, octets, strict=True):
            packed[place] = octet
        return str(ipaddress.IPv6Address(bytes(packed)))

    return [
        six(0xFFFF << 32 | number),  # IPv4-mapped.
        six(number) if number > 1 else "::",  # IPv4-compatible.
        six(0x2002 << 112 | number << 80),  # 6to4.
        six(0x2002 << 112 | number << 80 | 0x1234),
        six(0x20010000 << 96 | 0x5DB8D822 << 64 | (number ^ 0xFFFFFFFF)),  # Teredo.
        six(0x0064FF9B << 96 | number),  # NAT64, RFC 6052.
        local((12, 13, 14, 15)),  # NAT64, RFC 8215, with each length of the prefix.
        local((9, 10, 11, 12)),
        local((7, 9, 10, 11)),
        local((6, 7, 9, 10)),
    ]


@pytest.mark.parametrize("address", [*PUBLIC, *wrapped("93.184.216.34")])
def test_the_open_internet(address: str) -> None:
    assert reachability.is_public(address)
    assert not reachability.is_forbidden(address)
    assert not reachability.is_near(address)


@pytest.mark.parametrize("address", [*PRIVATE, *(six for four in PRIVATE if ":" not in four for six in wrapped(four))])
def test_what_is_not_of_the_open_internet(address: str) -> None:
    assert not reachability.is_public(address)


@pytest.mark.parametrize(
    "address",
    [*FORBIDDEN, *(six for four in ("169.254.169.254", "224.0.0.9", "255.255.255.255") for six in wrapped(four))],
)
def test_what_is_refused_in_any_case(address: str) -> None:
    assert reachability.is_forbidden(address)
    assert not reachability.is_public(address)
    assert not reachability.is_near(address)


@pytest.mark.parametrize("address", ["::ffff:0.0.0.0", "64:ff9b::", "2002::", "64:ff9b:1::"])
def test_nothing_wrapped_is_not_public(address: str) -> None:
    assert not reachability.is_public(address)


@pytest.mark.parametrize("address", [a for a in PRIVATE if a not in FORBIDDEN])
def test_private_ones_are_not_refused_in_any_case(address: str) -> None:
    assert not reachability.is_forbidden(address)


@given(st.ip_addresses(v=4).filter(lambda address: not address.is_global))
def test_no_wrapping_makes_an_address_public(address: ipaddress.IPv4Address) -> None:
    assert not any(reachability.is_public(six) for six in wrapped(str(address)))


@pytest.mark.parametrize(
    ("host", "is_private"),
    [
        ("127.0.0.1", True),
        ("192.168.4.4", True),
        ("::1", True),
        ("93.184.216.34", False),
        ("169.254.169.254", False),
        ("mailhost", True),
        ("localhost", True),
        ("db.localhost", True),
        ("relay.office.internal", True),
        ("relay.office.lan.", True),
        ("Relay.LOCAL", True),
        ("nas.home.arpa", True),
        ("smtp.brilliance.example", False),
        ("internal.example.com", False),
        ("mylocal", True),
        ("a.notlocal", False),
        ("smtp.co.uk", False),
    ],
)
def test_a_host_that_only_ones_own_network_knows(host: str, is_private: bool) -> None:
    assert reachability.is_private_host(host) is is_private
