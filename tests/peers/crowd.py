"""Hundreds of scripted SMTP servers in one event loop, each with a way of its own, for tests that need many or much.

It speaks as :mod:`tests.peers.peer` does and keeps one journal for all, in which ``port`` tells the servers apart. What
happens in one turn of the loop is written together, and only then is anything said: the journal is never behind the
wire. ``python -m tests.peers.crowd`` runs it as a process of its own that takes orders on its standard input.
"""

import argparse
import asyncio
import collections
import contextlib
import itertools
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.peers.conversation import EXTENSIONS, RESET, STALL, End, Pause, Role, Say, Script, Step, Take, Talk, converse
from tests.peers.misbehaving import WAYS
from tests.peers.peer import NO_LINGER, read_journal, sender_of

# The points at which a sender is killed, by what the peer just saw or did.
KILL_POINTS = ("conn", "mail", "rcpt", "body", "dot", "answered", "later")


class _Journal:
    """One file for all servers; what one turn of the loop brings is one write and one fsync."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._lines: list[bytes] = []
        self._said: list[tuple[_Session, bytes]] = []
        self._is_awaited = False
        self._has_promised = False  # Whether a message is answered for: that must be on disk.

    def write(self, event: str, **facts: Any) -> None:
        self._lines.append(json.dumps({"event": event, "at": time.time(), **facts}).encode())
        self._has_promised |= event == "answer"
        self._await()

    def say(self, session: "_Session", what: bytes) -> None:
        """Have ``what`` said as soon as everything before it is on disk."""
        self._said.append((session, what))
        self._await()

    def _await(self) -> None:
        if not self._is_awaited:
            self._is_awaited = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        self._is_awaited = False
        if self._lines:
            self._file.write(b"\n".join(self._lines) + b"\n")
            self._lines.clear()
        if self._has_promised:
            os.fsync(self._file.fileno())
            self._has_promised = False
        said, self._said = self._said, []
        for session, what in said:
            session.say(what)

    def close(self) -> None:
        self.flush()
        self._file.close()


class _Session(asyncio.Protocol):
    """One connection: does what the conversation asks for next."""

    def __init__(self, crowd: "_Crowd", role: Role, port: int) -> None:
        self._crowd = crowd
        self._role = role
        self._port = port
        self._buffer = bytearray()
        self._is_gone = False
        self._wanted: Step | None = None
        self._context: dict[str, Any] = {}
        self._talk: Talk
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        # Not set by asyncio for a listener made by hand; without it a reply waits for the one before to be seen.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = transport.get_extra_info("peername")
        if peer is None:  # Gone already.
            transport.abort()
            return
        self._context = {"port": self._port, "peer": peer[1], "session": next(self._crowd.sessions)}
        self._talk = converse(self._role, self._context, self._crowd.journal.write)
        self._go_on(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._feed()

    def eof_received(self) -> bool:
        self._is_gone = True
        self._feed()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._is_gone = True
        if self._context:
            self._crowd.journal.write("close", **self._context)
            self._talk.close()
            self._context = {}

    def say(self, what: bytes) -> None:
        if self._context and isinstance(self._wanted, Say):
            self._transport.write(what)
            self._go_on(None)

    def _go_on(self, came_in: bytes | None) -> None:
        try:
            self._wanted = self._talk.send(came_in)
        except StopIteration:
            self._wanted = None
            self._transport.close()
            return
        self._feed()

    def _feed(self) -> None:
        """Do the step that is wanted, if what came in is enough for it."""
        if not self._context:
            return
        match self._wanted:
            case Say(what):
                if not self._is_noted():
                    self._crowd.journal.say(self, what)
            case Pause(seconds):
                if not self._is_noted():
                    asyncio.get_running_loop().call_later(seconds, self._rested)
            case Take(size):
                if len(self._buffer) >= size or self._is_gone:
                    self._take(size)
            case End(how):
                self._end(how)
            case "line":
                end = self._buffer.find(b"\n")
                if end >= 0 or self._is_gone:
                    self._take(end + 1)
            case "body":
                self._feed_body()
        return

    def _is_noted(self) -> bool:
        """Whether the step is under way already: more input changes nothing."""
        is_noted = self._under_way is self._wanted
        self._under_way = self._wanted
        return is_noted

    _under_way: Step | None = None

    def _rested(self) -> None:
        if self._context and isinstance(self._wanted, Pause):
            self._go_on(None)

    def _take(self, size: int) -> None:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._go_on(taken or (None if isinstance(self._wanted, Take) else b""))

    def _feed_body(self) -> None:
        if self._buffer.startswith(b".\r\n"):
            end, skip = 0, 3
        else:
            end, skip = self._buffer.find(b"\r\n.\r\n") + 2, 3
        if end < 2 and not self._buffer.startswith(b".\r\n"):
            if self._is_gone:
                self._go_on(None)
            return
        content = bytes(self._buffer[:end])
        del self._buffer[: end + skip]
        self._go_on(content)

    def _end(self, how: bytes) -> None:
        if how == RESET:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            self._transport.abort()
        elif how == STALL:
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(20, self._transport.abort)  # The sender gave up long before.
        elif how == b"SILENT":
            self._buffer.clear()
            if self._is_gone:
                self._transport.close()
        else:
            self._transport.close()


class _Crowd:
    """All servers, and the orders they take."""

    def __init__(self, journal: Path) -> None:
        self.journal = _Journal(journal)
        self.sessions = itertools.count(1)
        self.kill_at = ""  # At which event the next sender is killed.
        self.kill_with = signal.SIGKILL
        self.after = 0  # … once it happened so often.
        self.are_well = False
        self._servers: list[asyncio.Server] = []

    async def listen(self, roles: Sequence[Role], ports: Sequence[int]) -> list[int]:
        loop = asyncio.get_running_loop()
        for role, port in zip(roles, ports, strict=True):
            bound = socket.create_server(("127.0.0.1", port), backlog=128)
            actual = bound.getsockname()[1]
            role.script = self._watch(role.script)
            make = lambda role=role, port=actual: _Session(self, role, port)  # noqa: E731
            self._servers.append(await loop.create_server(make, sock=bound))
        return [server.sockets[0].getsockname()[1] for server in self._servers]

    def close(self) -> None:
        for server in self._servers:
            server.close()
        self.journal.close()

    def _watch(self, script: Script) -> Script:
        """Kill where an order says so, and be well where one says so."""

        def watched(event: str, context: dict[str, Any]) -> Any:
            if event == self.kill_at or (event == "answered" and self.kill_at == "later"):
                self._kill(context)
            return None if self.are_well else script(event, context)

        return watched

    def _kill(self, context: Mapping[str, Any]) -> None:
        if self.after > 0:
            self.after -= 1
            return
        point, self.kill_at = self.kill_at, ""
        if point == "later":
            asyncio.get_running_loop().call_later(0.05, self._signal, point, dict(context))
        else:
            self._signal(point, dict(context))

    def _signal(self, point: str, context: dict[str, Any]) -> None:
        try:
            process = sender_of(context)
            os.kill(process, self.kill_with)
        except (LookupError, ProcessLookupError):
            self.kill_at = "answered" if point == "later" else point  # It had hung up: the next one is killed.
            return
        self.journal.write("killed", point=point, process=process, **context)

    def obey(self, order: Mapping[str, Any]) -> None:
        match order:
            case {"kill": point, "after": after}:
                self.kill_at, self.after = point, after
            case {"well": are_well}:
                self.are_well = are_well


class Crowd:
    """A running crowd, in a process of its own."""

    def __init__(self, process: subprocess.Popen[str], journal: Path, ports: list[int], ways: list[str]) -> None:
        self.process = process
        self.journal = journal
        self.ports = ports
        self.ways = dict(zip(ports, ways, strict=True))
        self._read = 0
        self._counts: collections.Counter[str] = collections.Counter()

    def order(self, **what: Any) -> None:
        """Tell it ``kill=point, after=n`` or ``well=True``."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def events(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in read_journal(self.journal) if not names or event["event"] in names]

    def counts(self) -> collections.Counter[str]:
        """Return how often each event happened so far; cheap to ask again and again."""
        with self.journal.open("rb") as file:
            file.seek(self._read)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        self._counts.update(line.split(b'"', 4)[3].decode() for line in whole.splitlines())
        return self._counts


@contextmanager
def running_crowd(folder: Path, ways: Sequence[str], seed: int = 1) -> Iterator[Crowd]:
    """Run one server for each of these ways of :data:`tests.peers.misbehaving.WAYS`."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = folder / "crowd.jsonl"
    journal.touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.peers.crowd", "--journal", str(journal), "--seed", str(seed), *ways],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, "the crowd did not start"
        yield Crowd(process, journal, json.loads(line), list(ways))
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()  # Which ends it.
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


async def _serve(journal: Path, ways: Sequence[str], seed: int) -> None:
    crowd = _Crowd(journal)
    roles = [Role(WAYS[way](seed * 1000 + number), EXTENSIONS) for number, way in enumerate(ways)]
    print(json.dumps(await crowd.listen(roles, [0] * len(roles))), flush=True)
    loop = asyncio.get_running_loop()
    is_over = asyncio.Event()

    def listen_for_orders() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(crowd.obey, json.loads(line))
        loop.call_soon_threadsafe(is_over.set)

    threading.Thread(target=listen_for_orders, daemon=True).start()
    await is_over.wait()
    crowd.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("ways", nargs="+", choices=list(WAYS))
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    asyncio.run(_serve(arguments.journal, arguments.ways, arguments.seed))


if __name__ == "__main__":
    main()
