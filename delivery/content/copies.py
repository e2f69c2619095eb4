"""Recipients of copies: the CC and BCC addresses of the server that sends a message."""

from delivery.models import Mailing
from mail.addresses import Mailbox, fold, parse_mailboxes
from smtpservers.models import SmtpServer

COPIED_STREAMS = (Mailing.Stream.CAMPAIGN, Mailing.Stream.TEST, Mailing.Stream.SINGLE)


def copy_mailboxes(server: SmtpServer) -> list[tuple[str, Mailbox]]:
    """Return the server's copies as (kind, mailbox); an address in both fields gets only the CC copy."""
    found: dict[str, tuple[str, Mailbox]] = {}
    for kind, text in (("cc", server.mail_cc), ("bcc", server.mail_bcc)):
        for box in parse_mailboxes(text) if text else ():
            found.setdefault(fold(box.address), (kind, box))
    return list(found.values())


def copy_addresses(server: SmtpServer) -> list[tuple[str, str]]:
    """Return the server's copies as (kind, address), without names."""
    return [(kind, box.address) for kind, box in copy_mailboxes(server)]
