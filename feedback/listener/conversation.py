"""A conversation with a sender: who may write to us is decided at RCPT, and 250 is said after the commit.

Everything else is refused at once, so that there is no relay and nothing is ever returned (backscatter).
"""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException

from feedback.listener.storage import DatabaseAway, Storage

log = logging.getLogger(__name__)

MAIL_BYTES = 1024 * 1024
SLACK_BYTES = 64 * 1024  # For commands, and a mail that is a little too long to be told so.
RECIPIENTS = 10
REFUSALS = 20  # Then the sender is sent away: nobody may try tags one after the other.
IDLE_SECONDS = 60.0
LONGEST_SECONDS = 600.0  # However busy a sender seems.
CONNECTIONS = 20
NOT_OURS = "550 5.1.1 No such address here"
TOO_MANY = "421 4.7.0 Too many unknown addresses"
LATER = "451 4.3.0 It could not be stored, please try again later"


class Conversation(SMTP):
    """One connection. Its limits count whatever is sent, not only complete commands."""

    def __init__(self, reception: "Reception", **options: Any) -> None:
        super().__init__(reception, **options)
        self.refused = 0
        self._reception = reception
        self._sent_bytes = 0  # Since the last MAIL.
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._reception.connections.add(self)
        if self._end is None:
            self._end = self.loop.call_later(LONGEST_SECONDS, self.leave)

    def connection_lost(self, error: Exception | None) -> None:
        self._reception.connections.discard(self)
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._sent_bytes += len(data)
        if self._sent_bytes > MAIL_BYTES + SLACK_BYTES:
            self.leave(b"552 5.3.4 That is too much\r\n")
            return
        self._reset_timeout()
        super().data_received(data)

    def begin_mail(self) -> None:
        self._sent_bytes = 0

    def leave(self, last_words: bytes = b"421 4.4.2 Goodbye\r\n") -> None:
        """End the connection, after its last words."""
        if self.transport is not None:
            self.transport.write(last_words)  # type: ignore[attr-defined]  # Typed as the base of all transports.
            self.transport.close()


class LmtpConversation(LMTP, Conversation):
    """The same by LMTP (RFC 2033): each recipient gets an answer of its own after the mail."""


class Refusal(asyncio.Protocol):
    """A connection beyond the limit."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"421 4.3.2 Too many connections, please try again later\r\n")
        transport.close()


@dataclass(eq=False)
class Reception:
    """aiosmtpd's handler of all connections."""

    storage: Storage
    is_lmtp: bool = False
    connections: set[Conversation] = field(default_factory=set)
    storing: set["asyncio.Future[None]"] = field(default_factory=set)
    hidden: ClassVar = ("250-AUTH",)  # aiosmtpd offers it even without a way to sign in.

    async def handle_EHLO(
        self, server: Conversation, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        offered = [line for line in responses if not line.startswith(self.hidden)]
        return [offered[0], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", *offered[1:]]

    async def handle_MAIL(
        self, server: Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        server.begin_mail()
        envelope.mail_from = address
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(
        self, server: Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        try:
            purpose = await self.storage.purpose(address)
        except DatabaseAway:
            return LATER
        if purpose is not None:
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 Recipient OK"
        server.refused += 1
        if server.refused < REFUSALS:
            return NOT_OURS
        asyncio.get_running_loop().call_soon(server.leave, b"")  # After the answer was written.
        return TOO_MANY

    async def handle_DATA(self, server: Conversation, session: Session, envelope: Envelope) -> str:
        sender = "" if envelope.mail_from == "<>" else envelope.mail_from or ""
        storing = self.storage.take(envelope.original_content or b"", sender, envelope.rcpt_tos)
        answer = "250 2.0.0 Stored" if await self._finished(storing) else LATER
        # LMTP: one answer for each recipient (RFC 2033 section 4.2); all have the same fate.
        return "\r\n".join([answer] * (len(envelope.rcpt_tos) if self.is_lmtp else 1))

    async def _finished(self, storing: Awaitable[None]) -> bool:
        """Wait until a mail is committed, even if its sender goes away meanwhile; False if that failed."""
        task = asyncio.ensure_future(storing)
        self.storing.add(task)
        task.add_done_callback(self.storing.discard)
        try:
            await asyncio.shield(task)
        except DatabaseAway:
            return False
        return True

    async def handle_VRFY(self, server: Conversation, session: Session, envelope: Envelope, address: str) -> str:
        return "252 2.5.2 Send some mail, and see"

    async def handle_exception(self, error: Exception) -> str:
        if isinstance(error, TLSSetupException):
            log.info("a client gave up the TLS handshake: %s", error.__cause__)
        else:
            log.error("a command could not be handled", exc_info=error)
        return "451 4.3.0 This could not be handled"
