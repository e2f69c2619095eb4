"""A running listener on a free port, storing into the test database."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from feedback.listener.server import listening, tls_context
from mail import verp
from smtpservers.models import SmtpServer

RETURN_PATH = "bounces@news.example.org"
TAGGED = verp.tagged(RETURN_PATH, 7, 1, settings.TOKEN_KEYS)
UNSUBSCRIBE = verp.unsubscribe_addresses("news.example.org", settings.TOKEN_KEYS)(7)


@contextlib.contextmanager
def running(tmp_path: Path, *, is_lmtp: bool = False) -> Iterator[int]:
    started, ports = threading.Event(), []
    loop = asyncio.new_event_loop()
    stopped = asyncio.Event()

    async def run() -> None:
        tls = tls_context("", tmp_path, "mx.example.org")
        async with listening("127.0.0.1", 0, name="mx.example.org", tls=tls, is_lmtp=is_lmtp) as port:
            ports.append(port)
            started.set()
            await stopped.wait()

    def run_loop() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=run_loop)
    thread.start()
    try:
        assert started.wait(10)
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def server(transactional_db: None) -> SmtpServer:
    return SmtpServer.objects.create(
        name="One",
        host="relay.example.org",
        mail_from="news@news.example.org",
        mail_to="operator@elsewhere.example.net",
        use_return_path=True,
        return_path=RETURN_PATH,
        use_spam_address=True,
        spam_address="fbl@news.example.org",
    )


@pytest.fixture
def port(server: SmtpServer, tmp_path: Path) -> Iterator[int]:
    with running(tmp_path) as port:
        yield port


class Talk:
    """A connection as a sender has it: lines out, answers in."""

    def __init__(self, port: int, greets: bool = True) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._lines = self._socket.makefile("rb")
        self.greeting = self.answer()
        if greets:
            self.say("EHLO sender.example.net")

    def __enter__(self) -> "Talk":
        return self

    def __exit__(self, *args: object) -> None:
        self.close()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def send_on(self, content: bytes, times: int, seconds: float = 0.0) -> None:
        """Send something again and again, this long apart."""
        for _ in range(times):
            self.send(content)
            threading.Event().wait(seconds)

    def say(self, line: str) -> str:
        self.send(line.encode() + b"\r\n")
        return self.answer()

    def answer(self) -> str:
        """Return the last line of an answer; empty if the connection has ended."""
        try:
            line = self._lines.readline()
            while line[3:4] == b"-":
                line = self._lines.readline()
        except ConnectionResetError:
            return ""
        return line.decode().strip()

    def ends(self) -> bool:
        """Wait for the end of the connection, whatever is still said."""
        try:
            while self._socket.recv(65_536):
                pass
        except ConnectionResetError:
            pass
        return True

    def deliver(self, *recipients: str, content: bytes = b"Subject: x\r\n\r\nhello\r\n", sender: str = "") -> str:
        self.say(f"MAIL FROM:<{sender}>")
        for recipient in recipients:
            self.say(f"RCPT TO:<{recipient}>")
        self.say("DATA")
        self.send(content + b".\r\n")
        return self.answer()


class Deaf:
    """A sender that asks for more answers than the system stores, and reads none."""

    def __init__(self, port: int, is_secured: bool = False) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # For large segments the system stores megabytes, and the listener answers until it is full.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self._socket.settimeout(20)
        self._socket.connect(("127.0.0.1", port))
        self._socket.recv(1000)
        if is_secured:
            self._socket.sendall(b"STARTTLS\r\n")
            self._socket.recv(1000)
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self._socket = context.wrap_socket(self._socket)
        self._socket.settimeout(0.1)
        with contextlib.suppress(OSError):  # Until nothing moves any more.
            for _ in range(100):
                self._socket.sendall(b"EHLO a\r\n" * 1_000)

    def close(self) -> None:
        self._socket.close()


Deliver = Callable[..., str]
