"""Which servers lead to the test inbox: mail through them reaches nobody, and a page of the product shows it."""

import ipaddress
import socket
from typing import Protocol

from django.conf import settings

OWN_NAMES = ("localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback")


class Server(Protocol):
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int: ...


def leads_to_test_inbox(server: Server) -> bool:
    """Whether mail through ``server`` ends in the embedded mailbox."""
    ports = (settings.SANDBOX_PLAIN_PORT, settings.SANDBOX_STARTTLS_PORT, settings.SANDBOX_AUTH_PORT)
    return settings.SANDBOX_ENABLED and server.port in ports and is_this_machine(server.host)


def is_this_machine(host: str) -> bool:
    """Whether a host is written as this machine's own; a name of others that points here is not looked up."""
    name = host.strip("[]").rstrip(".").lower()
    if name in OWN_NAMES or name.endswith(".localhost") or name == socket.gethostname().lower():
        return True
    try:
        # The machine also takes an IPv4 address in other spellings, such as 127.1 and 0x7f000001.
        address = ipaddress.ip_address(name if ":" in name else socket.inet_ntoa(socket.inet_aton(name)))
    except (OSError, ValueError):
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)
