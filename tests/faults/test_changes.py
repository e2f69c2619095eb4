"""Servers that change, vanish and come back while mail goes through them."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from delivery.models import Attempt, Mailing
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain, run_until_finished
from tests.harness.judge import begun_after, judge_account, verify
from tests.peers.conversation import DROP, Reply, Script, late
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def at_dot(number: int, act: Callable[[], object]) -> Script:
    """Do ``act`` once, before the answer to the message of that number; answer slowly from then on."""
    seen: list[int] = []

    def script(event: str, context: dict[str, Any]) -> Reply:
        if event != "dot":
            return None
        seen.append(1)
        if len(seen) == number:
            try:
                act()
            finally:
                connection.close()  # This thread's own.
        return late(0.03, b"250 2.0.0 queued") if len(seen) >= number else None

    return script


def test_an_edit_moves_the_mail_to_the_new_address_within_seconds(tmp_path: Path) -> None:
    moved_at: list[float] = []

    def move() -> None:
        server = SmtpServer.objects.get()
        server.port = new.port
        server.save()
        moved_at.append(time.time())

    with running_peer(tmp_path / "new") as new, running_peer(tmp_path / "old", at_dot(30, move)) as old:
        server = make_server(old.port, max_connections=2)
        mailing = make_mailing(make_list(250))

        run_until_finished(mailing)

        assert begun_after(old.journal.events(), moved_at[0]) == []
        assert new.accepted()
        account = judge_account([mailing.pk], 250, [(server, old.journal.events() + new.journal.events())])
        assert account.problems == {}
        assert account.statuses == {"accepted": 250}


def test_a_new_password_is_used_and_the_old_one_is_not_tried_again(tmp_path: Path) -> None:
    accounts = {"ann": "pencil"}

    def rotate() -> None:
        accounts["ann"] = "brush"
        server = SmtpServer.objects.get()
        server.password = "brush"
        server.save()

    with running_peer(tmp_path, at_dot(20, rotate), accounts=accounts) as peer:
        server = make_server(
            peer.port, username="ann", password="pencil", max_connections=2, messages_per_connection=10
        )
        mailing = make_mailing(make_list(150))

        run_until_finished(mailing)

        server.refresh_from_db()
        assert server.paused_reason == ""
        assert verify(mailing.pk, 150, [(server, peer)]) == {"accepted": 150}


def test_a_campaign_without_any_server_waits_says_so_and_goes_on_by_itself(tmp_path: Path) -> None:
    is_well = threading.Event()

    def refuse(event: str, context: dict[str, Any]) -> Reply:
        return DROP if event == "conn" and not is_well.is_set() else None

    ahead = dt.timedelta(0)

    def clock() -> dt.datetime:
        return timezone.now() + ahead

    with running_peer(tmp_path, refuse) as peer:
        server = make_server(peer.port, "Alpha")
        mailing = make_mailing(make_list(20))

        run_drain(clock=clock)

        mailing.refresh_from_db()
        assert mailing.finished_at is None
        assert "Alpha is paused until" in mailing.waiting_reason
        assert mailing.waiting_until is not None
        tries = len(peer.journal.events("conn"))
        for _ in range(5):
            run_drain(clock=clock)
        assert len(peer.journal.events("conn")) == tries, "it is left alone until then"

        is_well.set()
        ahead = mailing.waiting_until - timezone.now() + dt.timedelta(seconds=1)
        run_drain(clock=clock)

        mailing.refresh_from_db()
        assert mailing.waiting_reason == ""
        assert verify(mailing.pk, 20, [(server, peer)]) == {"accepted": 20}


def test_a_connection_that_the_server_closed_while_it_was_idle_costs_nothing(tmp_path: Path) -> None:
    closed = threading.Event()

    def close_when_idle(event: str, context: dict[str, Any]) -> Reply:
        if event == "answered" and not closed.is_set():
            closed.set()
            return (0.05, DROP)
        return None

    second: list[Mailing] = []

    def queue_another() -> None:
        try:
            deadline = time.monotonic() + 20
            while not peer.journal.events("close") and time.monotonic() < deadline:
                time.sleep(0.02)
            second.append(make_mailing(audience, name="Second"))
        finally:
            connection.close()  # This thread's own.

    with running_peer(tmp_path, close_when_idle) as peer:
        server = make_server(peer.port, max_connections=1)
        audience = make_list(1)
        first = make_mailing(audience)
        thread = threading.Thread(target=queue_another)
        thread.start()

        # The lane is kept until the second one is there.
        run_drain(seconds=20, idle_seconds=4)
        thread.join()
        run_until_finished(second[0])

        account = judge_account([first.pk, second[0].pk], 2, [(server, peer.journal.events())])
        assert account.problems == {}
        assert account.statuses == {"accepted": 2}
        assert set(Attempt.objects.values_list("outcome", flat=True)) == {"accepted"}
        server.refresh_from_db()
        assert server.failures == 0
