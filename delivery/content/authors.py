"""The author of a message, as From names them."""

from delivery.models import Mailing
from mail.addresses import AddressInvalid, Mailbox, parse_mailbox
from smtpservers.models import SmtpServer


def author_of(mailing: Mailing, server: SmtpServer) -> Mailbox:
    """Return the mailbox of From. Where a server's own has no name, the organisation gives its own.

    :raises AddressInvalid: if the address cannot be used.
    """
    if mailing.mail_from:
        return parse_mailbox(mailing.mail_from)
    box = parse_mailbox(server.mail_from)
    if box.name:
        return box
    try:
        return Mailbox(" ".join(mailing.organisation.split()), box.address)
    except AddressInvalid:  # The environment may have given a name that no header may carry.
        return box
