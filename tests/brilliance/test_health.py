"""The two probes: one says that the process lives, the other whether mail can leave."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from delivery.models import WorkerSeen


@pytest.fixture
def worker(db: None) -> WorkerSeen:
    return WorkerSeen.objects.create(name="deliver here", seen_at=timezone.now())


def readyz() -> tuple[int, dict[str, Any]]:
    answer = Client().get("/readyz")
    return answer.status_code, answer.json()


def test_alive_needs_nothing_but_the_process(django_assert_num_queries: Any, db: None) -> None:
    with django_assert_num_queries(0):
        answer = Client().get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok")


def test_ready_when_database_broker_and_worker_are_there(worker: WorkerSeen) -> None:
    assert readyz() == (200, {"ready": True, "database": "ok", "broker": "ok", "worker": "ok", "copy": "ok"})


def test_not_ready_without_a_worker_that_sends(worker: WorkerSeen) -> None:
    WorkerSeen.objects.update(seen_at=timezone.now() - dt.timedelta(minutes=2))
    WorkerSeen.objects.create(name="errands here", seen_at=timezone.now())

    status, answer = readyz()

    assert (status, answer["ready"], answer["worker"]) == (503, False, "No worker has been seen lately.")


def test_not_ready_without_a_broker(worker: WorkerSeen, settings: Any) -> None:
    settings.BROKER_URL = "redis://:canary@127.0.0.1:9/0"  # Nobody listens there.

    status, answer = readyz()

    assert (status, answer["broker"], answer["database"]) == (503, "The broker does not answer.", "ok")
    assert "canary" not in str(answer)


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_probes_only_look(address: str, worker: WorkerSeen) -> None:
    assert Client().post(address).status_code == 405
    assert Client().get(address)["Cache-Control"].startswith("max-age=0, no-cache, no-store")
