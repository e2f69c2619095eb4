"""Where bounces go: the envelope sender of each message, and which message one belongs to."""

from typing import Self

from django.conf import settings

from delivery.content.message import Outgoing
from delivery.content.tokens import NOBODY
from delivery.models import Mailing
from mail import verp
from mail.addresses import ascii_address
from smtpservers.models import SmtpServer


class ReturnPath:
    """Where the bounces of one mailing's messages through one server go."""

    def __init__(self, server: SmtpServer, mail_from: str, stream: str) -> None:
        """Prepare what is the same for all.

        :param mail_from: the address of From, which stands in where there is no return path.
        """
        has_own = bool(server.use_return_path and server.return_path)
        self._prepare(ascii_address(server.return_path if has_own else mail_from), has_own and server.use_verp, stream)

    def _prepare(self, address: str, is_tagged: bool, stream: str) -> None:
        self.address = address
        self.is_tagged = is_tagged  # Whether each message has a tag of its own there.
        self._tagged = verp.tagger(address, settings.TOKEN_KEYS) if is_tagged else None
        self._is_ours = stream == Mailing.Stream.NOTICE

    @classmethod
    def kept(cls, address: str, *, is_tagged: bool, stream: str) -> Self:
        """Return one again that was written down, whatever became of its server."""
        path = cls.__new__(cls)
        path._prepare(address, is_tagged, stream)
        return path

    def of(self, message: Outgoing) -> str:
        """Return the envelope sender of the attempt that is under way for a message.

        What goes to our own operators, as a notice or instead of its recipient, has the tag of nobody: its bounce is
        noted, and starts no further mail.
        """
        if self._tagged is None:
            return self.address
        if self._is_ours or message.redirected_to:
            return self._tagged(NOBODY, 0)
        return self._tagged(message.pk, message.attempt_count + 1)


def tag_of(address: str) -> verp.Tag | None:
    """Return whose bounces go to ``address``; the message ``NOBODY`` for notices, None when the tag is not ours."""
    return verp.tag_of(address, settings.TOKEN_KEYS)
