"""A scripted server of a mailbox, IMAP or POP3, that misbehaves on command. What it is told is kept."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping

import trustme

GREETING = {
    "imap": b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2] ready\r\n",
    "pop3": b"+OK ready\r\n",
}
# By command, without the tagged OK of IMAP. Answers of a test say it themselves, with the word TAG.
USUAL: dict[str, dict[str, bytes]] = {
    "imap": {
        "CAPABILITY": b"* CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2\r\n",
        "SELECT": b"* 1 EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT 2] ok\r\n",
        "SEARCH": b"* SEARCH 1\r\n",
        "LOGOUT": b"* BYE\r\n",
    },
    "pop3": {"UIDL": b"+OK\r\n1 one\r\n.\r\n", "LIST": b"+OK\r\n1 100\r\n.\r\n"},
}
Answer = bytes | Iterable[bytes]


class MailboxPeer:
    """The server. It takes one connection after the other."""

    def __init__(self, protocol: str, answers: Mapping[str, Answer], *, has_tls: bool = True) -> None:
        self.protocol, self._answers, self.has_tls = protocol, answers, has_tls
        authority = trustme.CA()
        self.ca_pem = authority.cert_pem.bytes().decode()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "127.0.0.1").configure_cert(self.context)
        self.told: list[bytes] = []  # Lines of the client.

    @contextlib.contextmanager
    def running(self) -> Iterator[int]:
        """Yield the port."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            thread = threading.Thread(target=self._serve, args=(listening,), daemon=True)
            thread.start()
            try:
                yield listening.getsockname()[1]
            finally:
                listening.shutdown(socket.SHUT_RDWR)
                thread.join(10)

    def _serve(self, listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connected, _ = listening.accept()
                with contextlib.suppress(OSError), connected:
                    connected.settimeout(10)
                    self._talk(self.context.wrap_socket(connected, server_side=True) if self.has_tls else connected)

    def _talk(self, connected: socket.socket) -> None:
        with connected, connected.makefile("rb") as lines:
            self._say(connected, self._answers.get("greeting", GREETING[self.protocol]))
            for line in lines:
                self.told.append(line)
                tag, *words = line.split() if self.protocol == "imap" else [b"", *(line.split() or [b""])]
                command = next((word for word in words if word.upper() != b"UID"), b"").decode().upper()
                usual = USUAL[self.protocol].get(command, b"" if self.protocol == "imap" else b"+OK\r\n")
                if self.protocol == "imap":
                    usual += b"TAG OK done\r\n"
                self._say(connected, self._answers.get(command, usual), tag)

    def _say(self, connected: socket.socket, answer: Answer, tag: bytes = b"*") -> None:
        for part in [answer] if isinstance(answer, bytes) else answer:
            connected.sendall(part.replace(b"TAG", tag))
