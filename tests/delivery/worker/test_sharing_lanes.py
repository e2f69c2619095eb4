"""How worker processes share the lanes of a fleet."""

import time
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from delivery.models import WorkerSeen
from delivery.outbox import claims, leases
from delivery.records import figures
from delivery.worker import drain
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("others", "most"), [(0, 4), (1, 2), (3, 1)])
def test_a_worker_takes_its_fair_share_of_the_lanes_and_no_more(tmp_path: Path, others: int, most: int) -> None:
    held: list[int] = []

    def count(event: str, context: dict[str, Any]) -> None:
        if event == "mail":
            held.append(len(leases.busy_servers()))
            connection.close()  # This thread's own.

    with running_peer(tmp_path, count) as peer:
        for number in range(others):
            WorkerSeen.objects.create(name=f"deliver elsewhere process {number}", seen_at=timezone.now())
        mailings = [
            make_mailing(make_list(8, name=f"List {number}"), server=make_server(peer.port, f"Server {number}"))
            for number in range(4)
        ]

        run_drain()

        assert max(held) == most
        assert {mailing.messages.get(email__startswith="person0.").status for mailing in mailings} == {"accepted"}
        assert len(peer.accepted()) == 4 * 8


@pytest.mark.parametrize("seconds", [30, 0.5])
def test_a_server_that_is_long_in_answering_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Neither in the middle of a drain nor when its time is over."""
    monkeypatch.setattr(drain, "LATE_SECONDS", 0.1)
    is_other_sent, was_other_sent = Event(), Event()

    def tell(event: str, context: dict[str, Any]) -> None:
        if event == "answered":
            is_other_sent.set()

    def answer_late(event: str, context: dict[str, Any]) -> None:
        if event != "dot":
            return
        if seconds < 1:
            Event().wait(2 * seconds)  # Until no more is claimed.
        make_mailing(make_list(1, name="Other"), server=make_server(other.port, "Other"))
        connection.close()  # This thread's own.
        if is_other_sent.wait(20):
            was_other_sent.set()

    with running_peer(tmp_path / "slow", answer_late) as slow, running_peer(tmp_path / "other", tell) as other:
        mailing = make_mailing(make_list(1), server=make_server(slow.port, "Slow", timeout_seconds=60))

        run_drain(seconds)

        assert was_other_sent.is_set()
        assert [message.status for message in mailing.messages.all()] == ["accepted"]


def test_one_late_answer_holds_up_no_other_message_of_its_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the time of the drain is over: it goes on, and so does the lane."""
    monkeypatch.setattr(drain, "LATE_SECONDS", 0.1)
    seen: list[str] = []
    is_late, is_all_sent, was_all_sent = Event(), Event(), Event()

    def script(event: str, context: dict[str, Any]) -> None:
        if event == "dot" and not is_late.is_set():
            is_late.set()
            Event().wait(1)  # Until no more is claimed.
            make_mailing(make_list(20, name="More"))
            connection.close()  # This thread's own.
            if is_all_sent.wait(20):
                was_all_sent.set()
        elif event == "answered":
            seen.append(event)
            if len(seen) == 20 + 5 - 2:  # One is late, and one rides behind it.
                is_all_sent.set()

    with running_peer(tmp_path, script) as peer:
        make_server(peer.port, timeout_seconds=60, max_connections=3)
        make_mailing(make_list(5))

        run_drain(0.5)

        assert was_all_sent.is_set()
        assert len(peer.accepted()) == 25


@pytest.mark.postgres
def test_a_process_that_is_stopped_in_a_transaction_does_not_hold_up_the_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("20s",)


def test_a_lease_does_not_run_out_while_the_database_is_busy_with_other_lanes(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claim_late(*given: Any) -> Any:
        time.sleep(3)
        return claim(*given)

    settings.LEASE_SECONDS = 2
    claim = claims.claim
    monkeypatch.setattr(claims, "claim", claim_late)
    with running_peer(tmp_path) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(5))

        run_drain()

        assert figures.counts(mailing.pk)["accepted"] == 5
