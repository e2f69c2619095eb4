"""HTTPS requests: whole and cut bodies, chunks, and responses that are none."""

import asyncio
from typing import Any

import pytest

from net.addresses import NotConnected
from net.fetch import BODY_BYTES, FORM, fetch, request
from tests.peers.unsubscribe_page import TRUSTING, page

BODY = b"a=b&List-Unsubscribe=One-Click"  # The page answers after these words.
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(url: str, **options: Any) -> Any:
    headers = {"Content-Type": FORM, "Authorization": "Basic x"}
    values = {"method": "POST", "body": BODY, "headers": headers, "seconds": 5.0, "context": TRUSTING}
    return fetch(url.partition("?")[0], **(values | options))


def test_a_request_is_sent_as_given() -> None:
    with page(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 4\r\n\r\nno!\n") as running:
        answer = post(running.url)

    assert (answer.status, answer.body, answer.host) == (400, b"no!\n", "localhost")
    head, _, body = running.asked[0].partition(b"\r\n\r\n")
    assert body == BODY
    assert head.splitlines()[0] == b"POST /leave HTTP/1.1"
    assert {b"Authorization: Basic x", b"Content-Length: %d" % len(BODY)} <= set(head.splitlines())


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\nto the end", b"to the end"),
        (CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", b"abcde"),
        (CHUNKED + b"ffffff\r\n" + b"x" * 300_000, b"x" * BODY_BYTES),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + b"x" * 300_000, b"x" * BODY_BYTES),
        (b"HTTP/1.1 302 Found\r\nLocation: https://localhost/\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_a_body_is_read_to_its_end_or_the_limit(answer: bytes, body: bytes) -> None:
    with page(answer) as running:
        assert post(running.url).body == body

    assert running.connections == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            CHUNKED + b"zz\r\n",
            "localhost ended the connection without an answer. Check port and encryption, or try again later.",
        ),
        (
            CHUNKED + b"5\r\nab",
            "localhost ended the connection without an answer. Check port and encryption, or try again later.",
        ),
        (
            b"* OK IMAP4rev1\r\n\r\n",
            "localhost answered with something that is not HTTP. Check the address and its port.",
        ),
    ],
)
def test_a_broken_response_is_a_sentence(answer: bytes, why: str) -> None:
    with page(answer) as running, pytest.raises(NotConnected) as error:
        post(running.url)

    assert str(error.value) == why


@pytest.mark.parametrize("url", ["http://localhost/", "https:///x", "ftp://localhost/", "https://localhost:99999/"])
def test_only_https_is_called(url: str) -> None:
    with pytest.raises(NotConnected, match=r"https://|names no host"):
        post(url)


@pytest.mark.parametrize("path", ["/lögo.svg", "/a b", "/x?q=ü", "/\0", "/%20\x7f"])
def test_an_address_that_no_request_can_hold_is_refused_before_connecting(path: str) -> None:
    with pytest.raises(NotConnected) as error:
        fetch(f"https://localhost:9{path}", seconds=5.0)

    assert str(error.value) == (
        "The address at localhost holds a space or a letter that has to be percent-encoded."
        " Copy it from a browser's address bar."
    )


@pytest.mark.parametrize(
    ("typed", "sent"),
    [("localhost", "localhost"), ("LOCALHOST", "localhost"), ("me:secret@localhost", "localhost")],
)
def test_the_host_line_names_the_host_as_dns_knows_it(typed: str, sent: str) -> None:
    with page(b"HTTP/1.1 204 No Content\r\n\r\n") as running:
        post(running.url.replace("localhost", typed))

        port = running.url.split(":")[2].partition("/")[0]
        assert f"Host: {sent}:{port}".encode() in running.asked[0].splitlines()


def test_a_host_in_its_own_script_is_asked_by_its_a_label() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        asked.append(host)
        return []

    asked: list[str] = []
    with pytest.raises(NotConnected, match=r"bücher\.example"):
        asyncio.run(request("https://bücher.example/", seconds=5.0, resolve=nowhere))

    assert asked == ["xn--bcher-kva.example"]


def test_a_header_holds_no_line_break() -> None:
    with pytest.raises(ValueError, match="no line break"):
        post("https://localhost/", headers={"X": "a\r\nb: c"})
