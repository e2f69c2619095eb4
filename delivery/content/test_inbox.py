"""Which servers lead to the test inbox: mail through them reaches nobody, and a page of the product shows it."""

import ipaddress
import socket
from collections.abc import Iterable
from typing import Protocol

from django.conf import settings

from smtpservers.routing.candidates import Candidate
from words.texts import text as _

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


def of_other_kind(servers: Iterable[Candidate], is_for_test_inbox: bool) -> dict[int, str]:
    """Return why a campaign can't use servers whose mail goes elsewhere, by id, each as the end of "Alpha …"."""
    if is_for_test_inbox:
        why = _("sends to real mailboxes and this campaign to the Test inbox")
    else:
        why = _("sends to the Test inbox and this campaign to real mailboxes")
    return {each.server_id: why for each in servers if leads_to_test_inbox(each) != is_for_test_inbox}


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
