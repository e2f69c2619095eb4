"""A scripted SMTP server that writes down what really happened, apart from the product and its database.

Each event is one line of JSON in a journal, handed to the kernel before the peer goes on and fsynced before a message
is answered for, so that the journal tells the truth also about a sender that was killed. ``python -m tests.peers.peer``
runs it as a process of its own. What scripts may do stands in :mod:`tests.peers.conversation`; here each connection has
a thread, so a script may also wait by itself.
"""

import argparse
import contextlib
import itertools
import json
import os
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connections

from tests.peers.auth import Accounts, Check
from tests.peers.conversation import (
    BODY,
    DROP,
    EXTENSIONS,
    LINE,
    RESET,
    SILENT,
    STALL,
    Encrypt,
    End,
    Pause,
    Role,
    Say,
    Script,
    Step,
    Take,
    converse,
)

__all__ = ["DROP", "RESET", "SILENT", "STALL", "Peer", "Script", "Take", "kill_sender", "running_peer", "sender_of"]

NO_LINGER = struct.pack("ii", 1, 0)  # close() sends RST.


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
            if event == "answer":  # With it a server takes responsibility (RFC 5321 section 4.2.5).
                os.fsync(self._file.fileno())

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [line for line in read_journal(self.path) if not names or line["event"] in names]


def read_journal(path: Path) -> list[dict[str, Any]]:
    lines = path.read_bytes().split(b"\n")[:-1]  # The last one may be in the middle of being written.
    return [json.loads(line) for line in lines]


class _Handler(socketserver.StreamRequestHandler):
    """One SMTP session."""

    server: "_Server"

    def handle(self) -> None:
        ports = {"port": self.server.server_address[1], "peer": self.client_address[1]}
        context = {**ports, "session": next(self.server.sessions)}
        talk = converse(self.server.role, context, self.server.journal.write, self.server.keep)
        try:
            step = next(talk)
            while True:
                step = talk.send(self._do(step))
        except StopIteration:
            pass
        except (ConnectionError, ValueError, OSError):
            pass
        finally:
            self.server.journal.write("close", **context)
            self.connection.close()
            if settings.configured:  # A test's script may have asked the database in this thread.
                connections.close_all()

    def _do(self, step: Step) -> bytes | None:
        match step:
            case Say(what):
                self.wfile.write(what)
                self.wfile.flush()
            case Pause(seconds):
                self.server.is_ending.wait(seconds)
            case Encrypt(context):
                self._encrypt(context)
            case Take(size):
                return self.rfile.read(size) or None
            case End(how):
                self._end(how)
            case "line":
                return self.rfile.readline(65536)
            case _:
                assert step is BODY or step is LINE
                return self._body()
        return None

    def _body(self) -> bytes | None:
        body = bytearray()
        while (line := self.rfile.readline(65536)) != b".\r\n":
            if not line:
                return None
            body += line[1:] if line.startswith(b".") else line
        return bytes(body)

    def _end(self, how: bytes) -> None:
        if how == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        elif how == SILENT:
            while self.rfile.read1(65536):  # type: ignore[attr-defined]  # It is buffered.
                pass
        elif how == STALL:
            gone = threading.Event()
            while not gone.wait(0.05) and not self.server.is_ending.is_set():
                with contextlib.suppress(BlockingIOError):
                    # Looks whether the sender is gone without making room for more.
                    peeked = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
                    if not peeked or _is_reset(self.connection):
                        gone.set()

    def _encrypt(self, context: ssl.SSLContext) -> None:
        self.connection.settimeout(15)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.connection.settimeout(None)
        self.rfile = self.connection.makefile("rb", -1)
        self.wfile = socketserver._SocketWriter(self.connection)  # type: ignore[attr-defined]  # As setup() makes it.


def _is_reset(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != 1  # 1: established.


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, journal: Journal, role: Role, *, receive_buffer: int | None = None) -> None:
        self.receive_buffer = receive_buffer
        self.role = role
        self.journal = journal
        self.sessions = itertools.count(1)
        self.is_ending = threading.Event()
        self.keeps_bodies = True
        self.bodies: list[tuple[dict[str, Any], bytes]] = []
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        if self.receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        super().server_bind()

    def keep(self, context: dict[str, Any], content: bytes) -> None:
        if self.keeps_bodies:
            self.bodies.append((context, content))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that was killed is no error of ours."""


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
    receive_buffer: int | None = None,
) -> Iterator[Peer]:
    """Run a peer in threads of this process.

    :param accounts: passwords by user name; then AUTH is really verified, and asked for before MAIL.
    :param checks: how each mechanism is verified, where not as :mod:`tests.peers.auth` does.
    :param receive_buffer: how many bytes the kernel takes before the peer reads; None: as many as it likes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / f"peer-{time.monotonic_ns()}.jsonl")
    role = Role(script, extensions, tls, starttls, accounts, checks)
    server = _Server(0, journal, role, receive_buffer=receive_buffer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Peer(server)
    finally:
        server.is_ending.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
        journal.close()


def sender_of(context: Mapping[str, Any]) -> int:
    """Return the id of the process at the other end of this session, from /proc (Linux).

    Both ends tell it: connections to different servers may have the same local port, also those of a process that has
    nothing to do with us.
    """
    ends = (context["peer"], context["port"])
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if tuple(int(end.split(":")[1], 16) for end in fields[1:3]) == ends and fields[9] != "0":
            return _process_with_inode(fields[9])
    raise LookupError(f"no process has a connection from port {ends[0]} to port {ends[1]}")


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
    os.kill(sender_of(context), how)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    arguments = parser.parse_args()
    server = _Server(arguments.port, Journal(arguments.journal), Role(lambda event, context: None))
    server.keeps_bodies = False
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
