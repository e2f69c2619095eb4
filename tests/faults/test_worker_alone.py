"""A sending worker on a machine without errands: killed and started again, it settles its own journals."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from delivery.models import Batch, Message
from tests.delivery.making import make_list, make_mailing, make_server
from tests.faults.test_processes import hint
from tests.harness.judge import verify
from tests.harness.workers import Worker
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def wait_until(is_so: Callable[[], bool], worker: Worker, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
        time.sleep(0.1)


def test_it_sends_all_that_was_not_begun_when_it_was_killed(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        mailing = make_mailing(make_list(900))
        worker = Worker(tmp_path / "data", queues="deliver", beat=False)
        hint(tmp_path / "data", 1)
        wait_until(lambda: len(peer.journal.events("answer")) >= 60, worker)
        worker.kill()
        claimed = sum(Batch.objects.values_list("open_count", flat=True))

        worker = Worker(tmp_path / "data", queues="deliver", beat=False)
        try:
            wait_until(lambda: not Batch.objects.filter(Batch.OPEN).exists(), worker)  # Nobody rings meanwhile.
            unconfirmed = Message.objects.filter(status="unconfirmed").count()
            hint(tmp_path / "data", 1)
            wait_until(lambda: not Message.objects.filter(status__in=Message.PENDING).exists(), worker)
        finally:
            worker.stop()

        statuses = verify(mailing.pk, 900, [(server, peer)])

    assert claimed > 50
    assert unconfirmed <= server.max_connections * 3  # What was on the wire of its connections.
    assert statuses["accepted"] + statuses["unconfirmed"] == 900
