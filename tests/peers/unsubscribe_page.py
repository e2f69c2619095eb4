"""Somebody's unsubscribe page: a web server with TLS on this machine that writes down what it was asked."""

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator

import trustme

CA = trustme.CA()
TRUSTING = ssl.create_default_context()
CA.configure_trust(TRUSTING)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Page:
    """A page on this machine."""

    def __init__(self, port: int, answer: bytes) -> None:
        self.url = f"https://localhost:{port}/leave?t={{token}}"
        self.answer = answer
        self.asked: list[bytes] = []
        self.connections = 0
        self.on_request: Callable[[], object] = lambda: None  # Called before it answers.


@contextlib.contextmanager
def page(
    answer: bytes, *, name: str = "localhost", holds_open: bool = False, after: bytes = b"List-Unsubscribe=One-Click"
) -> Iterator[Page]:
    """Run a page that gives this answer, with a certificate for ``name``.

    :param after: the end of the request that it answers.
    :param holds_open: whether it leaves the connection open afterwards.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CA.issue_cert(name).configure_cert(context)
    is_over = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            running.connections += 1
            try:
                with context.wrap_socket(self.request, server_side=True) as secured:
                    got = b""
                    while not got.endswith(after) and (part := secured.recv(4096)):
                        got += part
                    running.asked.append(got)
                    running.on_request()
                    secured.sendall(running.answer)
                    if holds_open:
                        is_over.wait(20)
            except OSError:
                pass  # The client may hang up at any time.

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        running = Page(server.server_address[1], answer)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            is_over.set()
            server.shutdown()
