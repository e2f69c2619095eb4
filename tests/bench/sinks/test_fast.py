"""The bench's own sink counts what came, whatever pieces it came in."""

import random
import smtplib
import socket
from collections.abc import Iterator

import pytest

from bench.sinks.servers import Sink, fast_sink

ENVELOPE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with fast_sink("sink") as running:
        yield running


def test_an_empty_content_and_a_stuffed_dot_are_each_a_message(sink: Sink) -> None:
    messages, octets = sink.counted()

    with smtplib.SMTP("127.0.0.1", sink.port) as client:
        client.sendmail("a@example.com", "b@example.com", "Subject: x\r\n\r\n.hi\r\n")
        client.mail("a@example.com")
        client.rcpt("b@example.com")
        client.docmd("DATA")
        client.send(b".\r\n")
        assert client.getreply()[0] == 250

    assert sink.counted() == (messages + 2, octets + len("Subject: x\r\n\r\n..hi\r\n"))


def test_content_cut_anywhere_is_counted_to_the_byte(sink: Sink) -> None:
    chance, content = random.Random(7), b"A: b\r\n\r\n" + b"x.\r\n" * 40 + b"..\r\n"
    messages, octets = sink.counted()

    with socket.create_connection(("127.0.0.1", sink.port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies = peer.makefile("rb")
        replies.readline()
        peer.sendall(ENVELOPE)
        for number in range(20):  # Look-ahead: the next envelope rides with the content.
            assert [replies.readline()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
            rest = content + b".\r\n" + (ENVELOPE if number < 19 else b"QUIT\r\n")
            while rest:
                length = chance.randint(1, 60)
                peer.sendall(rest[:length])
                rest = rest[length:]
            assert replies.readline() == b"250 2.0.0 ok\r\n"
        assert replies.readline().startswith(b"221")

    assert sink.counted() == (messages + 20, octets + 20 * len(content))
