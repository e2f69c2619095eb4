"""A mail server that takes everything, and what a person reads in the mails that it got."""

import email
import email.policy
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from smtpservers.models import SmtpServer
from tests.delivery.making import make_server, run_drain
from tests.peers.peer import Peer, running_peer

Inbox = Callable[[], list[str]]


@pytest.fixture
def peer(transactional_db: None, tmp_path: Path) -> Iterator[Peer]:
    with running_peer(tmp_path) as running:
        yield running


@pytest.fixture
def server(peer: Peer) -> SmtpServer:
    return make_server(peer.port)


@pytest.fixture
def inbox(peer: Peer, server: SmtpServer) -> Inbox:
    """Return the texts of all mails, after what is due was sent."""

    def read() -> list[str]:
        run_drain()
        return [text_of(content) for _, content in peer.bodies]

    return read


def text_of(content: bytes) -> str:
    body = email.message_from_bytes(content, policy=email.policy.default).get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def link_in(text: str) -> tuple[str, str]:
    """Return path and token of the link in a mail."""
    found = re.search(r"https?://[^/\s]+(/\S*)#(\S+)", text)
    assert found is not None, text
    return found[1], found[2]
