"""Mail gateways that look at links before people do: the networks they ask from, and the providers they receive for.

The shipped networks stand in ``gateway_networks.txt`` with their sources and dates.
"""

import functools
import ipaddress
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path

from mail.mailbox_providers import with_mailboxes_at

# By the registrable domain of their MX. Behind outlook.com every company with Microsoft 365 receives its mail.
GATEWAY_PROVIDERS = frozenset(
    {"pphosted.com", "ppe-hosted.com", "mimecast.com", "barracudanetworks.com", "outlook.com", "mx.microsoft"}
)
_SHIPPED = Path(__file__).with_name("gateway_networks.txt")


class Networks:
    """A set of networks that is asked for single addresses."""

    def __init__(self, networks: Iterable[str]) -> None:
        """Read networks such as ``192.0.2.0/24``; spaces and what follows a ``#`` are left out.

        :raises ValueError: if one is no network.
        """
        read = [ipaddress.ip_network(text) for line in networks if (text := line.partition("#")[0].strip())]
        v4 = ipaddress.collapse_addresses(each for each in read if isinstance(each, ipaddress.IPv4Network))
        v6 = ipaddress.collapse_addresses(each for each in read if isinstance(each, ipaddress.IPv6Network))
        # In their order, and none within another one.
        self._of_version = {
            4: [(int(network.network_address), int(network.broadcast_address)) for network in v4],
            6: [(int(network.network_address), int(network.broadcast_address)) for network in v6],
        }

    def __contains__(self, address: str) -> bool:
        """Tell whether an address is in one of the networks; anything but an address is in none."""
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
            found = found.ipv4_mapped
        number = int(found)
        # The last network that begins before or at the address decides.
        ranges = self._of_version[found.version]
        place = bisect_right(ranges, (number, 1 << 128))
        return place > 0 and number <= ranges[place - 1][1]


@functools.cache
def shipped_networks() -> tuple[str, ...]:
    """Return the lines of the shipped list, for :class:`Networks`."""
    return tuple(_SHIPPED.read_text(encoding="ascii").splitlines())


def is_gateway_provider(provider: str, domain: str) -> bool:
    """Tell whether mail to a domain passes a gateway that may look at links before the recipient does.

    :param provider: the registrable domain of the recipient's MX.
    :param domain: of the recipient's address. Private mailboxes, such as those at outlook.com, are no companies'.
    """
    return provider in GATEWAY_PROVIDERS and with_mailboxes_at(domain) is None
