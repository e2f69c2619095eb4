"""Clocks that are wrong, for one process and for all with the database: what is due goes on, and nothing goes early."""

import datetime as dt
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from campaigns.models import Campaign
from delivery.health import readiness, vitals
from delivery.models import ClockMark, Mailing, Message, WorkerReport
from delivery.outbox import mailings
from smtpservers.models import QuotaPeriod
from tests.delivery.making import make_list, make_mailing, make_server
from tests.harness.clocks import WrongClock
from tests.harness.services import own_postgres
from tests.harness.workers import Worker
from tests.peers.peer import Peer, running_peer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

HOUR, DAY = 3600, 86_400
CHANGES = (-HOUR, -DAY, 15, DAY)
PATIENCE = 60  # Seconds after a change within which what is due has gone on.


@pytest.fixture
def wrong(tmp_path: Path) -> Iterator[WrongClock]:
    with tempfile.TemporaryDirectory(prefix="brilliance-clock-") as folder:  # pytest's are closed to other users.
        Path(folder).chmod(0o755)
        yield WrongClock(Path(folder))


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    with ExitStack() as stack:

        def start(**options: Any) -> Worker:
            worker = Worker(tmp_path / "data", **options)
            stack.callback(lambda: worker.is_running and worker.stop())
            return worker

        yield start


def wait_for(is_so: Callable[[], bool], worker: Worker, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
        time.sleep(0.1)


def at_work(worker: Worker, number: int) -> None:
    """Wait until so many workers have been seen and sent their first mail."""
    wait_for(lambda: WorkerReport.objects.count() >= number, worker, 120)


def sends(peer: Peer, worker: Worker, name: str) -> None:
    """Expect that a mailing which is due now leaves within the time allowed."""
    before = len(peer.accepted())
    make_mailing(make_list(5, name), name=name)
    wait_for(lambda: len(peer.accepted()) == before + 5, worker)


def noticed(worker: Worker, change: int) -> None:
    """Wait until the errands and the watch noticed the change: of two within a moment only the sum is."""

    def is_there() -> bool:
        marks = [
            ClockMark.objects.values_list("reached_at", flat=True).first(),
            WorkerReport.objects.values_list("seen_at", flat=True).first(),
        ]
        return all(at and abs((at - timezone.now()).total_seconds() - change) < 5 for at in marks)

    wait_for(is_there, worker)


def deferred(name: str) -> Mailing:
    """Return a paused mailing one message of which is due, outside its chunk."""
    mailing = make_mailing(make_list(1, name), name=name)
    mailings.pause(mailing.pk)
    mailing.chunks.all().delete()
    return mailing


def test_all_clocks_are_set_and_mail_goes_on(tmp_path: Path, wrong: WrongClock, running: Callable[..., Worker]) -> None:
    """On SQLite these are the workers; on PostgreSQL a cluster of the test's own as well."""
    with ExitStack() as stack:
        if connection.vendor == "postgresql":
            stack.enter_context(own_postgres(**wrong.environment))
        peer = stack.enter_context(running_peer(tmp_path / "peer"))
        make_server(peer.port)
        worker = running(**wrong.environment)
        stack.callback(worker.stop)  # Before its database.
        at_work(worker, 1)
        sends(peer, worker, "before")
        noticed(worker, 0)
        for change in CHANGES:
            was_due = deferred(f"due before {change}")
            was_due.messages.update(due_at=timezone.now() - dt.timedelta(seconds=1))
            wrong.set(change)
            sends(peer, worker, f"after {change}")
            before = len(peer.accepted())
            mailings.resume(was_due.pk)
            wait_for(lambda before=before: len(peer.accepted()) == before + 1, worker)
            noticed(worker, change)
            wrong.set(0)
            sends(peer, worker, f"back from {change}")
            noticed(worker, 0)

        told = worker.log.read_text()
        assert "The clock of this machine was set back by 1 hour" in told
        assert "The clock of this machine was set ahead by 1 day" in told
        sent_to = [event["rcpt_to"] for event in peer.accepted()]
        assert len(sent_to) == len(set(sent_to))


@pytest.mark.postgres
@pytest.mark.parametrize("who", ["deliver", "errands"])
def test_one_wrong_clock_holds_nothing_up_and_lets_nothing_go_early(
    tmp_path: Path, wrong: WrongClock, running: Callable[..., Worker], who: str
) -> None:
    with running_peer(tmp_path / "peer") as peer, running_peer(tmp_path / "full") as small:
        open_server = make_server(peer.port)
        environment = {queue: wrong.environment if queue == who else {} for queue in ("deliver", "errands")}
        sender = running(queues="deliver", beat=False, name="deliver", **environment["deliver"])
        running(queues="errands", name="errands", **environment["errands"])
        at_work(sender, 2)

        now = timezone.now()
        tomorrow = (now + dt.timedelta(days=1)).day
        full = make_server(small.port, "Full", max_per_month=5, month_start_day=tomorrow, time_zone="UTC")
        used_up = make_mailing(make_list(20, "over quota"), name="over quota", server=full)
        wait_for(lambda: len(small.accepted()) == 5, sender)
        early = Campaign.objects.create(name="Later", subject="Later", text="x", status="scheduled")
        Campaign.objects.filter(pk=early.pk).update(starts_at=now + dt.timedelta(hours=2))
        not_due = make_mailing(make_list(1, "not due"), name="not due", server=open_server)
        not_due.chunks.all().delete()
        not_due.messages.update(due_at=now + dt.timedelta(hours=2), status="deferred")
        for change in CHANGES:
            wrong.set(change)
            sends(peer, sender, f"after {change}")
            wait_for(lambda: readiness.ask(readiness.WorkersSeen(timezone.now()))["clock"] is not None, sender, 30)
            assert vitals.clock_problems(vitals.recent_reports(timezone.now())) != []
            wrong.set(0)
            sends(peer, sender, f"back from {change}")

        assert len(small.accepted()) == QuotaPeriod.objects.get(server=full).used == 5
        assert used_up.messages.filter(status="queued").count() == 15
        early.refresh_from_db()
        assert (early.status, early.is_overdue, early.mailing) == ("scheduled", False, None)
        assert not_due.messages.get().status == "deferred"
        assert not Message.objects.filter(status__in=["unconfirmed", "failed", "expired"]).exists()
