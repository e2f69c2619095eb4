"""A scripted SMTP server that writes down what really happened, apart from the product and its database.

Each event is one line of JSON in an fsynced journal before the peer goes on, so that the journal tells the
truth also about a sender that was killed. ``python -m tests.peer`` runs it as a process of its own.

Scripts decide by event: ``script(event, context) -> bytes | None`` may return the reply to send instead of the
usual one, ``DROP`` to close the connection, or None for the usual.
"""

import argparse
import base64
import json
import os
import re
import signal
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.authenticating import CHECKS, Accounts, Check

DROP = b"DROP"
Script = Callable[[str, dict[str, Any]], bytes | None]


class Journal:
    """The peer's memory on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("ab", buffering=0)
        self._lock = threading.Lock()

    def write(self, event: str, **facts: Any) -> None:
        with self._lock:
            if self._file.closed:  # A session that outlived its peer.
                return
            line = {"event": event, "at": time.time(), **facts}
            self._file.write(json.dumps(line).encode() + b"\n")
            os.fsync(self._file.fileno())

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in read_journal(self.path) if not names or line["event"] in names]


def read_journal(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


class _Handler(socketserver.StreamRequestHandler):
    """One SMTP session."""

    server: "_Server"

    def handle(self) -> None:
        self.context: dict[str, Any] = {"peer": self.client_address[1]}
        self.is_encrypted = False
        self.is_signed_in = False
        try:
            if self.server.tls:
                self._encrypt(self.server.tls)
            self._session()
        except (ConnectionError, ValueError, OSError):
            pass
        finally:
            self.server.journal.write("close", **self.context)
            self.connection.close()

    def _session(self) -> None:
        self.server.journal.write("conn", **self.context)
        if not self._reply("conn", b"220 peer.example ESMTP"):
            return
        while line := self.rfile.readline(4096):
            verb = line.strip().split(b" ")[0].upper().decode("ascii", "replace")
            if not self._command(verb, line.strip().decode("utf-8", "replace")):
                return

    def _encrypt(self, context: ssl.SSLContext) -> None:
        self.connection.settimeout(15)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.connection.settimeout(None)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = socketserver._SocketWriter(self.connection)  # type: ignore[attr-defined]  # As setup() makes it.
        self.is_encrypted = True

    def _command(self, verb: str, line: str) -> bool:
        self.context["line"] = line
        match verb:
            case "STARTTLS":
                if not self.server.starttls or not self._reply("starttls", b"220 go ahead"):
                    return False
                self._encrypt(self.server.starttls)
                return True
            case "EHLO":
                keywords = ["peer.example", *self.server.extensions]
                if self.server.starttls and not self.is_encrypted:
                    keywords.append("STARTTLS")
                usual = b"".join(
                    b"250%s%s\r\n" % (b" " if number == len(keywords) - 1 else b"-", word.encode())
                    for number, word in enumerate(keywords)
                ).rstrip()
                return self._reply("ehlo", usual)
            case "MAIL" if self.server.checks is not None and not self.is_signed_in:
                return self._reply("mail", b"530 5.7.0 sign in first")
            case "MAIL":
                self.context = {"peer": self.context["peer"], "mail_from": _path(line), "line": line}
                return self._event_and_reply("mail", b"250 2.1.0 ok")
            case "RCPT":
                self.context["rcpt_to"] = _path(line)
                return self._event_and_reply("rcpt", b"250 2.1.5 ok")
            case "DATA":
                return self._data()
            case "QUIT":
                self._reply("quit", b"221 2.0.0 bye")
                return False
            case "RSET" | "NOOP" | "HELO":
                return self._reply(verb.lower(), b"250 ok")
            case "AUTH":
                self.server.journal.write("auth", **self.context)
                return self._reply("auth", b"235 2.7.0 ok" if self.server.checks is None else self._authenticate(line))
            case _:
                return self._reply("unknown", b"500 5.5.1 what?")

    def _authenticate(self, line: str) -> bytes:
        """Go through one mechanism and return the verdict; the script is asked first, and may refuse at once."""
        _, mechanism, *rest = line.split(" ")
        if (refusal := self.server.script("mechanism", {**self.context, "mechanism": mechanism})) is not None:
            return refusal
        assert self.server.checks is not None
        check = self.server.checks[mechanism](self.server.accounts, base64.b64decode(rest[0]) if rest else None)
        try:
            challenge = next(check)
            while True:
                self._send(b"334 " + base64.b64encode(challenge))
                answer = self.rfile.readline(65536).strip()
                self.server.journal.write("auth_line", **self.context | {"line": answer.decode("ascii")})
                if answer == b"*":
                    return b"501 5.0.0 cancelled"
                challenge = check.send(base64.b64decode(answer, validate=True))
        except StopIteration as verdict:
            self.is_signed_in = bool(verdict.value)
        return b"235 2.7.0 welcome" if self.is_signed_in else b"535 5.7.8 wrong name or password"

    def _data(self) -> bool:
        if "rcpt_to" not in self.context:
            return self._reply("data", b"503 5.5.1 no recipient")
        if not self._event_and_reply("data", b"354 go on"):
            return False
        body = bytearray()
        while (line := self.rfile.readline(65536)) != b".\r\n":
            if not line:
                raise ConnectionError
            body += line[1:] if line.startswith(b".") else line
        content = bytes(body)
        found = re.search(rb"(?im)^Message-ID: *(\S+)", content)
        self.context["message_id"] = found[1].decode() if found else ""
        self.server.journal.write("dot", **self.context)
        if self.server.keeps_bodies:
            self.server.bodies.append((dict(self.context), content))
        answer = self.server.script("dot", self.context) or b"250 2.0.0 queued"
        if answer == DROP:
            return False
        # Written first: the sender may be gone the moment it reads the answer.
        self.server.journal.write("answer", code=int(answer[:3]), **self.context)
        self._send(answer)
        self.server.script("answered", self.context)
        context = {"peer": self.context["peer"]}
        self.context = context
        return not answer.startswith(b"421")

    def _event_and_reply(self, event: str, usual: bytes) -> bool:
        self.server.journal.write(event, **self.context)
        return self._reply(event, usual)

    def _reply(self, event: str, usual: bytes) -> bool:
        answer = self.server.script(event, self.context) or usual
        if answer == DROP:
            return False
        self._send(answer)
        return not answer.startswith(b"421")

    def _send(self, answer: bytes) -> None:
        self.wfile.write(answer if answer.endswith(b"\n") else answer + b"\r\n")
        self.wfile.flush()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        port: int,
        journal: Journal,
        script: Script,
        extensions: tuple[str, ...],
        *,
        tls: ssl.SSLContext | None = None,
        starttls: ssl.SSLContext | None = None,
        accounts: Accounts | None = None,
        checks: Mapping[str, Callable[[Accounts, bytes | None], Check]] | None = None,
    ) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.tls = tls
        self.starttls = starttls
        self.accounts = accounts or {}
        self.checks = checks or CHECKS if accounts is not None else None  # None: everybody may come in.
        self.journal = journal
        self.script = script
        self.extensions = extensions
        self.keeps_bodies = True
        self.bodies: list[tuple[dict[str, Any], bytes]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed is no error of ours."""


def _path(line: str) -> str:
    found = re.search(r"<([^>]*)>", line)
    return found[1] if found else ""


class Peer:
    """A running peer."""

    def __init__(self, server: _Server) -> None:
        self.port: int = server.server_address[1]
        self.journal = server.journal
        self._server = server

    @property
    def bodies(self) -> list[tuple[dict[str, Any], bytes]]:
        """Return (context, message bytes) of everything that came in full."""
        return list(self._server.bodies)

    def accepted(self) -> list[dict[str, Any]]:
        """Return the messages that were answered with 250."""
        return [event for event in self.journal.events("answer") if event["code"] == 250]


EXTENSIONS = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN")


@contextmanager
def running_peer(
    folder: Path,
    script: Script = lambda event, context: None,
    extensions: tuple[str, ...] = EXTENSIONS,
    *,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
    accounts: Accounts | None = None,
    checks: Mapping[str, Callable[[Accounts, bytes | None], Check]] | None = None,
) -> Iterator[Peer]:
    """Run a peer in threads of this process.

    :param accounts: passwords by user name; then AUTH is really verified, and asked for before MAIL.
    :param checks: how each mechanism is verified, where not as :mod:`tests.authenticating` does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / f"peer-{time.monotonic_ns()}.jsonl")
    server = _Server(0, journal, script, extensions, tls=tls, starttls=starttls, accounts=accounts, checks=checks)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Peer(server)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
        journal.close()


def sender_of(port: int) -> int:
    """Return the id of the process whose local TCP port is ``port``, from /proc (Linux)."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[1].split(":")[1], 16) == port and fields[9] != "0":
            return _process_with_inode(fields[9])
    raise LookupError(f"no process owns port {port}")


def _process_with_inode(inode: str) -> int:
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(link) == f"socket:[{inode}]":
                return int(link.parts[2])
        except OSError:
            continue
    raise LookupError(f"no process holds inode {inode}")


def kill_sender(context: dict[str, Any], how: int = signal.SIGKILL) -> None:
    """Kill the process at the other end of this session."""
    os.kill(sender_of(context["peer"]), how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    arguments = parser.parse_args()
    server = _Server(arguments.port, Journal(arguments.journal), lambda event, context: None, EXTENSIONS)
    server.keeps_bodies = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
