"""The classification of IP addresses: public, private, or never to be contacted.

Rules only: nothing here queries DNS. Callers check the very address that they connect to.
"""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

IP = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052.
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")  # RFC 8215; its users choose the position of the address.
_COMPATIBLE = ipaddress.IPv6Network("::/96")  # RFC 4291 section 2.5.5.1, except :: and ::1.
# Cloud providers serve metadata at link-local addresses, and at one more (RFC 3927, RFC 4291).
_LINK_LOCAL = (
    ipaddress.ip_network("169.254.0.0/16"),
    ipaddress.ip_network("fe80::/10"),
    ipaddress.ip_network("fd00:ec2::254/128"),
)
_UNSPECIFIED = ipaddress.IPv4Network("0.0.0.0/8")  # "This network" (RFC 1122): in practice this machine.
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
# Python's ``is_private`` is wider: it includes addresses reserved for documentation, which are not near.
_NEAR = tuple(
    ipaddress.ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # Everything ever allocated (IANA).
# Global according to Python, but never a mail server: protocol assignments, 6to4 relays, documentation (RFC 9637).
_NOT_MAIL_SERVERS = tuple(
    ipaddress.ip_network(network) for network in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "3fff::/20")
)
# Names that only private networks know: special use (RFC 6761, 6762, 8375), reserved by ICANN, or in use although never
# allocated (RFC 6762 appendix G).
_PRIVATE_ENDS = (
    *("localhost", "local", "internal", "lan", "home", "corp", "private", "intranet", "localdomain"),
    "home.arpa",
)


def is_link_local(address: str) -> bool:
    """Tell whether an address is in the range of cloud metadata services, in any notation."""
    return any(ip in network for ip in _embedded_or_itself(address) for network in _LINK_LOCAL)


def is_forbidden(address: str) -> bool:
    """Tell whether an address must never be connected to: link-local, unspecified, multicast, broadcast."""
    return is_link_local(address) or any(
        ip.is_multicast or ip.is_unspecified or ip in _UNSPECIFIED or ip == _BROADCAST
        for ip in _embedded_or_itself(address)
    )


def is_public(address: str) -> bool:
    """Tell whether an address belongs to one machine on the public Internet, and every address embedded in it too."""
    return not is_forbidden(address) and all(
        ip.is_global
        and not ip.is_reserved
        and (ip.version == 4 or ip in _GLOBAL_UNICAST)
        and not any(ip in network for network in _NOT_MAIL_SERVERS)
        for ip in _embedded_or_itself(address)
    )


def is_loopback(address: str) -> bool:
    """Tell whether an address is a plainly written loopback address."""
    return _read(address).is_loopback


def is_protected(url: str) -> bool:
    """Tell whether nobody on the way can read what is sent to a URL: https, or http to this machine."""
    try:
        parts = urlsplit(url)
        if parts.scheme == "https":
            return bool(parts.hostname) and parts.port != 0
        host = parts.hostname or ""
        return parts.scheme == "http" and (host == "localhost" or is_loopback(host))
    except ValueError:
        return False


def is_near(address: str) -> bool:
    """Tell whether an address is this machine or a private network (RFC 1918, RFC 4193)."""
    ip = _read(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    return not is_forbidden(address) and any(ip in network for network in _NEAR)


def is_private_host(host: str) -> bool:
    """Tell whether a host, as typed, is this machine or in a private network, without a DNS query.

    A public name never is, whatever DNS answers for it.
    """
    try:
        return is_near(host)
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith(tuple(f".{end}" for end in _PRIVATE_ENDS))


def _read(address: str) -> IP:
    return ipaddress.ip_address(address.partition("%")[0])


def _embedded_or_itself(address: str) -> tuple[IP, ...]:
    """Return the addresses embedded in an address, or else the address itself."""
    ip = _read(address)
    return tuple(_within(ip)) or (ip,) if isinstance(ip, ipaddress.IPv6Address) else (ip,)


def _within(ip: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    if inner := ip.ipv4_mapped or ip.sixtofour or (ip.teredo and ip.teredo[1]):
        yield inner
    elif ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
        yield ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    elif ip in _LOCAL_NAT64:
        octets = ip.packed
        # The bits after the embedded address are zero (RFC 6052 section 2.2).
        for places, rest in (((6, 7, 9, 10), 11), ((7, 9, 10, 11), 12), ((9, 10, 11, 12), 13), ((12, 13, 14, 15), 16)):
            embedded = bytes(octets[place] for place in places)
            if any(embedded) and not any(octets[rest:]):
                yield ipaddress.IPv4Address(embedded)
