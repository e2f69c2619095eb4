"""A conversation with a sender: who may write to us is decided at RCPT, and 250 is said after the commit.

Everything else is refused at once, so that there is no relay and nothing is ever returned (backscatter).
"""

import asyncio
import ipaddress
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException

from feedback.intake.addresses import Purpose
from feedback.listener.storage import DatabaseAway, Storage
from mail.aggregates.intake import MOST_MAIL_BYTES

log = logging.getLogger(__name__)

MAIL_BYTES = 1024 * 1024
LARGE_MAIL_BYTES = MOST_MAIL_BYTES  # With a DMARC or TLS report, from senders that say so in MAIL (RFC 1870).
LARGE_AT_ONCE = 4  # Each is in memory until it is stored.
SLACK_BYTES = 64 * 1024  # For commands, and a mail that is a little too long to be told so.
LINE_BYTES = 64 * 1024  # Bounces quote mail with longer lines than RFC 5321 section 4.5.3.1.6 allows.
RECIPIENTS = 10
REFUSALS = 20  # Then the sender is sent away: nobody may try tags one after the other.
IDLE_SECONDS = 60.0
LONGEST_SECONDS = 600.0  # However busy a sender seems.
LINGER_SECONDS = 5.0  # For a client to read the last words; then the connection is cut.
CONNECTIONS = 20
CONNECTIONS_EACH = 5  # From one network outside.
NOT_OURS = "550 5.1.1 No such address here"
TOO_MANY = "421 4.7.0 Too many unknown addresses"
FULL = "452 4.2.2 This address got enough mail today, please try again tomorrow"
TOO_LARGE = "552 5.3.4 This address takes no mail of that size"
BUSY = "452 4.3.1 Busy with other large mails, please try again later"
LATER = "451 4.3.0 It could not be stored, please try again later"


class Conversation(SMTP):
    """One connection. Its limits count whatever is sent, not only complete commands.

    Its end does not depend on the client: a closed connection waits until all answers are read, so it is cut then.
    """

    line_length_limit = LINE_BYTES

    def __init__(self, reception: "Reception", **options: Any) -> None:
        super().__init__(reception, **options)
        self.refused = 0
        self._reception = reception
        self._sent_bytes = 0  # Since the last MAIL, or the end of the last mail.
        self._declared_bytes = 0  # By MAIL; 0: not.
        self._most_bytes = MAIL_BYTES  # As far as the recipients allow.
        self._socket: asyncio.BaseTransport | None = None  # Beneath TLS, too.
        self._end: asyncio.TimerHandle | None = None
        self._cut: asyncio.TimerHandle | None = None
        self.network: str | None = None  # Of the client.
        self.ended = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._socket is None:  # Once more with STARTTLS.
            self._socket = transport
            self.network = network_of(transport)
            self._reception.connections.add(self)
            self._end = self.loop.call_later(LONGEST_SECONDS, self.leave)

    def connection_lost(self, error: Exception | None) -> None:
        self._reception.connections.discard(self)
        for timer in (self._end, self._cut):
            if timer is not None:
                timer.cancel()
        super().connection_lost(error)
        self._abort()  # After a TLS handshake that failed it is still open.
        self.ended.set()

    def data_received(self, data: bytes) -> None:
        self._sent_bytes += len(data)
        if self._sent_bytes > self._most_bytes + SLACK_BYTES:
            self.leave(b"552 5.3.4 That is too much\r\n")
            return
        self._reset_timeout()
        super().data_received(data)

    def begin_mail(self, declared_bytes: int) -> None:
        self._sent_bytes = 0
        self._declared_bytes = declared_bytes

    @property
    def is_declared_large(self) -> bool:
        return self._declared_bytes > MAIL_BYTES

    @property
    def has_large(self) -> bool:
        """Whether a large mail may come, or is being stored."""
        return self._most_bytes > MAIL_BYTES

    def allow(self, most_bytes: int) -> None:
        """Take so much for the recipient that was just taken."""
        self._most_bytes = self.data_size_limit = most_bytes

    def _set_post_data_state(self) -> None:
        super()._set_post_data_state()  # type: ignore[no-untyped-call]
        self._sent_bytes, self._most_bytes = 0, MAIL_BYTES
        self.data_size_limit = LARGE_MAIL_BYTES  # EHLO announces what some recipients take; RCPT decides.

    def leave(self, last_words: bytes = b"421 4.4.2 Goodbye\r\n") -> None:
        """End the connection, after its last words if the client reads them soon."""
        if self.transport is not None and self._cut is None:
            self._cut = self.loop.call_later(LINGER_SECONDS, self._abort)
            self.transport.write(last_words)  # type: ignore[attr-defined]  # Typed as the base of all transports.
            self.transport.close()

    def _abort(self) -> None:
        if self._socket is not None:
            self._socket.abort()  # type: ignore[attr-defined]  # Typed as the base of all transports.

    def _timeout_cb(self) -> None:
        # aiosmtpd's own only closes, and so waits for a client that reads nothing.
        self.leave(b"")


class LmtpConversation(LMTP, Conversation):
    """The same by LMTP (RFC 2033): each recipient gets an answer of its own after the mail."""


class Door(asyncio.Protocol):
    """A connection that just came: it becomes a conversation, or is beyond a limit."""

    def __init__(self, reception: "Reception", make: Callable[[], Conversation]) -> None:
        self._reception, self._make = reception, make

    def connection_made(self, transport: Any) -> None:
        if self._reception.has_room(network_of(transport)):
            conversation = self._make()
            transport.set_protocol(conversation)
            conversation.connection_made(transport)
        else:
            transport.write(b"421 4.3.2 Too many connections, please try again later\r\n")
            transport.close()  # The system takes so few bytes at once, whether anybody reads them or not.


def network_of(transport: asyncio.BaseTransport) -> str | None:
    """Return the network that a client is counted under; None for our own machines."""
    peer = transport.get_extra_info("peername")
    return outside_network(str(peer[0])) if peer else None


def outside_network(address: str) -> str | None:
    """Return an IPv4 address, or the /64 of an IPv6 address: one customer has all of it.

    None for addresses that are nobody's outside. A mail server or proxy of ours brings the mail of everybody.
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip
    if not ip.is_global:
        return None
    return str(ip) if ip.version == 4 else str(ipaddress.ip_network((ip, 64), strict=False))


@dataclass(eq=False)
class Reception:
    """aiosmtpd's handler of all connections."""

    storage: Storage
    is_lmtp: bool = False
    connections: set[Conversation] = field(default_factory=set)
    storing: set["asyncio.Future[None]"] = field(default_factory=set)
    hidden: ClassVar = ("250-AUTH",)  # aiosmtpd offers it even without a way to sign in.

    def has_room(self, network: str | None) -> bool:
        """Tell whether another client may connect.

        :param network: of :func:`outside_network`.
        """
        of_same = sum(each.network == network for each in self.connections) if network else 0
        return len(self.connections) < CONNECTIONS and of_same < CONNECTIONS_EACH

    async def handle_EHLO(
        self, server: Conversation, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        offered = [line for line in responses if not line.startswith(self.hidden)]
        return [offered[0], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", *offered[1:]]

    async def handle_MAIL(
        self, server: Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        sizes = [option.partition("=")[2] for option in options if option.upper().startswith("SIZE=")]
        server.begin_mail(int(sizes[0]) if sizes else 0)
        envelope.mail_from = address
        return "250 2.1.0 Sender OK"

    async def handle_RCPT(
        self, server: Conversation, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) >= RECIPIENTS:
            return "452 4.5.3 Too many recipients"
        try:
            purpose = await self.storage.purpose(address)
            if purpose is not None and not await self.storage.has_room(address, purpose, server.is_declared_large):
                return FULL
        except DatabaseAway:
            return LATER
        if purpose is not None:
            return self._taken(server, envelope, address, purpose)
        server.refused += 1
        if server.refused < REFUSALS:
            return NOT_OURS
        asyncio.get_running_loop().call_soon(server.leave, b"")  # After the answer was written.
        return TOO_MANY

    def _taken(self, server: Conversation, envelope: Envelope, address: str, purpose: Purpose) -> str:
        """Take a recipient of ours, unless the mail is too large for it."""
        if server.is_declared_large and purpose is not Purpose.DOMAIN_REPORT:
            return TOO_LARGE
        if server.is_declared_large and not server.has_large:
            if sum(each.has_large for each in self.connections) >= LARGE_AT_ONCE:
                return BUSY
            server.allow(LARGE_MAIL_BYTES)
        elif not server.has_large:
            server.allow(MAIL_BYTES)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Recipient OK"

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
