"""The edge: files come from public hosts that our own name servers know, by https, whole or not at all."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings

from domains.lookups import Lookups
from mail.records.answers import Unanswered
from mail.records.transport import FetchFailed
from tests.peers.name_server import Nameserver, running_nameserver
from tests.peers.unsubscribe_page import CA, page

HOST = "mta-sts.acme.example"


@pytest.fixture(scope="module")
def server() -> Iterator[Nameserver]:
    zone = {
        HOST: {"A": ["127.0.0.1"]},
        "private.example": {"A": ["10.0.0.7"]},
        "mixed.example": {"A": ["203.0.113.7", "169.254.169.254"]},
        "silent.example": "SERVFAIL",
    }
    with running_nameserver(zone) as running:
        yield running


def fetch(server: Nameserver, url: str) -> bytes:
    return Lookups([server.address]).fetch(url, 100)


@pytest.mark.parametrize(
    ("answer", "body", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\nversion: STSv1\n", b"version: STSv1\n", ""),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100_000, b"x" * 100, ""),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", b"", f"{HOST} answered 404"),
        (b"HTTP/1.1 301 Moved\r\nLocation: https://localhost/\r\n\r\n", b"", f"{HOST} answered 301"),
        (b"SSH-2.0\r\n\r\n", b"", "not HTTP"),
    ],
)
def test_a_file_is_fetched_from_the_address_that_our_name_server_gives(
    server: Nameserver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, answer: bytes, body: bytes, why: str
) -> None:
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    with page(answer, name=HOST, after=b"\r\n\r\n") as running:
        url = f"https://{HOST}:{urlsplit(running.url).port}/.well-known/mta-sts.txt"
        if why:
            with pytest.raises(FetchFailed, match=why):
                fetch(server, url)
        else:
            assert fetch(server, url) == body

    assert running.connections == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://private.example/", "private network"),
        ("https://mixed.example/", "private network"),
        ("https://nowhere.example/", "no address"),
        (f"http://{HOST}/", "https://"),
    ],
)
def test_private_hosts_are_not_called(server: Nameserver, settings: LazySettings, url: str, why: str) -> None:
    settings.IS_LOOPBACK = False

    with pytest.raises(FetchFailed, match=why):
        fetch(server, url)


def test_a_host_that_dns_does_not_answer_for_proves_nothing(server: Nameserver) -> None:
    with pytest.raises(Unanswered):
        fetch(server, "https://silent.example/")
