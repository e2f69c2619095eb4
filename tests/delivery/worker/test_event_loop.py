"""The loop of a sending process: Python's own or uvloop, with the same account."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.utils import timezone

from delivery.records import figures
from delivery.worker import event_loop
from delivery.worker.drain import drain
from mail.replies.rules import Stage
from smtpservers.smtp.connection import connect
from smtpservers.smtp.wire import Wire
from tests.delivery.making import make_list, make_mailing, make_server
from tests.peers.peer import running_peer
from tests.smtpservers.smtp.test_wire import endpoint

pytestmark = pytest.mark.django_db(transaction=True)

needs_uvloop = pytest.mark.skipif(
    event_loop.fast_loop() is None, reason="uvloop is not installed; requirements-fast.txt has it"
)


@needs_uvloop
@pytest.mark.parametrize("is_encrypted", [False, True])
@pytest.mark.parametrize("size", [20, 100_000])
def test_a_campaign_goes_out_in_uvloop(tmp_path: Path, size: int, is_encrypted: bool) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    tls: dict[str, Any] = {"use_tls": True, "trusted_certificate": authority.cert_pem.bytes().decode()}
    with running_peer(tmp_path, starttls=context if is_encrypted else None) as peer:
        make_server(peer.port, **(tls if is_encrypted else {}))
        mailing = make_mailing(
            make_list(60), html="<p>{{ first_name }}</p>\n" + "<p>Hello, world.</p>\n" * (size // 20)
        )

        sent = event_loop.run(drain(60, clock=timezone.now, idle_seconds=0.0))

        assert sent == figures.counts(mailing.pk)["accepted"] == 60
        assert len({event["rcpt_to"] for event in peer.accepted()}) == 60


def test_a_connection_that_the_loop_breaks_fails_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(self: Wire, transport: asyncio.BaseTransport) -> None:
        raise TypeError("another class")

    monkeypatch.setattr(Wire, "connection_made", broken)

    async def open_one(port: int) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        await connect(endpoint(port, timeout=60.0))

    with running_peer(tmp_path) as peer, pytest.raises(RuntimeError, match="cannot be used"):
        asyncio.run(asyncio.wait_for(open_one(peer.port), 20))


def test_a_loop_runs_a_coroutine_and_returns_its_result() -> None:
    async def stage() -> Stage:
        await asyncio.sleep(0)
        return Stage.DOT

    assert event_loop.run(stage()) is Stage.DOT
