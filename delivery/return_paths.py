"""Where bounces go: the envelope sender of each message, and which message one belongs to."""

from django.conf import settings

from delivery.models import Mailing
from delivery.outgoing import Outgoing
from delivery.tokens import NOBODY
from mail import verp
from mail.addresses import ascii_address
from smtpservers.models import SmtpServer


def envelope_sender(server: SmtpServer, mail_from: str, message: Outgoing, stream: str) -> str:
    """Return the address that the message's bounces go to, in the form for the envelope.

    What goes to our own operators has the tag of nobody: its bounce is noted, and starts no further mail.

    :param mail_from: the address of From, which stands in where there is no return path.
    """
    if not (server.use_return_path and server.return_path):
        return ascii_address(mail_from)
    return_path = ascii_address(server.return_path)
    if not server.use_verp:
        return return_path
    is_ours = stream == Mailing.Stream.NOTICE or message.redirected_to
    return verp.tagged(return_path, NOBODY if is_ours else message.pk, settings.TOKEN_KEYS)


def message_of(address: str) -> int | None:
    """Return the message whose bounces go to ``address``; ``NOBODY`` for notices, None when the tag is not ours."""
    return verp.number_of(address, settings.TOKEN_KEYS)
