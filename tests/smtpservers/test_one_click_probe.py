"""Asking somebody's unsubscribe page whether it takes one click: what counts as yes, and whom we never ask."""

import asyncio
import datetime as dt
from typing import Any

import pytest
from django.conf import LazySettings

from smtpservers import one_click
from smtpservers.models import SmtpServer
from smtpservers.one_click_probe import probe, probe_server
from tests.peers.unsubscribe_page import OK, TRUSTING, page

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


async def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


def ask(url: str, **changes: Any) -> str:
    return probe(url, **({"context": TRUSTING, "seconds": 5.0, "resolve": here} | changes))


def test_a_click_is_a_post_as_mail_programs_send_it() -> None:
    with page(OK) as running:
        assert ask(running.url) == ""

    [request] = running.asked
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /leave?t=probe HTTP/1.1"
    assert b"Host: " + running.url.split("/")[2].encode() in lines
    assert b"Content-Type: application/x-www-form-urlencoded" in lines
    assert b"Content-Length: 26" in lines
    assert body == b"List-Unsubscribe=One-Click"
    assert not [line for line in lines if line.lower().startswith((b"cookie", b"authorization", b"referer"))]


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        b"HTTP/1.1 202 Accepted\r\n\r\n",
        b"HTTP/1.0 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\n\r\n<p>You left.</p><input type=hidden name=password>",
    ],
)
def test_every_2xx_is_a_yes(answer: bytes) -> None:
    with page(answer) as running:
        assert ask(running.url) == ""


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: https://localhost/login\r\n\r\n", "a redirect (302)"),
        (b"HTTP/1.1 301 Moved\r\nLocation: /there\r\n\r\n", "a redirect (301)"),
        (b"HTTP/1.1 401 Who\r\n\r\n", "answered 401 to a click"),
        (b"HTTP/1.1 404 No\r\n\r\n", "answered 404 to a click"),
        (b"HTTP/1.1 405 No POST\r\n\r\n", "answered 405 to a click"),
        (b"HTTP/1.1 500 Oops\r\n\r\n", "answered 500 to a click"),
        (b"HTTP/1.1 200 OK\r\n\r\n<form><INPUT name='p' TYPE = 'Password'>", "asks for a password"),
        (b"220 mail.example ESMTP\r\n\r\n", "something that is not HTTP"),
        (b"", "ended the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nX-Endless: " + b"x" * 200_000, "ended the connection without an answer"),
    ],
)
def test_anything_else_is_a_no_in_a_sentence(answer: bytes, why: str) -> None:
    with page(answer) as running:
        said = ask(running.url)

    assert why in said
    assert said.startswith("localhost ")
    assert said.endswith(".")
    assert running.connections == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nDone", b"HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n"]
)
def test_an_answer_ends_where_it_says_though_the_connection_stays_open(answer: bytes) -> None:
    with page(answer, holds_open=True) as running:
        assert ask(running.url) == ""


def test_a_page_that_is_made_to_last_is_searched_in_one_go() -> None:
    """Else this would take hours, and no time limit could end it."""
    assert one_click._PASSWORD_FIELD.search(b"<input " * 1_000_000) is None


def test_a_page_that_never_ends_is_not_read_to_its_end() -> None:
    with page(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 300_000, holds_open=True) as running:
        assert ask(running.url) == ""


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\nslow"])
def test_silence_is_a_no_after_a_while(answer: bytes) -> None:
    with page(answer, holds_open=True) as running:
        assert (
            ask(running.url, seconds=0.5)
            == "localhost did not answer within 0.5 seconds. Check host and port, or try again later."
        )


def test_a_certificate_for_somebody_else_is_a_no() -> None:
    with page(OK, name="other.example") as running:
        said = ask(running.url)

    assert "The certificate or encryption of localhost was refused: Hostname mismatch" in said
    assert running.asked == []


def test_an_unknown_authority_is_a_no() -> None:
    with page(OK) as running:
        assert "unable to get local issuer" in ask(running.url, context=None)

    assert running.asked == []


# Whom we never ask


def test_this_machine_is_not_even_connected_to_otherwise(settings: LazySettings) -> None:
    settings.IS_LOOPBACK = False  # As on every site but the demo.
    with page(OK) as running:
        said = ask(running.url)
        in_other_words = [
            ask(running.url.replace("localhost", host), resolve=None)
            for host in ("127.0.0.1", "127.1", "0x7f.1", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "localhost")
        ]

    assert said == "localhost is in a private network, and only public hosts are called. Enter a public host."
    assert all("private network" in words or "no host" in words for words in in_other_words), in_other_words
    assert running.connections == 0


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    async def both(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    assert "private network" in ask("https://shop.example/leave", resolve=both)


def test_a_name_is_looked_up_once_so_that_it_cannot_change_in_between() -> None:
    asked: list[str] = []

    async def changing(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    with page(OK) as running:
        assert ask(running.url, resolve=changing) == ""

    assert asked == ["localhost"]


def test_a_name_that_takes_forever_is_given_up() -> None:
    async def slow(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    assert "did not answer within 0.1 seconds" in ask("https://shop.example/", resolve=slow, seconds=0.1)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://localhost/leave", "starts with https://"),
        ("ftp://localhost/leave", "starts with https://"),
        (
            "https://no-such-host.invalid/",
            "There is no address for no-such-host.invalid. Check its spelling, or its record in DNS.",
        ),
        (
            "https://xn--bcher-kva.invalid/",
            "There is no address for bücher.invalid. Check its spelling, or its record in DNS.",
        ),
        ("https://localhost:99999/", "names no host"),
        ("https://a..b/", "names no host"),
    ],
)
def test_what_cannot_be_asked_is_said(url: str, why: str) -> None:
    assert why in ask(url, resolve=None)


# The note


@pytest.fixture
def server(db: None) -> SmtpServer:
    return SmtpServer.objects.create(name="Alpha", host="smtp.shop.example", mail_from="news@shop.example")


def test_the_answer_is_noted_with_its_date(server: SmtpServer) -> None:
    with page(OK) as running:
        SmtpServer.objects.update(unsubscribe_url=running.url)
        assert probe_server(server.pk, NOW, TRUSTING) == ""

    server.refresh_from_db()
    assert (server.takes_one_click, server.unsubscribe_probed_at, server.version) == (True, NOW, 2)

    with page(b"HTTP/1.1 403 No\r\n\r\n") as running:
        SmtpServer.objects.update(unsubscribe_url=running.url)
        probe_server(server.pk, NOW, TRUSTING)

    server.refresh_from_db()
    assert not server.takes_one_click
    assert server.unsubscribe_problem.startswith("localhost answered 403")


@pytest.mark.parametrize("url", ["", "mailto:leave@shop.example", "http://shop.example/leave"])
def test_what_takes_no_click_anyway_is_not_asked(server: SmtpServer, url: str) -> None:
    SmtpServer.objects.update(unsubscribe_url=url)

    assert probe_server(server.pk, NOW) is None
    server.refresh_from_db()
    assert server.unsubscribe_probed_at is None


def test_a_server_nobody_asked_takes_no_click(server: SmtpServer) -> None:
    server.unsubscribe_url = "https://shop.example/leave"

    assert not server.takes_one_click
