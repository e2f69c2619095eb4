"""Urgent mail does not wait for the next plan."""

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from delivery.models import Message
from delivery.outbox import mailings
from delivery.outbox.transactional import send_single
from delivery.worker import drain
from delivery.worker.bell import Bell
from tests.delivery.making import make_list, make_mailing, make_server
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def single(number: int, now: dt.datetime) -> Message:
    return send_single(to=f"somebody{number}@customers.example", subject="Your password", text="Here.", now=now)


def test_it_rings_once_for_each_message_that_becomes_due() -> None:
    make_server(9)
    now, later = timezone.now(), timezone.now() + dt.timedelta(minutes=5)
    bell = Bell()
    make_mailing(make_list(3))

    assert not bell.rings(now), "a campaign is not urgent"
    first = single(1, now)
    assert bell.rings(now)
    assert not bell.rings(now), "it waits for a server"
    single(2, now)
    assert bell.rings(now)
    Message.objects.filter(pk=first.pk).update(status="deferred", due_at=later)
    assert not bell.rings(now)
    assert bell.rings(later)
    mailings.pause(first.mailing_id)
    assert not bell.rings(later)


def test_a_message_goes_out_while_the_next_plan_is_far_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drain, "PLAN_SECONDS", 3600.0)

    def slowly(event: str, context: dict[str, object]) -> tuple[float, bytes] | None:
        return (0.05, b"250 2.0.0 ok\r\n") if event == "message" else None

    with running_peer(tmp_path, slowly) as peer:  # type: ignore[arg-type]
        make_server(peer.port, max_connections=2)
        make_mailing(make_list(100))

        def submit() -> None:
            single(1, timezone.now())
            connection.close()  # This thread's own.

        async def submit_and_drain() -> int:
            draining = asyncio.create_task(drain.drain(120, clock=timezone.now, idle_seconds=0.0))
            while len(peer.accepted()) < 5:
                await asyncio.sleep(0.02)
            await asyncio.to_thread(submit)
            return await draining

        accepted = asyncio.run(asyncio.wait_for(submit_and_drain(), 100))

    order = [event["rcpt_to"] for event in peer.accepted()]
    assert accepted == len(order) == 101
    assert order.index("somebody1@customers.example") < 100, "it did not wait until the campaign was over"
