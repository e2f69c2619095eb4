"""Web processes and whoever gathers are killed at random while people click: no answered click is lost or doubled."""

import contextlib
import datetime as dt
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models import Sum

from feedback.models import FirstVisit, PendingVisit, VisitCount
from feedback.visits.gather import gather_for_a_while
from feedback.visits.spool import spool_folder
from feedback.visits.verdicts import judge_for_a_while
from tests.feedback.visits.making import CHROME, allow, click_of, link_of, message_to, open_of, tracked_mailing
from tests.harness.workers import database_url

ROOT = Path(__file__).resolve().parents[3]
GATHERER = """
import datetime as dt, os, django
django.setup()
from feedback.visits import gather, verdicts
from feedback.visits.spool import spool_folder
gather.SLICE_LINES = verdicts.SLICE_ROWS = 7
while True:
    gather.gather_for_a_while(spool_folder(), lambda: dt.datetime.now(dt.UTC), 5)
    verdicts.judge_for_a_while(lambda: dt.datetime.now(dt.UTC) + dt.timedelta(minutes=6), 5)
"""


class People:
    """Threads that open and click, each over one connection until it breaks."""

    def __init__(self, port: int, paths: list[str], pause_seconds: float) -> None:
        self.port, self.paths, self.pause_seconds = port, paths, pause_seconds
        self.asked = self.answered = 0
        self._lock = threading.Lock()
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._go, args=(number,)) for number in range(4)]

    def __enter__(self) -> "People":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _go(self, seed: int) -> None:
        chosen = random.Random(seed)
        while not self._is_over.is_set():
            # Nobody gives up while new processes start: only a kill leaves a request without its answer.
            client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            with contextlib.closing(client), contextlib.suppress(OSError, http.client.HTTPException):
                while not self._is_over.is_set():
                    with self._lock:
                        self.asked += 1
                    client.request("GET", chosen.choice(self.paths), headers={"User-Agent": CHROME})
                    answer = client.getresponse()
                    answer.read()
                    assert answer.status in (200, 302)
                    with self._lock:
                        self.answered += 1
                    self._is_over.wait(self.pause_seconds)


@pytest.fixture
def environment(transactional_db: None, saved_settings: None, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "brilliance.settings",
        "TOKEN_KEYS": ",".join(settings.TOKEN_KEYS),
        "PYTHONPATH": str(ROOT),
    }


@contextlib.contextmanager
def web(environment: dict[str, str]) -> Iterator[tuple[int, "subprocess.Popen[bytes]"]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--worker-class", "gthread", "--workers", "2", "--threads", "8", "--no-control-socket"]
    command = [sys.executable, "-m", "gunicorn", "brilliance.wsgi", "--bind", f"127.0.0.1:{port}", *options]
    named = {**environment, "BASE_URL": f"http://localhost:{port}"}
    process = subprocess.Popen(command, cwd=ROOT, env=named, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while len(children_of(process.pid)) < 2 or not is_up(port):
            assert time.monotonic() < deadline, "the web processes did not start"
            time.sleep(0.1)
        yield port, process
    finally:
        workers = children_of(process.pid)
        process.kill()
        process.wait()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def is_up(port: int) -> bool:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    with contextlib.closing(client), contextlib.suppress(OSError):
        client.request("GET", "/healthz")
        return client.getresponse().status == 200
    return False


def children_of(pid: int) -> list[int]:
    """Return the processes that run under another one. Those that ended and wait for it are left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, *_ = path.read_text().rpartition(")")[2].split()
            if int(parent) == pid and state != "Z":
                found.append(int(path.parent.name))
    return found


def kill_one_of(workers: list[int], chosen: random.Random) -> bool:
    """Kill a web process; False if none was left to be killed."""
    if not workers:
        return False
    try:
        os.kill(chosen.choice(workers), signal.SIGKILL)
    except ProcessLookupError:  # It ended after it was listed, and gunicorn has taken notice.
        return False
    return True


@pytest.mark.parametrize(
    ("seconds", "people_asked", "most_between", "pause_seconds"),
    [
        pytest.param(0, 30, 200, 0, id="short"),
        # About 200 requests a second, as beside a campaign, and a kill every few seconds.
        pytest.param(300, 300, 1_000, 0.02, id="long", marks=pytest.mark.faults),
    ],
)
@pytest.mark.timeout(900)
def test_nothing_answered_is_lost_or_doubled_by_kills(
    environment: dict[str, str], seconds: float, people_asked: int, most_between: int, pause_seconds: float
) -> None:
    allow()
    mailing = tracked_mailing()
    code = link_of(mailing)
    messages = [message_to(mailing, f"{number}@example.net") for number in range(people_asked)]
    paths = [click_of(message, code) for message in messages] + [open_of(message) for message in messages]
    chosen, web_kills, gatherer_kills = random.Random(4711), 0, 0

    with (
        web(environment) as (port, master),
        contextlib.ExitStack() as stack,
        People(port, paths, pause_seconds) as people,
    ):
        gatherer = start_gatherer(environment, stack)
        began = time.monotonic()
        deadline = began + seconds + 90
        while web_kills + gatherer_kills < 12 or people.answered < 500 or time.monotonic() < began + seconds:
            assert time.monotonic() < deadline, (web_kills, gatherer_kills, people.answered)
            before = people.answered
            while people.answered < before + chosen.randint(5, most_between) and time.monotonic() < deadline:
                time.sleep(0.01)
            if (web_kills + gatherer_kills) % 3 == 2:
                gatherer.kill()
                gatherer.wait()
                gatherer = start_gatherer(environment, stack)
                gatherer_kills += 1
            else:
                web_kills += kill_one_of(children_of(master.pid), chosen)

    deadline = time.monotonic() + seconds + 60
    while list(spool_folder().glob("events-*")):  # The kernel takes the locks of the last ones in a moment.
        assert time.monotonic() < deadline, "a file was not gathered"
        gather_for_a_while(spool_folder(), lambda: dt.datetime.now(dt.UTC), 60)
    judge_for_a_while(lambda: dt.datetime.now(dt.UTC) + dt.timedelta(minutes=6), seconds + 60)
    counts = VisitCount.objects.filter(link_id=0).aggregate(loads=Sum("loads"), people=Sum("people"))
    print(f"{web_kills} web processes and {gatherer_kills} gatherers killed, {people.asked} asked,")
    print(f"{people.answered} answered, {counts['loads']} counted, {counts['people']} of them first visits")
    assert not PendingVisit.objects.filter(is_judged=False).exists()
    # A request whose answer was killed may have been counted, and no other one.
    assert people.answered <= counts["loads"] <= people.asked
    assert people.asked - people.answered <= 4 * (web_kills + 1)
    # Each first visit is noted and counted in one transaction.
    assert counts["people"] == FirstVisit.objects.filter(link_id=0).count() > 0


def start_gatherer(environment: dict[str, str], stack: contextlib.ExitStack) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", GATHERER], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.kill)
    return process


def test_a_web_process_that_ended_by_itself_is_not_counted_as_killed() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    listed = children_of(os.getpid())
    ended.wait()

    assert ended.pid not in listed
    assert not kill_one_of([ended.pid], random.Random(1))
