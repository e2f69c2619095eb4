"""One SMTP connection as bytes: commands out, replies in, each with a deadline (RFC 5321, RFC 2920, RFC 3207).

This module knows how far a command came, and nothing about servers, messages or the meaning of replies.
"""

import asyncio
import os
import re
import ssl
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from mail.replies.reply import Reply
from words.texts import text as _

REPLY_BYTES = 64 * 1024  # A longer reply is an attack or a fault.
REPLY_LINES = 256
_CODES = {b"%d" % code: code for code in range(200, 600)}  # RFC 5321 section 4.2.


class WireLost(Exception):
    """The connection ended, timed out or broke the protocol; ``str`` says which. It is closed when this is raised."""


class Listener(Protocol):
    """Receives replies as they arrive, instead of :meth:`Wire.reply`."""

    def read_plain(self, data: bytes) -> bool:
        """Handle all replies in ``data``, if they are plain agreements; False, with nothing done, if they are not."""

    def replied(self, code: int, lines: list[bytes]) -> None:
        """Receive a reply; :meth:`Wire.read` makes a :class:`Reply` of it if its text matters."""

    def drained(self) -> None:
        """The kernel has everything written, after it had not."""

    def lost(self, why: str) -> None:
        """The connection is over; no more calls follow."""


class Wire(asyncio.Protocol):
    """The protocol object that collects replies; :meth:`command` writes and waits."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.listener: Listener | None = None
        self._socket: asyncio.Transport | None = None  # Below TLS, if any.
        self._descriptor = -1
        self.lost = ""  # Why the connection cannot be used; empty: it can.
        self.fault: Exception | None = None  # Raised by a listener: no fault of the server.
        self.mask: Callable[[str], str] = str  # Masks secrets in replies; see connection.masking.
        self._buffer = bytearray()
        self._code = 0  # The code of the reply in progress.
        self._lines: list[bytes] = []
        self._size = 0
        self.lines_left = 0  # Lines that have arrived and are not processed yet.
        self._replies: deque[tuple[int, list[bytes]]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_writable = True

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asked for its class: uvloop's transports have the methods of asyncio's, and another class.
        transport = cast(asyncio.Transport, transport)
        # Drained means handed to the kernel: only then is it certain whether the dot was written.
        transport.set_write_buffer_limits(high=0)
        self._descriptor = transport.get_extra_info("socket").fileno()
        self.transport = self._socket = transport  # Last: without it the connection is refused by its opener.

    def data_received(self, data: bytes) -> None:
        is_between = not (self._buffer or self._lines or self.lost)
        if is_between and self.listener is not None and self.listener.read_plain(data):
            return
        lines = data.split(b"\n")
        if self._buffer and len(lines) > 1:
            lines[0] = bytes(self._buffer) + lines[0]
            self._buffer.clear()
        self._buffer += lines.pop()
        self.lines_left = len(lines)
        for line in lines:
            if self.lost:
                return
            self.lines_left -= 1
            self._line_received(line.removesuffix(b"\r"))
        if len(self._buffer) > REPLY_BYTES:
            self._fail(_("the server sent an endless line"))

    def _line_received(self, line: bytes) -> None:
        code, mark = _CODES.get(line[:3]), line[3:4]
        if code is None or mark not in (b" ", b"-", b""):
            return self._fail(self._no_reply(line))
        if self._lines and code != self._code:
            return self._fail(_("the server changed its code within one reply"))
        self._code = code
        self._lines.append(line[4:])
        self._size += len(line)
        if self._size > REPLY_BYTES or len(self._lines) > REPLY_LINES:
            return self._fail(_("the server sent an endless reply"))
        if mark == b"-":
            return None
        lines, self._lines, self._size = self._lines, [], 0
        if self.listener is not None:
            self.listener.replied(code, lines)
        else:
            self._replies.append((code, lines))
            self._wake()
        return None

    def read(self, code: int, lines: list[bytes]) -> Reply:
        """Return a reply as a value, with secrets masked."""
        text = b"\n".join(lines).decode("utf-8", "replace")
        # A challenge (334) is input to a computation, and never shown.
        return Reply.of(code, text, str if code == 334 else self.mask)

    def eof_received(self) -> bool:
        self._fail(self._unreadable() or _("the server closed the connection"))
        return False

    def _unreadable(self) -> str:
        """Return an error for an unfinished line that cannot be SMTP; empty if it may still become a reply."""
        begun = bytes(self._buffer)
        if not begun or re.fullmatch(rb"[2-5][0-9]{0,2}|[2-5][0-9]{2}[ -].*", begun, re.DOTALL):
            return ""
        return self._no_reply(begun)

    def _no_reply(self, line: bytes) -> str:
        words = self.mask(line.decode("utf-8", "replace"))  # Masked first: a cut secret is not recognised.
        return _("the server sent something that is no SMTP reply: %(words)s", words=repr(words[:80]))

    def connection_lost(self, error: Exception | None) -> None:
        if error is not None and not isinstance(error, OSError):  # asyncio passes on an exception of a listener.
            self.fault = error
        self._fail(
            _("the connection was lost (%(error)s)", error=str(error))
            if error
            else _("the server closed the connection")
        )

    def pause_writing(self) -> None:
        self._is_writable = False

    def resume_writing(self) -> None:
        self._is_writable = True
        if self.listener is not None:
            self.listener.drained()

    def _fail(self, why: str) -> None:
        is_news, self.lost = not self.lost, self.lost or why
        self._is_writable = True
        self._wake()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()
        if is_news and self.listener is not None:
            self.listener.lost(why)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what the connection calls

    @property
    def has_unread(self) -> bool:
        """Whether something arrived that was not asked for."""
        return bool(self._replies or self.lines_left or self._buffer or self._lines)

    def write(self, data: bytes) -> None:
        """Write ``data`` to the socket.

        :raises WireLost: if the connection is gone already; then no byte was written.
        """
        if self.lost or self.transport is None:
            raise WireLost(self.lost or _("not connected"))
        self.transport.write(data)

    def write_now(self, *parts: bytes) -> int:
        """Write as many bytes of ``parts`` as the kernel takes at once, and return their number; the rest is not
        buffered. Only if :attr:`takes_now`.

        :raises WireLost: if the connection is gone; then no byte was written.
        """
        if self.lost:
            raise WireLost(self.lost)
        try:
            return os.writev(self._descriptor, parts)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._fail(_("the connection was lost (%(error)s)", error=str(error)))
            raise WireLost(self.lost) from None

    @property
    def takes_now(self) -> bool:
        """Whether :meth:`write_now` may be called."""
        plain = self._socket  # As :attr:`is_drained`, whose call would cost as much again for each message.
        return plain is self.transport and self._is_writable and not (plain and plain.get_write_buffer_size())

    @property
    def is_encrypted(self) -> bool:
        """Whether the connection uses TLS."""
        return self.transport is not self._socket

    @property
    def is_drained(self) -> bool:
        """Whether the kernel has everything written."""
        # TLS reports itself drained while the socket below still holds the last records.
        return self._is_writable and not (self._socket and self._socket.get_write_buffer_size())

    def fail(self, why: str) -> None:
        """Close the connection because it cannot be used any more."""
        self._fail(why)

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply, waiting at most ``seconds`` for all of it.

        :raises WireLost: if none arrives in time. A reply that arrived before the connection ended is still returned.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self._replies:
            if self.lost:
                raise WireLost(self.lost)
            self._waiter = loop.create_future()
            try:
                async with asyncio.timeout_at(until):
                    await self._waiter
            except TimeoutError:
                if not self._replies:
                    self._fail(
                        self._unreadable() or _("the server was silent for %(seconds)s s", seconds=f"{seconds:g}")
                    )
            finally:
                self._waiter = None
        return self.read(*self._replies.popleft())

    async def command(self, line: str, seconds: float) -> Reply:
        """Send one command line and return its reply.

        :raises ValueError: if the line contains a line break, which would inject another command.
        :raises WireLost: as :meth:`reply`.
        """
        self.write(encode_line(line))
        return await self.reply(seconds)

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float) -> None:
        """Start TLS on the connection.

        :raises ssl.SSLError: if the handshake fails, including certificate checks.
        :raises WireLost: if the connection ends, or clear text was injected before the handshake (RFC 3207 section
            4.2).
        """
        if self.has_unread:
            self._fail(_("clear text arrived after STARTTLS and before the handshake; somebody may be tampering"))
            raise WireLost(self.lost)
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self.transport, self, context, server_hostname=host, ssl_handshake_timeout=seconds
            )
        except (ConnectionError, TimeoutError) as error:
            self._fail(_("the TLS handshake broke off (%(error)s)", error=str(error) or _("no answer")))
            raise WireLost(self.lost) from None
        assert transport is not None
        self.transport = transport
        # asyncio's TLS pauses at the mark, not above it: with 0 it would never resume.
        transport.set_write_buffer_limits(high=1, low=0)

    def close(self) -> None:
        """Close without QUIT."""
        self.listener = None
        self._fail(_("closed"))


def encode_line(line: str) -> bytes:
    """Return a command as bytes with CRLF.

    :raises ValueError: if the line contains a line break or NUL.
    """
    if any(character in line for character in "\r\n\0"):
        raise ValueError("an SMTP command holds no line break")
    return line.encode("utf-8") + b"\r\n"
