"""How much of an Internet address is kept with a consent: where it came from, but not whose line it was."""

import ipaddress


def network_of(origin: str) -> str:
    """Return the /24 or /48 that ``origin`` is in, for example ``192.0.2.0/24``; empty for what is no address.

    A network stays what it is, or becomes the wider of the two. An IPv4 address inside an IPv6 one counts as IPv4.
    """
    text = origin.strip().partition("%")[0]  # The zone of a link-local address names an interface of ours.
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError:
        return ""
    mapped = interface.ip.ipv4_mapped if isinstance(interface.ip, ipaddress.IPv6Address) else None
    if mapped is not None:
        return str(ipaddress.ip_network((mapped, 24), strict=False))
    bits = min(interface.network.prefixlen, 24 if interface.version == 4 else 48)
    return str(ipaddress.ip_network((interface.ip, bits), strict=False))
