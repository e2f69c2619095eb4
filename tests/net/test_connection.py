"""Guarded sockets: with TLS from the first byte or later, and a certificate that must be for the host."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator

import pytest
from django.conf import LazySettings

from net.addresses import NotConnected
from net.connection import safe_connect, secure
from tests.peers.unsubscribe_page import CA, TRUSTING


@contextlib.contextmanager
def greeter(*, tls: bool, name: str = "localhost") -> Iterator[int]:
    """Run a server that greets, over TLS or before it, and return its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(name).configure_cert(context)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                if not tls:
                    self.request.sendall(b"* OK\r\n")
                with context.wrap_socket(self.request, server_side=True) as secured:
                    secured.sendall(b"* safe\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


def test_a_connection_is_encrypted_from_the_first_byte() -> None:
    with greeter(tls=True) as port, safe_connect("localhost", port, timeout=5, context=TRUSTING) as connected:
        assert connected.recv(20) == b"* safe\r\n"
        assert connected.gettimeout() == 5


def test_a_connection_is_encrypted_later() -> None:
    with greeter(tls=False) as port, safe_connect("localhost", port, timeout=5, tls=False) as plain:
        assert plain.recv(6) == b"* OK\r\n"
        with secure(plain, "localhost", TRUSTING) as secured:
            assert secured.recv(20) == b"* safe\r\n"


@pytest.mark.parametrize(("name", "context"), [("other.example", TRUSTING), ("localhost", None)])
def test_a_certificate_of_somebody_else_is_refused(name: str, context: ssl.SSLContext | None) -> None:
    with (
        greeter(tls=True, name=name) as port,
        pytest.raises(NotConnected, match="The certificate or encryption of localhost was refused"),
    ):
        safe_connect("localhost", port, timeout=5, context=context)


def test_nothing_is_connected_to_where_the_judge_refuses(settings: LazySettings) -> None:
    settings.IS_LOOPBACK = False
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        with pytest.raises(NotConnected, match="private network"):
            safe_connect("127.0.0.1", server.getsockname()[1], timeout=5)

        with pytest.raises(BlockingIOError):
            server.accept()


def test_a_closed_port_and_a_silent_server_are_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(NotConnected, match="localhost ended the connection without an answer"):
            safe_connect("localhost", port, timeout=0.2)

    with pytest.raises(NotConnected, match=f"localhost does not take connections on port {port}"):
        safe_connect("localhost", port, timeout=5)
