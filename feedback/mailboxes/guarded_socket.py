"""A connection to a mailbox's server with limits that no server can talk its way around: time, size and lines.

imaplib and poplib wait for each read separately and believe announced sizes. Here one deadline holds for the whole
session, however slowly a server drips, and each byte counts.
"""

import io
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from net.connection import safe_connect, secure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

CONNECT_SECONDS = 10.0  # For the connection and the TLS handshake.
STEP_SECONDS = 10.0  # For one answer.
LINE_BYTES = 1024 * 1024  # The longest line: a list of message numbers.
LINES_BYTES = 4 * 1024 * 1024  # All lines of a session: reading them takes processor time.


class MailboxFailed(Exception):
    """The mailbox could not be read. The text is a sentence for people."""


class SignInRefused(MailboxFailed):
    """The server refused the username with its password or token."""


@dataclass(slots=True)
class Limits:
    """The limits of one session."""

    steady: Callable[[], float]  # The monotonic clock.
    seconds: float
    most_bytes: int
    line_bytes: int = 0
    bytes_read: int = 0
    _ends_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._ends_at = self.steady() + self.seconds

    def left(self) -> float:
        """Return the seconds that the next step may take.

        :raises MailboxFailed: if the session's time is over.
        """
        left = self._ends_at - self.steady()
        if left <= 0:
            raise MailboxFailed("The server took too long in total.")
        return min(left, STEP_SECONDS)

    def count(self, size: int) -> None:
        """Count bytes that were read.

        :raises MailboxFailed: if they are too many.
        """
        self.bytes_read += size
        if self.bytes_read > self.most_bytes:
            raise MailboxFailed("The server sent far more than it was asked for.")

    def count_line(self, line: bytes) -> None:
        """Count a line that was read.

        :raises MailboxFailed: if it is too long, or if all lines together are.
        """
        self.line_bytes += len(line)
        if len(line) > LINE_BYTES or self.line_bytes > LINES_BYTES:
            raise MailboxFailed("The server sent lines without end.")


class GuardedSocket:
    """A socket as imaplib and poplib use it, within the limits of a session."""

    def __init__(self, connected: socket.socket, limits: Limits) -> None:
        self._socket, self._limits = connected, limits

    def makefile(self, *args: object, **kwargs: object) -> io.BufferedReader:
        """Return the stream to read from."""
        return io.BufferedReader(_Guarded(self._socket, self._limits))

    def sendall(self, content: bytes) -> None:
        self._socket.settimeout(self._limits.left())
        self._socket.sendall(content)

    def settimeout(self, seconds: float | None) -> None:
        """Do nothing: each step has the session's own limit."""

    def secured(self, host: str, context: ssl.SSLContext) -> "GuardedSocket":
        """Return the same connection with TLS. Bytes that came before it are forgotten.

        :raises NotConnected: if the certificate or the encryption is refused.
        """
        self._socket.settimeout(self._limits.left())
        return GuardedSocket(secure(self._socket, host, context), self._limits)

    def shutdown(self, how: int) -> None:
        self._socket.shutdown(how)

    def close(self) -> None:
        self._socket.close()


class _Guarded(io.RawIOBase):
    def __init__(self, connected: socket.socket, limits: Limits) -> None:
        self._socket, self._limits = connected, limits

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        self._socket.settimeout(self._limits.left())
        try:
            size = self._socket.recv_into(buffer)
        except TimeoutError:
            self._limits.left()  # It may have been the session's time that ended, not the step's.
            raise
        self._limits.count(size)
        return size


def connect(host: str, port: int, *, has_tls: bool, context: ssl.SSLContext, limits: Limits) -> GuardedSocket:
    """Return a connection to a host that the judge of addresses allows.

    :raises NotConnected: with the reason.
    """
    seconds = min(CONNECT_SECONDS, limits.left())
    return GuardedSocket(safe_connect(host, port, timeout=seconds, tls=has_tls, context=context), limits)
