"""The part of an IP address that is kept with a consent: its network, which does not identify a subscriber line."""

import ipaddress
import re

_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|([\d.]+):\d+")  # As some proxies write it into X-Forwarded-For.


def network_of(origin: str) -> str:
    """Return the /24 or /48 of ``origin``, for example ``192.0.2.0/24``; empty if it is not an IP address.

    A network that is wider already stays as it is. An IPv4 address mapped into IPv6 counts as IPv4,
    and a port is left out.
    """
    text = origin.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2] or ""
    text = text.partition("%")[0]  # The zone of a link-local address names a local interface.
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return ""
    mapped = interface.ip.ipv4_mapped if isinstance(interface.ip, ipaddress.IPv6Address) else None
    if mapped is not None:
        return str(ipaddress.ip_network((mapped, 24), strict=False))
    bits = min(interface.network.prefixlen, 24 if interface.version == 4 else 48)
    return str(ipaddress.ip_network((interface.ip, bits), strict=False))
