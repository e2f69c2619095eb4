"""A POP3 session of a mailbox (RFC 1939): signing in, and the few commands that polling needs."""

import base64
import poplib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from feedback.mailboxes.access import Access
from feedback.mailboxes.guarded_socket import Limits, MailboxFailed, SignInRefused, connect
from oauth import sasl

ANSWER_BYTES = 4 * 1024 * 1024  # The longest answer: a mail, or the list of all of them.
UID_LENGTH = 70  # RFC 1939 section 7.
_LINES_OF_LARGE = 3000  # About 256 KiB of text.


class Pop3Session:
    """A session that is signed in. Mails have numbers that hold until its end."""

    def __init__(self, client: "_Pop3") -> None:
        self._client = client

    def uids(self) -> dict[str, int]:
        """Return the lasting name and the number of each mail.

        :raises MailboxFailed: if the server has no lasting names.
        """
        try:
            lines = self._client.uidl()[1]
        except poplib.error_proto:
            raise MailboxFailed("The server gives its mails no lasting names (UIDL).") from None
        found = {}
        for line in lines:
            number, _, uid = line.partition(b" ")
            name = uid.strip().decode("ascii", "replace")
            if number.isdigit() and len(number) < 10 and 0 < len(name) <= UID_LENGTH:
                found[name] = int(number)
        return found

    def sizes(self) -> dict[int, int]:
        """Return the size of each mail, as the server says."""
        found = {}
        for line in self._client.list()[1]:
            number, _, size = line.partition(b" ")
            size = size.partition(b" ")[0]
            if number.isdigit() and size.isdigit() and len(line) < 30:
                found[int(number)] = int(size)
        return found

    def headers(self, number: int) -> bytes | None:
        """Return a mail's headers; None if the server cannot give them without the rest."""
        return self._lines("TOP", number, 0)

    def content(self, number: int, most: int | None = None) -> bytes | None:
        """Return a mail; None if the server does not give it.

        :param most: the bytes that are enough; None: all of it.
        """
        if most is None:
            return self._lines("RETR", number)
        start = self._lines("TOP", number, _LINES_OF_LARGE)
        return None if start is None else start[:most]

    def _lines(self, command: str, number: int, *more: int) -> bytes | None:
        try:
            lines = self._client.lines(" ".join(map(str, (command, number, *more))))
        except poplib.error_proto:
            return None
        return b"".join(line + b"\r\n" for line in lines)

    def delete(self, number: int) -> None:
        """Mark a mail; the server deletes it when the session ends in order."""
        self._client.dele(number)


MOST_WORDS = 2_000  # Of an error; a person sees fewer, after secrets were taken out.


@contextmanager
def session(access: Access, limits: Limits) -> Iterator[Pop3Session]:
    """Yield a session that is signed in. What was deleted is gone only if the block ends without an error.

    :raises NotConnected: if there is no connection.
    :raises MailboxFailed: if the server refuses to let us in, or breaks the limits.
    """
    client = _Pop3(access, limits)
    try:
        _sign_in(client, access)
        yield Pop3Session(client)
        client.quit()
    finally:
        client.close()


def _sign_in(client: "_Pop3", access: Access) -> None:
    challenge = b""
    try:
        if not access.token:
            client.user(access.username)
            client.pass_(access.password)
            return
        first = sasl.initial_response("XOAUTH2", access.username, access.token)
        client.command("AUTH XOAUTH2")
        answer = client.command(base64.b64encode(first).decode())
        if not answer.startswith(b"+OK"):
            challenge = answer.removeprefix(b"+").strip()
            client.command("")  # Ends the attempt; the server refuses it then.
            raise poplib.error_proto("the token was refused")
    except poplib.error_proto as error:
        told = str(sasl.read_challenge(_decoded(challenge)))
        raise SignInRefused(f"Sign-in refused. Server replied: {told or words_of(error)}") from None


def _decoded(challenge: bytes) -> bytes:
    try:
        return base64.b64decode(challenge, validate=True)
    except ValueError:
        return b""


def words_of(error: Exception) -> str:
    """Return the server's words in an exception of poplib, in one line."""
    first = error.args[0] if error.args else ""
    words = first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)
    return " ".join(words.removeprefix("-ERR").split())[:MOST_WORDS] or type(error).__name__


class _Pop3(poplib.POP3):
    """poplib's protocol over a guarded connection, with TLS before anything is said."""

    def __init__(self, access: Access, limits: Limits) -> None:
        self._access, self._limits = access, limits
        self._answer_bytes = 0  # Of the answer to the last command.
        try:
            super().__init__(access.host, access.port)
            if not access.is_implicit_tls:
                self._start_tls()
        except BaseException:
            self.close()
            raise

    def _create_socket(self, timeout: float) -> Any:
        access = self._access
        return connect(
            access.host, access.port, has_tls=access.is_implicit_tls, context=access.context(), limits=self._limits
        )

    def _start_tls(self) -> None:
        try:
            self.command("STLS")  # RFC 2595 section 4.
        except poplib.error_proto:
            raise MailboxFailed("The server doesn't offer STARTTLS on this port, so no password is sent.") from None
        self.sock: Any = self.sock.secured(self._access.host, self._access.context())
        self.file = self.sock.makefile("rb")

    def command(self, line: str) -> bytes:
        """Send a line and return the answer; an answer that does not begin with + is an error."""
        return self._shortcmd(line)  # type: ignore[attr-defined, no-any-return]  # poplib's own.

    def lines(self, line: str) -> list[bytes]:
        """Send a line and return the lines of the answer, without their dots."""
        return self._longcmd(line)[1]  # type: ignore[attr-defined, no-any-return]

    def _putline(self, line: bytes) -> None:
        self._answer_bytes = 0
        super()._putline(line)  # type: ignore[misc]  # poplib's own.

    def _getline(self) -> tuple[bytes, int]:
        """Return a line of any length within our limits: mails hold longer ones than poplib takes."""
        line = self.file.readline(ANSWER_BYTES + 1)
        self._answer_bytes += len(line)
        if self._answer_bytes > ANSWER_BYTES:
            raise MailboxFailed("The server sent an answer without end.")
        if not line:
            raise poplib.error_proto("-ERR the connection ended")
        return line.removesuffix(b"\n").removesuffix(b"\r"), len(line)

    def close(self) -> None:
        if getattr(self, "sock", None) is not None:  # Otherwise there was no connection.
            self.file.close()
            self.sock.close()
