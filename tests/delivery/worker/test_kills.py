"""SIGKILL in the middle of a campaign: nothing is lost, nobody gets it twice, no quota is exceeded."""

import contextlib
import datetime as dt
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from delivery.health import heartbeats
from delivery.models import Mailing, WorkerSeen
from tests.delivery.making import make_list, make_mailing, make_server
from tests.harness.judge import verify
from tests.harness.workers import Worker
from tests.peers.peer import kill_sender, running_peer

pytestmark = pytest.mark.django_db(transaction=True)

# At the n-th event of its kind, the peer kills the process that talks to it.
KILLS = {
    *(("conn", 3), ("mail", 100), ("rcpt", 200), ("data", 300), ("body", 400), ("dot", 500), ("answered", 600)),
    ("a little later", 700),
}


def test_a_campaign_of_900_survives_the_killing_of_its_worker(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    done: list[str] = []

    def kill(event: str, context: dict[str, Any]) -> None:
        seen[event] += 1
        if (event, seen[event]) in KILLS:
            kill_sender(context)
            done.append(event)
        if event == "answered" and ("a little later", seen[event]) in KILLS:
            time.sleep(0.05)
            done.append("a little later")
            with contextlib.suppress(LookupError):  # It may have ended by itself.
                kill_sender(context)

    with running_peer(tmp_path, kill) as first, running_peer(tmp_path, kill) as second:
        small = make_server(first.port, "Small", max_per_month=400, display_order=1)
        large = make_server(second.port, "Large", max_per_month=5000, display_order=2)
        mailing = make_mailing(make_list(900))
        worker = Worker(tmp_path / "data")
        try:
            deadline = time.monotonic() + 240
            while Mailing.objects.get(pk=mailing.pk).finished_at is None:
                assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
                if len(done) == 3 and worker.is_running and "whole" not in done:
                    worker.kill()  # The main process and beat, too.
                    done.append("whole")
                    worker = Worker(tmp_path / "data")
                time.sleep(0.2)
        finally:
            worker.stop()

        statuses = verify(mailing.pk, 900, [(small, first), (large, second)])

    assert sorted(done) == sorted({*(event for event, _ in KILLS), "whole"})
    # At most what was on the wire of three connections at each kill.
    assert statuses["unconfirmed"] <= 3 * 9
    assert statuses["accepted"] + statuses["unconfirmed"] == 900


@pytest.mark.parametrize("is_beat", [False, True])
def test_a_worker_goes_on_and_ends_when_asked_though_a_waiting_child_was_killed(tmp_path: Path, is_beat: bool) -> None:
    worker = Worker(tmp_path / "data")
    try:
        _wait_until_at_work(timezone.now(), worker)
        time.sleep(0.5)
        [child] = (pid for pid in worker.children() if (pid == _last_at_work()) != is_beat)
        os.kill(child, signal.SIGKILL)
        # What was on its way then is done by now; what comes later takes both of them.
        _wait_until_at_work(timezone.now() + dt.timedelta(seconds=5), worker)
    finally:
        code = worker.stop()
    assert code == 0


def test_a_worker_ends_when_asked_though_its_child_was_just_given_a_task(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "data")
    try:
        _wait_until_at_work(timezone.now(), worker)
        child = _last_at_work()
        os.kill(child, signal.SIGSTOP)
        time.sleep(3)  # Beat rings every second, so a task waits in the child's pipe.
        threading.Timer(2, os.kill, (child, signal.SIGCONT)).start()
    finally:
        code = worker.stop(12)
    assert code == 0


def _wait_until_at_work(instant: dt.datetime, worker: Worker) -> None:
    deadline = time.monotonic() + 60
    while not WorkerSeen.objects.filter(name__startswith=heartbeats.ERRANDS, seen_at__gt=instant).exists():
        assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
        time.sleep(0.1)


def _last_at_work() -> int:
    """Return the process that worked last, as it showed itself."""
    return int(WorkerSeen.objects.order_by("seen_at").values_list("name", flat=True).last().rpartition(" ")[2])


def test_a_warm_stop_leaves_nothing_unconfirmed(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        mailing = make_mailing(make_list(600))
        worker = Worker(tmp_path / "data")
        try:
            deadline = time.monotonic() + 120
            while len(peer.journal.events("answer")) < 100:
                assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
                time.sleep(0.05)
        finally:
            code = worker.stop(10)
        assert code == 0
        deadline = time.monotonic() + 120
        worker = Worker(tmp_path / "data")
        try:
            while Mailing.objects.get(pk=mailing.pk).finished_at is None:
                assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
                time.sleep(0.2)
        finally:
            worker.stop()

        statuses = verify(mailing.pk, 600, [(server, peer)])

    assert statuses == {"accepted": 600}
