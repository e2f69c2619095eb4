"""Return paths: the envelope sender of each message, and the message that a bounce address belongs to."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Self

from django.conf import settings

from delivery.content.message import Outgoing
from delivery.content.tokens import NOBODY
from delivery.models import Mailing
from mail import verp
from mail.addresses import ascii_address, domain_of
from smtpservers.models import SmtpServer


class ReturnPath:
    """The envelope senders of one mailing's messages through one server."""

    def __init__(self, server: SmtpServer, mail_from: str, stream: str) -> None:
        """Prepare the parts that all messages share.

        :param mail_from: the address of From, used if the server has no return path.
        """
        has_own = bool(server.use_return_path and server.return_path)
        self._set_up(ascii_address(server.return_path if has_own else mail_from), has_own and server.use_verp, stream)

    def _set_up(self, address: str, is_tagged: bool, stream: str) -> None:
        self.address = address
        self.is_tagged = is_tagged  # Whether each message has its own VERP tag in it.
        self._tagged = verp.tagger(address, settings.TOKEN_KEYS) if is_tagged else None
        self._tag_all = verp.column_tagger(address) if is_tagged else None
        self._make_tag = verp.tags(settings.TOKEN_KEYS)
        self._is_ours = stream == Mailing.Stream.NOTICE

    @classmethod
    def recorded(cls, address: str, *, is_tagged: bool, stream: str) -> Self:
        """Return a return path as a batch recorded it, whatever has become of its server."""
        path = cls.__new__(cls)
        path._set_up(address, is_tagged, stream)
        return path

    @property
    def of_nobody(self) -> str:
        """The envelope sender of no message, for a question to a server."""
        return self._tagged(NOBODY, 0) if self._tagged is not None else self.address

    def of(self, message: Outgoing) -> str:
        """Return the envelope sender of a message's present attempt.

        Mail to our own operators, notices and redirected messages, gets the tag of ``NOBODY``: its bounce is recorded,
        and starts no further mail.
        """
        if self._tagged is None:
            return self.address
        number, attempt = self._numbers(message)
        return self._tagged(number, attempt, message.proof if number == message.pk else b"")

    def of_all(self, messages: Sequence[Outgoing]) -> list[str]:
        """Return :meth:`of` for each of many messages, which have their proofs."""
        if self._tag_all is None or self._is_ours or any(map(_is_redirected, messages)):
            return [self.of(message) for message in messages]
        return self._tag_all(
            [message.pk for message in messages],
            [message.attempt_count + 1 for message in messages],
            [message.proof for message in messages],
        )

    def tag(self, message: Outgoing, address: str) -> str:
        """Return the bare tag of a message's present attempt, for a header of its provider.

        :param address: the attempt's envelope sender, whose tag needs no second signature.
        """
        return (verp.letters_of(address) if self.is_tagged else "") or self._make_tag(*self._numbers(message))

    def _numbers(self, message: Outgoing) -> tuple[int, int]:
        return (NOBODY, 0) if self._is_ours or message.redirected_to else (message.pk, message.attempt_count + 1)


_is_redirected = attrgetter("redirected_to")


def mailto_domain(server: SmtpServer) -> str:
    """Return the domain of addresses that unsubscribe by mail; empty if no probe of this return path came in."""
    has_own = bool(server.use_return_path and server.return_path)
    return server.mailto_domain if has_own and domain_of(server.return_path) == server.mailto_domain else ""


def tag_of(address: str) -> verp.Tag | None:
    """Return the tag in a bounce address: message ``NOBODY`` for operators' mail, None if the tag is not ours."""
    return verp.tag_of(address, settings.TOKEN_KEYS)
