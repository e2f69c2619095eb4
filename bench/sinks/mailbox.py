"""An SMTP server that keeps the messages it takes, for a look at what is sent. It is slow, and offers what the fast
sink offers.
"""

import contextlib
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.sinks.fast import ANSWERS, OK


@dataclass(frozen=True, slots=True)
class Letter:
    """A message as it came."""

    envelope: tuple[str, ...]  # MAIL and RCPT, each as it was said.
    content: bytes  # Dots are still stuffed.


@dataclass
class Mailbox:
    """A running server and what it has taken."""

    port: int
    letters: list[Letter] = field(default_factory=list)


@contextlib.contextmanager
def mailbox() -> Iterator[Mailbox]:
    """Take mail on a free port of this machine."""
    letters: list[Letter] = []

    class Session(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 mailbox.example ESMTP\r\n")
            envelope: list[str] = []
            for line in self.rfile:
                verb = line[:4].upper()
                if verb in (b"MAIL", b"RCPT"):
                    envelope.append(line.decode().strip())
                self.wfile.write(ANSWERS.get(verb, OK))
                if verb == b"DATA":
                    content = b"".join(iter(self.rfile.readline, b".\r\n"))
                    letters.append(Letter(tuple(envelope), content))
                    envelope.clear()
                    self.wfile.write(OK)
                elif verb == b"QUIT":
                    return

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Session) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield Mailbox(server.server_address[1], letters)
        finally:
            server.shutdown()
            serving.join()
