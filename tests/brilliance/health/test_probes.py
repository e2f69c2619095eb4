"""The two probes: one says that the process lives, the other whether mail can leave, and why not."""

import datetime as dt
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from brilliance import schema
from brilliance.health import probes
from delivery import clock
from delivery.health import readiness
from delivery.models import Lane, WorkerReport, WorkerSeen
from delivery.outbox import leases
from tests.delivery.making import make_server
from tests.harness.workers import database_url

ROOT = Path(__file__).resolve().parents[3]
GOES_ON = "Mail waits, and goes on by itself as soon as one runs."


def seen(queues: str, ago: float = 0, **fields: Any) -> WorkerReport:
    """Let workers of these queues have been seen and at work so many seconds ago."""
    at = timezone.now() - dt.timedelta(seconds=ago)
    for queue in queues.split():
        WorkerSeen.objects.update_or_create(name=f"{queue} here process 2", defaults={"seen_at": at})
    said = {"host": "mail-1", "queues": queues, "drift": dt.timedelta(), "step": dt.timedelta(), **fields}
    return WorkerReport.objects.update_or_create(name=f"here {queues}", defaults={"seen_at": at, **said})[0]


@pytest.fixture
def workers(db: None) -> None:
    seen("deliver")
    seen("errands")


def readyz() -> tuple[int, dict[str, Any]]:
    probes._answer = None
    answer = Client().get("/readyz")
    return answer.status_code, answer.json()


def reasons() -> dict[str, str]:
    """Return what is not well, and that it makes the answer a 503."""
    status, answer = readyz()
    found = {name: said for name, said in answer.items() if said != "ok" and name != "ready"}
    assert (status, answer["ready"]) == ((503, False) if found else (200, True))
    return found


def test_alive_needs_nothing_but_the_process(django_assert_num_queries: Any, db: None) -> None:
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok")


def test_ready_when_everything_is_there(workers: None) -> None:
    status, answer = readyz()

    assert status == 200
    assert answer == {"ready": True, **dict.fromkeys([*probes.CHECKS, *readiness.CHECKS], "ok")}


def at_length() -> list[str]:
    """Return what people read who may know machines and servers by name."""
    look = readiness.WorkersSeen(timezone.now())
    return readiness.in_words(readiness.ask(look), look, with_names=True)


# --- workers


def test_a_sending_worker_that_is_gone_is_missed_with_the_time_it_was_seen(workers: None) -> None:
    gone = seen("deliver", ago=25)

    at = timezone.localtime(gone.seen_at)
    assert reasons() == {"worker": f"No sending worker has been seen since {at:%H:%M}. {GOES_ON}"}


def test_a_worker_that_was_never_there_is_missed_too(db: None) -> None:
    assert reasons() == {
        "worker": f"No sending worker has been seen yet. {GOES_ON}",
        "errands": "No worker for errands has been seen yet.",
    }


def test_errands_are_missed_by_themselves(workers: None) -> None:
    gone = seen("errands", ago=40)

    at = timezone.localtime(gone.seen_at)
    assert reasons() == {"errands": f"No worker for errands has been seen since {at:%H:%M}."}


def test_one_process_for_both_is_enough(db: None) -> None:
    seen("deliver errands")

    assert reasons() == {}


def test_a_worker_whose_child_hangs_is_told(workers: None) -> None:
    WorkerSeen.objects.filter(name__startswith="deliver").update(seen_at=timezone.now() - dt.timedelta(hours=26))

    assert reasons()["worker"].startswith("The sending workers are there, and none of them has been at work since ")


def test_a_worker_seen_in_the_future_is_no_worker(workers: None) -> None:
    seen("deliver", ago=-3600)

    assert reasons() == {"worker": f"No sending worker has been seen yet. {GOES_ON}"}


# --- machines


def test_a_clock_that_drifts_is_told_and_home_names_it(workers: None) -> None:
    seen("deliver", drift=dt.timedelta(seconds=15))

    assert list(reasons()) == ["clock"]
    assert "mail-1" not in str(readyz())
    assert at_length() == ["The clock of mail-1 is 15 seconds ahead of the database’s."]


def test_four_seconds_are_no_drift(workers: None) -> None:
    seen("deliver", drift=dt.timedelta(seconds=-4))

    assert reasons() == {}


def test_the_drift_of_the_web_process_itself_is_told(workers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "drift", lambda: dt.timedelta(hours=-2))

    assert reasons() == {"clock": "The clock of the web process is 2 hours behind the database’s."}


def test_a_workers_folder_that_is_full_is_told_and_home_names_it(workers: None) -> None:
    seen("deliver", folder_problem="No space left on device")

    assert list(reasons()) == ["folder"]
    assert at_length() == ["The folder DATA_DIR of mail-1 cannot be written: No space left on device."]


def test_what_a_worker_said_counts_for_a_minute(workers: None) -> None:
    WorkerReport.objects.create(
        **{"name": "old", "host": "old", "queues": "deliver", "folder_problem": "Read-only file system"},
        **{"seen_at": timezone.now() - dt.timedelta(seconds=70), "drift": dt.timedelta(), "step": dt.timedelta()},
    )

    assert reasons() == {}


def test_a_folder_the_web_process_cannot_write_in_is_told(workers: None, settings: Any) -> None:
    settings.DATA_DIR = "/proc"

    assert reasons()["folder"].startswith("The web process cannot write in its DATA_DIR: ")


def test_a_lane_that_broke_off_is_told_by_server_and_folder(workers: None) -> None:
    server = make_server(25, "Alpha")
    lease = leases.acquire(server.pk)
    assert lease is not None
    leases.broke_off(server.pk, OSError(28, "No space left on device", "/srv/data/journal/1.now"), timezone.now())

    assert reasons() == {"lanes": "The work for a server broke off."}
    [told] = at_length()
    assert told.startswith("The work for Alpha broke off on ")
    assert told.endswith(": No space left on device (/srv/data/journal/1.now).")

    leases.release(lease)  # It ended well.
    assert reasons() == {}
    assert Lane.objects.get().problem == ""


# --- the database


def test_a_forgotten_migrate_is_told(workers: None) -> None:
    last = MigrationRecorder(connection).migration_qs.filter(app="delivery").order_by("pk").last()
    last.delete()

    assert reasons() == {"migrations": schema.NOT_MIGRATED}


@pytest.mark.parametrize(
    ("app", "name", "sentence"),
    [
        ("campaigns", "0999_of_next_year", "a newer one has migrated (campaigns.0999_of_next_year)"),
        ("delivery", "0001_initial", "made by a Brilliance from before the first release"),
        ("brilliance", "0001_roles", "made by a Brilliance from before the first release"),
    ],
)
def test_a_database_of_another_version_is_refused(app: str, name: str, sentence: str, db: None) -> None:
    assert schema.refusal() == ""

    MigrationRecorder(connection).record_applied(app, name)

    assert sentence in schema.refusal()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import brilliance.wsgi"],
        ["-m", "celery", "-A", "brilliance", "worker", "-Q", "deliver", "-c", "1", "--without-gossip"],
        ["manage.py", "migrate", "--no-input"],
    ],
)
def test_what_works_with_the_database_leaves_it_alone_then(command: list[str]) -> None:
    recorder = MigrationRecorder(connection)
    recorder.record_applied("campaigns", "0999_of_next_year")
    try:
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", *command],
            env={**os.environ, "DATABASE_URL": database_url()},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
        )
    finally:
        recorder.record_unapplied("campaigns", "0999_of_next_year")

    assert ran.returncode in (1, 3)
    assert "a newer one has migrated (campaigns.0999_of_next_year)" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_not_ready_without_a_broker(workers: None, settings: Any) -> None:
    settings.BROKER_URL = "redis://:canary@127.0.0.1:9/0"  # Nobody listens there.

    assert reasons() == {"broker": "The broker does not answer."}
    assert "canary" not in str(readyz())


# --- those who ask


def test_strangers_who_call_often_cost_one_look_a_second(
    workers: None, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setitem(probes.CHECKS, "broker", lambda now: asked.append(now))
    monkeypatch.setattr(probes, "REMEMBERED_SECONDS", 3600.0)
    Client().get("/readyz")

    with django_assert_num_queries(0):
        answers = {Client().get("/readyz").status_code for _ in range(20)}

    assert answers == {200}
    assert len(asked) == 1


def test_a_room_that_adds_a_check_is_asked_and_shown(workers: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(readiness.CHECKS, "moon", lambda look: "The moon is full.")

    assert reasons() == {"moon": "The moon is full."}
    assert at_length() == ["The moon is full."]


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_probes_only_look(address: str, workers: None) -> None:
    assert Client().post(address).status_code == 405
    assert Client().get(address)["Cache-Control"].startswith("max-age=0, no-cache, no-store")
