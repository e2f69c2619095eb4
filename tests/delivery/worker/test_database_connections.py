"""A drain whose connections to PostgreSQL break one by one: the account stays exact, and no connection is left open."""

import datetime as dt
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from delivery.models import Lane, Mailing
from delivery.outcomes import recovery, results
from delivery.outcomes.result import Result
from smtpservers.models import Route, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.harness.judge import verify
from tests.peers.peer import Peer, running_peer

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

PEOPLE = 300
SILENT = "the database does not answer"


@pytest.fixture(autouse=True)
def short_lease(settings: Any) -> None:
    settings.LEASE_SECONDS = 3


def connections_of(name: str) -> list[int]:
    """Return the PostgreSQL processes that serve the drain's connections with this pattern of a name."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = CURRENT_DATABASE() AND application_name LIKE %s",
            [f"brilliance {name}"],
        )
        return [pid for (pid,) in cursor.fetchall()]


def others() -> int:
    """Return how many connections to this database there are beside this one."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = CURRENT_DATABASE()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return int(cursor.fetchone()[0])


@contextmanager
def none_left() -> Iterator[None]:
    """Check that no connection is left open behind the block."""
    before = others()
    yield
    deadline = time.monotonic() + 10
    while others() > before:  # PostgreSQL needs a moment to end the processes of closed connections.
        assert time.monotonic() < deadline, f"{others() - before} connections are left"
        time.sleep(0.05)


@contextmanager
def two_servers(path: Path, slowly: Callable[[], object]) -> Iterator[list[tuple[SmtpServer, Peer]]]:
    """Run two peers that share a campaign, and do ``slowly`` before each answer."""

    def script(event: str, context: dict[str, Any]) -> None:
        if event == "dot":
            slowly()

    Route.objects.update_or_create(is_default=True, defaults={"name": "Default", "strategy": "weighted"})
    with running_peer(path / "a", script) as first, running_peer(path / "b", script) as second:
        yield [
            (make_server(first.port, "First", max_per_month=PEOPLE), first),
            (make_server(second.port, "Second", max_per_month=PEOPLE), second),
        ]


def finish(mailing: Mailing, servers: list[tuple[SmtpServer, Peer]]) -> Counter[str]:
    """Send the rest as other workers would, and return the statuses of an account without a fault."""
    deadline = time.monotonic() + 60
    while mailing.finished_at is None:
        assert time.monotonic() < deadline
        recovery.sweep(timezone.now())
        run_drain()
        mailing.refresh_from_db()
    return verify(mailing.pk, PEOPLE, servers)


@pytest.mark.parametrize("name", ["database", "records", "leases"])
def test_a_connection_that_the_server_ends_costs_one_error_and_no_message(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[int] = []
    lock = threading.Lock()

    def break_once() -> None:
        time.sleep(0.02)  # So that there is a middle.
        with lock:
            if not ended and len(connections_of("%")) == 3:
                [process] = connections_of(name)
                ended.append(process)
                with connection.cursor() as cursor:
                    cursor.execute("SELECT pg_terminate_backend(%s)", [process])
            connection.close()  # This thread's own.

    with two_servers(tmp_path, break_once) as servers:
        mailing = make_mailing(make_list(PEOPLE))
        with none_left():
            run_drain()
        errors = [message for message in caplog.messages if SILENT in message]
        statuses = finish(mailing, servers)

    assert ended
    assert len(errors) == 1
    assert statuses == {"accepted": PEOPLE}


@pytest.mark.parametrize("moment", ["before", "within", "after"])
def test_results_whose_connection_breaks_are_recorded_once_and_other_lanes_go_on(
    tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    is_broken = threading.Event()
    record, settle = results.record, results.settle
    groups: Counter[int] = Counter()  # By server.

    def break_at(now: str, server_id: int) -> None:
        if now == moment and server_id == servers[0][0].pk and groups[server_id] == 2 and not is_broken.is_set():
            is_broken.set()
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    def recorded(token: uuid.UUID, group: Sequence[Result], now: dt.datetime) -> bool:
        server_id = group[0].server_id
        groups[server_id] += 1
        break_at("before", server_id)
        is_recorded = record(token, group, now)
        break_at("after", server_id)  # PostgreSQL has the results, and the worker does not know.
        return is_recorded

    def settled(group: Sequence[Result], now: dt.datetime, **how: bool) -> None:
        settle(group, now, **how)
        break_at("within", group[0].server_id)

    monkeypatch.setattr(results, "record", recorded)
    monkeypatch.setattr(results, "settle", settled)
    with two_servers(tmp_path, lambda: time.sleep(0.02)) as servers:
        mailing = make_mailing(make_list(PEOPLE))
        with none_left():
            run_drain()
        held = list(Lane.objects.exclude(holder="").values_list("server__name", flat=True))
        errors = [message for message in caplog.messages if SILENT in message]
        statuses = finish(mailing, servers)

    assert is_broken.is_set()
    assert held == ["First"]
    assert len(errors) == 1
    assert statuses == {"accepted": PEOPLE}
