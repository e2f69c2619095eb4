"""One SMTP connection as bytes: commands out, replies in, each with a deadline (RFC 5321, RFC 2920, RFC 3207).

It knows how far a command came and nothing about servers, messages or what an answer means.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from mail.replies import Reply

REPLY_BYTES = 64 * 1024  # A reply longer than this is an attack or a fault.
REPLY_LINES = 256
_LINE = re.compile(rb"([2-5]\d\d)(?:([ -])(.*))?\Z", re.DOTALL)


class WireLost(Exception):
    """The connection ended, timed out or spoke nonsense; ``str`` says which. It is closed when this is raised."""


class Wire(asyncio.Protocol):
    """Collects replies; :meth:`command` writes and waits."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._socket: asyncio.Transport | None = None  # Below TLS, if there is TLS.
        self.lost = ""  # Why the connection cannot be used any more; empty: it can.
        self.mask: Callable[[str], str] = str  # Takes out of the server's words what nobody may read; see transport.
        self._buffer = bytearray()
        self._lines: list[tuple[int, bytes]] = []
        self._size = 0
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    # --- what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        # Drained means handed to the kernel: only then may the dot be called unwritten or written.
        self.transport = self._socket = transport
        transport.set_write_buffer_limits(high=0)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while not self.lost and (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._line_received(line)
        if len(self._buffer) > REPLY_BYTES:
            self._fail("the server sent an endless line")

    def _line_received(self, line: bytes) -> None:
        match = _LINE.match(line)
        if match is None:
            words = self.mask(line.decode("utf-8", "replace"))  # Whole: a secret that is cut would not be known.
            return self._fail(f"the server sent something that is no SMTP reply: {words[:80]!r}")
        code, mark, text = int(match[1]), match[2], match[3] or b""
        self._size += len(line)
        self._lines.append((code, text))
        if self._size > REPLY_BYTES or len(self._lines) > REPLY_LINES:
            return self._fail("the server sent an endless reply")
        if mark == b"-":
            return None
        if any(other != code for other, _ in self._lines):
            return self._fail("the server changed its code within one reply")
        words = "\n".join(part.decode("utf-8", "replace") for _, part in self._lines)
        self._lines, self._size = [], 0
        reply = Reply.parse(f"{code} {words}")
        # A challenge (334) is computed with, and shown to nobody.
        self._replies.append(reply if code == 334 else replace(reply, text=self.mask(reply.text)))
        self._wake()
        return None

    def eof_received(self) -> bool:
        self._fail("the server closed the connection")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was lost ({error})" if error else "the server closed the connection")

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def _fail(self, why: str) -> None:
        if not self.lost:
            self.lost = why
        self._writable.set()
        self._wake()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # --- what the connection calls

    @property
    def has_unread(self) -> bool:
        """Whether something arrived that nobody asked for."""
        return bool(self._replies or self._buffer or self._lines)

    def write(self, data: bytes) -> None:
        """Hand ``data`` to the socket.

        :raises WireLost: if the connection is gone already; then no byte was written.
        """
        if self.lost or self.transport is None:
            raise WireLost(self.lost or "not connected")
        self.transport.write(data)

    async def drain(self, seconds: float) -> None:
        """Wait until everything written is with the kernel.

        :raises WireLost: if that takes too long, or the connection ends.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._writable.wait()
                # TLS calls itself drained while the socket below it still holds the last records.
                while not self.lost and self._socket is not None and self._socket.get_write_buffer_size():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            self._fail(f"the server did not take the data within {seconds:g} s")
        if self.lost:
            raise WireLost(self.lost)

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply, waiting at most ``seconds`` for all of it.

        :raises WireLost: if none comes in time. A reply that came before the connection ended is still returned.
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
                    self._fail(f"the server was silent for {seconds:g} s")
            finally:
                self._waiter = None
        return self._replies.popleft()

    async def command(self, line: str, seconds: float) -> Reply:
        """Send one command line and return its reply.

        :raises ValueError: if the line holds a line break (D9: nothing may add a command of its own).
        :raises WireLost: as :meth:`reply`.
        """
        self.write(encode_line(line))
        return await self.reply(seconds)

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float) -> None:
        """Turn the connection into a TLS one.

        :raises ssl.SSLError: if the handshake fails, certificate checks included.
        :raises WireLost: if the connection ends, or clear text was slipped in before the handshake (RFC 3207 4.2).
        """
        if self.has_unread:
            self._fail("clear text arrived after STARTTLS and before the handshake; somebody may be tampering")
            raise WireLost(self.lost)
        assert self.transport is not None
        loop = asyncio.get_running_loop()
        try:
            transport = await loop.start_tls(
                self.transport, self, context, server_hostname=host, ssl_handshake_timeout=seconds
            )
        except (ConnectionError, TimeoutError) as error:
            self._fail(f"the TLS handshake broke off ({error or 'no answer'})")
            raise WireLost(self.lost) from None
        assert transport is not None
        self.transport = transport
        # asyncio's TLS pauses at the mark and not above it: with 0 it would never resume.
        transport.set_write_buffer_limits(high=1, low=0)

    def close(self) -> None:
        """Close without another word."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()


def encode_line(line: str) -> bytes:
    """Return a command as bytes with its CRLF.

    :raises ValueError: if the line holds a line break or NUL.
    """
    if any(character in line for character in "\r\n\0"):
        raise ValueError("an SMTP command holds no line break")
    return line.encode("utf-8") + b"\r\n"
