"""Readiness of the whole product under faults: red within half a minute with the reason, and green again by itself."""

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from delivery.models import WorkerReport
from tests.delivery.making import make_list, make_mailing, make_server
from tests.harness.clocks import WrongClock
from tests.harness.demo import free_ports
from tests.harness.disks import disk_at, fill
from tests.harness.workers import ROOT, Worker, database_url
from tests.peers.peer import running_peer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.faults]

RED_WITHIN = 30


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def wait_for(is_so: Callable[[], bool], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


class Web:
    """The web process, asked from outside."""

    def __init__(self, stack: ExitStack, data_dir: Path) -> None:
        (self.port,) = free_ports(1)
        environment = {
            **os.environ,
            **{"DATA_DIR": str(data_dir), "DATABASE_URL": database_url(), "BROKER_URL": settings.BROKER_URL},
            "BASE_URL": f"http://localhost:{self.port}",
        }
        command = [sys.executable, "-m", "gunicorn", "brilliance.wsgi", "--bind", f"127.0.0.1:{self.port}"]
        process = subprocess.Popen(
            [*command, "--worker-class", "gthread", "--threads", "4", "--worker-tmp-dir", tempfile.gettempdir()],
            cwd=ROOT,
            env=environment,
            start_new_session=True,
        )
        stack.callback(lambda: (process.terminate(), process.wait(20)))
        wait_for(lambda: self.status("/healthz") == 200)

    def status(self, path: str) -> int:
        return self._get(path)[0]

    def reasons(self) -> dict[str, str]:
        """Return what readiness finds wrong."""
        status, body = self._get("/readyz")
        answer = json.loads(body)
        found = {name: said for name, said in answer.items() if said != "ok" and name != "ready"}
        assert (status, answer["ready"]) == ((503, False) if found else (200, True))
        return found

    def turns_red(self, name: str) -> str:
        """Return the reason that is told within the time allowed."""
        wait_for(lambda: name in self.reasons(), RED_WITHIN)
        return self.reasons()[name]

    def turns_green(self) -> None:
        wait_for(lambda: not self.reasons())

    def _get(self, path: str) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()
        except OSError:
            return 0, b"{}"


@pytest.fixture
def small_disk(stack: ExitStack, tmp_path: Path) -> Path:
    """Return a folder on a disk of eight megabytes of its own."""
    return stack.enter_context(disk_at(tmp_path / "small", "8m"))


def start_worker(stack: ExitStack, data_dir: Path, **options: Any) -> Worker:
    worker = Worker(data_dir, **options)
    stack.callback(lambda: worker.is_running and worker.stop())
    return worker


def everything(stack: ExitStack, data_dir: Path) -> tuple[Web, Worker]:
    """Start web and a worker for everything in one folder, and wait until they are ready."""
    web, worker = Web(stack, data_dir), start_worker(stack, data_dir)
    web.turns_green()
    return web, worker


def test_a_full_disk_is_told_and_mail_goes_on_when_there_is_room(stack: ExitStack, small_disk: Path) -> None:
    peer = stack.enter_context(running_peer(small_disk.parent / "peer"))
    make_server(peer.port, "Alpha")
    web, worker = everything(stack, small_disk)
    ballast = fill(small_disk)

    assert "No space left on device" in web.turns_red("folder")
    mailing = make_mailing(make_list(20))
    assert web.status("/healthz") == 200
    ballast.unlink()
    web.turns_green()
    wait_for(lambda: len(peer.accepted()) == 20)
    assert mailing.messages.filter(status="unconfirmed").count() == 0
    assert worker.is_running


def test_a_workers_own_disk_that_cannot_be_written_is_told(stack: ExitStack, small_disk: Path, tmp_path: Path) -> None:
    if settings.BROKER_URL.startswith("brilliance-fs"):
        pytest.skip("needs Redis: the embedded broker is for one folder")
    peer = stack.enter_context(running_peer(tmp_path / "peer"))
    make_server(peer.port, "Alpha")
    web = Web(stack, tmp_path / "web")
    start_worker(stack, tmp_path / "errands", queues="errands", name="errands")
    sender = start_worker(stack, small_disk, queues="deliver", beat=False)
    web.turns_green()
    fill(small_disk)

    assert web.turns_red("folder") == "A worker cannot write in its DATA_DIR."
    make_mailing(make_list(5))
    assert web.turns_red("lanes") == "The work for a server broke off."
    assert sender.is_running
    assert WorkerReport.objects.exclude(folder_problem="").exists()


def test_each_worker_that_is_gone_is_missed(stack: ExitStack, tmp_path: Path) -> None:
    data = tmp_path / "data"
    web = Web(stack, data)
    sender = start_worker(stack, data, queues="deliver", beat=False, name="deliver")
    errands = start_worker(stack, data, queues="errands", name="errands")
    web.turns_green()

    sender.stop()
    assert web.turns_red("worker").startswith("No sending worker has been seen since ")
    start_worker(stack, data, queues="deliver", beat=False, name="again")
    web.turns_green()
    errands.kill()
    assert web.turns_red("errands").startswith("No worker for errands has been seen since ")
    assert "worker" not in web.reasons()


def test_a_forgotten_migrate_is_told(stack: ExitStack, tmp_path: Path) -> None:
    web, _ = everything(stack, tmp_path / "data")
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied("feedback", "0001_first_release")
    try:
        assert web.turns_red("migrations") == "The database is not migrated. Run: python manage.py migrate"
    finally:
        recorder.record_applied("feedback", "0001_first_release")
    web.turns_green()


@pytest.mark.postgres
def test_a_clock_that_drifts_is_told(stack: ExitStack, tmp_path: Path) -> None:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="brilliance-clock-")))
    wrong = WrongClock(folder)
    web = Web(stack, tmp_path / "data")
    start_worker(stack, tmp_path / "data", **wrong.environment)
    web.turns_green()

    wrong.set(15)

    assert web.turns_red("clock") == "The clock of a machine with workers is wrong, or was set."
