"""The ways that a campaign's mail takes to real mailboxes: each eligible server with the domains that it carries.

Servers on this machine and those of the test inbox are left out: no DNS and no session with them says anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from campaigns.content.written import Written
from campaigns.models import Campaign
from delivery.content.sending_domains import sender_through
from domains.senders import Sender
from smtpservers.models import SmtpServer
from smtpservers.routing.fleet import Fleet


@dataclass(frozen=True, slots=True)
class MailRoute:
    """One server for one content."""

    server: SmtpServer
    mail_from: str  # The campaign's own From; empty: the server's.
    sender: Sender


Carried = tuple[str, Campaign, list[SmtpServer]]  # A letter, a content, and the servers that may send it.


def carried(written: Written, fleet: Fleet) -> list[Carried]:
    """Return each content of a campaign with the servers that may send it."""
    return [
        (letter, content, fleet.carriers(content.mail_from, content.server_ids)) for letter, content in written.contents
    ]


def routes_of(contents: Sequence[Carried]) -> list[MailRoute]:
    """Return the ways of all contents, each once."""
    found: dict[tuple[int, str], MailRoute] = {}
    for _letter, content, servers in contents:
        for server in servers:
            sender = sender_through(server, content.mail_from)
            if sender is not None:
                found.setdefault((server.pk, sender.author), MailRoute(server, content.mail_from, sender))
    return list(found.values())
