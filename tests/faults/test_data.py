"""Quotas that everybody fights for, campaigns that are stopped and resumed all the time, and content that breaks."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from delivery.models import Mailing, Message
from delivery.outbox import mailings
from smtpservers.models import QuotaPeriod
from tests.delivery.making import make_list, make_mailing, make_server, run_drain, run_until_finished
from tests.harness.children import Child
from tests.harness.judge import begun_after, judge_account, verify
from tests.peers.conversation import late
from tests.peers.misbehaving import at
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def test_four_workers_empty_ten_small_quotas_to_the_last_unit(tmp_path: Path) -> None:
    with running_peer(tmp_path, at("dot", late(0.01, b"250 2.0.0 queued"))) as peer:
        servers = [
            make_server(peer.port, f"Server {number}", max_per_month=7, mail_from=f"news@shop{number}.example")
            for number in range(10)
        ]
        mailing = make_mailing(make_list(100))

        drains = [Child(lambda: run_drain(25, idle_seconds=1)) for _ in range(4)]
        ends = [drain.wait() for drain in drains]

        assert [code for code, _ in ends] == [0] * 4, ends
        assert len(peer.accepted()) == len({event["rcpt_to"] for event in peer.accepted()}) == 70
        assert {event["mail_from"].partition("@")[2] for event in peer.accepted()} == {
            f"shop{number}.example" for number in range(10)
        }
        for server in servers:
            period = QuotaPeriod.objects.get(server=server)
            assert (period.used, period.reserved) == (7, 0)
        assert Message.objects.filter(mailing=mailing, status="accepted").count() == 70
        assert Message.objects.filter(mailing=mailing, status="queued").count() == 30


def test_a_campaign_that_is_paused_and_resumed_all_the_time_sends_each_message_once(tmp_path: Path) -> None:
    is_over = threading.Event()

    def fidget() -> None:
        try:
            while not is_over.wait(0.1):
                mailings.pause(mailing.pk)
                is_over.wait(0.1)
                mailings.resume(mailing.pk)
        finally:
            connection.close()  # This thread's own.

    with running_peer(tmp_path, at("dot", late(0.005, b"250 2.0.0 queued"))) as peer:
        server = make_server(peer.port)
        mailing = make_mailing(make_list(400))
        thread = threading.Thread(target=fidget)
        thread.start()
        try:
            for _ in range(5):
                run_drain(seconds=1)
        finally:
            is_over.set()
            thread.join()
        mailings.resume(mailing.pk)
        run_until_finished(mailing)

        statuses = verify(mailing.pk, 400, [(server, peer)])
        assert statuses == {"accepted": 400}


def test_a_campaign_that_is_cancelled_between_pauses_sends_nothing_more(tmp_path: Path) -> None:
    cancelled_at: list[float] = []

    def cancel(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "dot" and not cancelled_at and len(peer.accepted()) >= 30:
            try:
                for act in (mailings.pause, mailings.resume, mailings.pause, mailings.resume):
                    act(mailing.pk)
                mailings.cancel(mailing.pk, timezone.now())
            finally:
                connection.close()  # This thread's own.
            cancelled_at.append(time.time())
        if event == "dot":
            time.sleep(0.02)
        return None

    with running_peer(tmp_path, cancel) as peer:
        server = make_server(peer.port)
        mailing = make_mailing(make_list(2000))

        run_drain(seconds=8)

        assert cancelled_at
        assert begun_after(peer.journal.events(), cancelled_at[0]) == []
        account = judge_account([mailing.pk], 2000, [(server, peer.journal.events())])
        assert account.problems == {}
        assert account.statuses["accepted"] + account.statuses["cancelled"] == 2000
        assert account.statuses["cancelled"] > 1000
        assert not mailings.resume(mailing.pk)


@pytest.mark.parametrize(
    "poison",
    [
        "{% for a in (1..100000) %}{% for b in (1..100000) %}x{% endfor %}{% endfor %}",
        "{{ first_name | append: first_name | divided_by: 0 }}",
        "{% if first_name %}" * 3_000,
        "<div>" * 20_000,
        "x" * 3_000_000,
    ],
    ids=["endless loops", "a division by nothing", "endless ifs", "endless depth", "three megabytes"],
)
def test_content_that_breaks_ends_its_own_mailing_and_no_other(tmp_path: Path, poison: str) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        audience = make_list(4)
        broken = make_mailing(audience, name="Broken", html=f"<p>{poison}</p>")
        sound = make_mailing(audience, name="Sound")

        deadline = time.monotonic() + 60
        while Mailing.objects.filter(finished_at=None).exists():
            assert time.monotonic() < deadline, list(Message.objects.values_list("status", "reason"))
            run_drain()

        account = judge_account([broken.pk, sound.pk], 8, [(server, peer.journal.events())])
        assert account.problems == {}
        assert set(sound.messages.values_list("status", flat=True)) == {"accepted"}
        ends = set(broken.messages.values_list("status", "attempt_count"))
        assert ends in ({("failed", 1)}, {("accepted", 1)}), list(broken.messages.values_list("status", "reason"))
