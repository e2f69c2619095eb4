"""An IMAP session of a mailbox (RFC 9051): signing in, and the few commands that polling needs."""

import datetime as dt
import imaplib
import re
import socket
import ssl
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

from imapclient import IMAPClient
from imapclient.exceptions import CapabilityError, IMAPClientError, LoginError

from feedback.mailboxes.access import Access
from feedback.mailboxes.guarded_socket import LINE_BYTES, GuardedSocket, Limits, MailboxFailed, SignInRefused, connect
from mail.aggregates.intake import MOST_MAIL_BYTES
from oauth import sasl

DONE = ("Brilliance", "done")  # The folder of mails that were read, below the personal namespace.
LITERAL_BYTES = MOST_MAIL_BYTES + (1 << 20)  # Some servers round the size that they announce.
HEADER_BYTES = 32 * 1024
MOST_WORDS = 2_000  # Of an error; a person sees fewer, after secrets were taken out.
FIELDS = (
    "RETURN-PATH DELIVERED-TO X-ORIGINAL-TO ENVELOPE-TO TO CC CONTENT-TYPE SUBJECT MESSAGE-ID AUTHENTICATION-RESULTS"
    " TLS-REPORT-DOMAIN"
)
_HEADERS = f"BODY.PEEK[HEADER.FIELDS ({FIELDS})]<0.{HEADER_BYTES}>"


class Head(NamedTuple):
    """A mail before it is read: its size, and the headers that say whether it is ours."""

    uid: int
    size: int  # As the server says.
    headers: bytes


class Folder(NamedTuple):
    """The numbers of a selected folder."""

    uidvalidity: int
    uidnext: int | None  # None: the server does not say.


class ImapSession:
    """A session that is signed in."""

    def __init__(self, client: IMAPClient) -> None:
        self._client = client

    def select(self, folder: str) -> Folder:
        """Select a folder, and return its numbers.

        :raises MailboxFailed: if there is no such folder.
        """
        try:
            numbers = self._client.select_folder(folder)
        except IMAPClientError as error:
            raise MailboxFailed(f"The folder {folder} can't be opened. Server replied: {words_of(error)}") from None
        uidvalidity, uidnext = numbers.get(b"UIDVALIDITY"), numbers.get(b"UIDNEXT")
        if not isinstance(uidvalidity, int):
            raise MailboxFailed("The server gives its mails no lasting numbers (UIDVALIDITY).")
        return Folder(uidvalidity, uidnext if isinstance(uidnext, int) else None)

    def uids(self, low: int, high: int | None, *criteria: str | dt.date) -> list[int]:
        """Return the numbers of the selected folder's mails from ``low`` to ``high``, ascending.

        :param high: None: to the end.
        :param criteria: further ones of SEARCH (RFC 9051 section 6.4.4).
        """
        last = "*" if high is None else str(high)
        found = self._client.search(["UID", f"{low}:{last}", *criteria])
        # With an end of "*" the last mail is always found, even below ``low`` (RFC 9051 section 6.4.8).
        return sorted({uid for uid in found if low <= uid and (high is None or uid <= high)})

    def heads(self, uids: Collection[int]) -> list[Head]:
        """Return size and headers of mails, without marking them as seen. Mails that are gone are left out."""
        heads = []
        for uid, parts in self._client.fetch(list(uids), ["RFC822.SIZE", _HEADERS]).items():
            size, headers = parts.get(b"RFC822.SIZE"), _body(parts)
            if uid in uids and isinstance(size, int) and headers is not None:
                heads.append(Head(uid, size, headers))
        return sorted(heads)

    def content(self, uid: int, most: int | None = None) -> bytes | None:
        """Return a mail, without marking it as seen; None if it is gone.

        :param most: the bytes to ask for; None: all of it.
        """
        item = "BODY.PEEK[]" if most is None else f"BODY.PEEK[]<0.{most}>"
        return _body(self._client.fetch([uid], [item]).get(uid, {}))

    def done_folder(self) -> str:
        """Return the full name of the folder for mails that were read."""
        prefix, delimiter = "", ""
        if self._client.has_capability("NAMESPACE"):
            personal = self._client.namespace().personal
            if personal:
                prefix, delimiter = (str(part or "") for part in personal[0])
        else:
            listed = self._client.list_folders("", "")
            delimiter = _text(listed[0][1]) if listed else ""
        return prefix + (delimiter or "-").join(DONE)

    def has_folder(self, name: str) -> bool:
        return bool(self._client.folder_exists(name))

    def move(self, uids: Sequence[int], folder: str) -> None:
        """Move mails of the selected folder to another one, which is created if it is missing (RFC 6851).

        :raises MailboxFailed: if the server does not let us.
        """
        try:
            if not self.has_folder(folder):
                self._client.create_folder(folder)
            if self._client.has_capability("MOVE"):
                self._client.move(uids, folder)
                return
            self._client.copy(uids, folder)
        except IMAPClientError as error:
            raise MailboxFailed(f"Mail can't be moved to {folder}. Server replied: {words_of(error)}") from None
        self.delete(uids)

    def delete(self, uids: Sequence[int]) -> None:
        """Delete mails of the selected folder, and no others that somebody marked as deleted.

        :raises MailboxFailed: if the server does not let us.
        """
        try:
            before = set(self._client.search("DELETED"))
            self._client.add_flags(uids, [rb"\Deleted"], silent=True)
            if self._client.has_capability("UIDPLUS"):
                self._client.uid_expunge(uids)
            elif not before - set(uids):  # EXPUNGE alone would take the others too.
                self._client.expunge()
        except IMAPClientError as error:
            raise MailboxFailed(f"Mail can't be deleted. Server replied: {words_of(error)}") from None


@contextmanager
def session(access: Access, limits: Limits) -> Iterator[ImapSession]:
    """Yield a session that is signed in.

    :raises NotConnected: if there is no connection.
    :raises MailboxFailed: if the server refuses to let us in, or breaks the limits.
    """
    client = _Client(access, limits)
    try:
        _sign_in(client, access)
        yield ImapSession(client)
        with suppress(IMAPClientError, MailboxFailed, OSError, ValueError):  # All that was read is stored by now.
            client.logout()
    finally:
        with suppress(OSError):
            client.shutdown()


def _sign_in(client: IMAPClient, access: Access) -> None:
    challenges: list[bytes] = []
    try:
        if not access.token:
            if client.has_capability("LOGINDISABLED"):
                client.plain_login(access.username, access.password)
            else:
                client.login(access.username, access.password)
            return
        is_bearer = client.has_capability("AUTH=OAUTHBEARER") and not client.has_capability("AUTH=XOAUTH2")
        mechanism = "OAUTHBEARER" if is_bearer else "XOAUTH2"
        first = sasl.initial_response(mechanism, access.username, access.token, host=access.host, port=access.port)

        def answer(challenge: bytes) -> bytes:
            challenges.append(challenge or b"")
            return first if len(challenges) == 1 else sasl.last_response(mechanism)

        client.sasl_login(mechanism, answer)
    except LoginError as error:
        told = str(sasl.read_challenge(challenges[1])) if len(challenges) > 1 else ""
        raise SignInRefused(f"Sign-in refused. Server replied: {told or words_of(error)}") from None


def words_of(error: Exception) -> str:
    """Return the server's words in an exception of imaplib, in one line."""
    words = " ".join(re.sub(r"^b'(.*)'$", r"\1", str(error)).split())
    return words[:MOST_WORDS] or type(error).__name__


def _body(parts: Any) -> bytes | None:
    for name, value in parts.items():
        if name.startswith(b"BODY[") and isinstance(value, bytes):
            return value
    return None


def _text(word: Any) -> str:
    return word.decode("ascii", "replace") if isinstance(word, bytes) else str(word or "")


class _Client(IMAPClient):  # type: ignore[misc]  # It ships no types of this class.
    """An IMAPClient whose connection is a guarded one, with TLS before anything is said."""

    def __init__(self, access: Access, limits: Limits) -> None:
        self._access, self._limits = access, limits
        super().__init__(access.host, access.port, ssl=access.is_implicit_tls)
        self._imap.debug = 0  # It would hand each line to the log, tokens too.
        if not access.is_implicit_tls:
            try:
                self.starttls(access.context())
            except CapabilityError:
                self.shutdown()
                raise MailboxFailed("The server doesn't offer STARTTLS on this port, so no password is sent.") from None
            except BaseException:
                self.shutdown()
                raise

    def _create_IMAP4(self) -> "_Imap4":
        access = self._access
        context = access.context()
        has_tls = access.is_implicit_tls
        return _Imap4(
            connect(access.host, access.port, has_tls=has_tls, context=context, limits=self._limits),
            self._limits,
            access.host,
        )


class _Imap4(imaplib.IMAP4):
    """imaplib's protocol over a guarded connection."""

    def __init__(self, guarded: GuardedSocket, limits: Limits, host: str) -> None:
        self._guarded, self._limits, self._host = guarded, limits, host
        super().__init__(host)

    def open(self, host: str = "", port: int = 143, timeout: float | None = None) -> None:
        self.host, self.port = host, port
        self._use(self._guarded)

    def _use(self, guarded: GuardedSocket) -> None:
        self._guarded = guarded
        self.sock: Any = guarded
        self._stream = guarded.makefile("rb")

    def read(self, size: int) -> bytes:
        if size > LITERAL_BYTES:
            raise MailboxFailed("The server announced a mail that is far larger than what it was asked for.")
        return self._stream.read(size)

    def readline(self) -> bytes:
        line = self._stream.readline(LINE_BYTES + 1)
        self._limits.count_line(line)
        return line

    def send(self, data: Any) -> None:
        self._guarded.sendall(bytes(data))

    def starttls(self, ssl_context: ssl.SSLContext | None = None) -> Any:
        assert ssl_context is not None
        answer, words = self._simple_command("STARTTLS")
        if answer != "OK":
            raise self.error("STARTTLS was refused")
        self._use(self._guarded.secured(self._host, ssl_context))
        self._tls_established = True
        self._get_capabilities()
        return answer, words

    def shutdown(self) -> None:
        with suppress(OSError):
            self._guarded.shutdown(socket.SHUT_RDWR)
        self._stream.close()
        self._guarded.close()
