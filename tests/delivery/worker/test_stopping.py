"""Stops that take effect in the middle of a campaign, and workers that lost their right to send."""

import datetime as dt
import os
import signal
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from contacts.models import Contact, Subscription, Suppression
from delivery.models import Attempt, Batch, Lane, Mailing, Message
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases, mailings
from delivery.outbox.plan import LaneShare
from delivery.outcomes import recovery, results
from delivery.outcomes.journal import Journal
from delivery.records import figures
from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.harness.judge import verify
from tests.harness.workers import Worker
from tests.peers.conversation import DROP
from tests.peers.peer import Peer, running_peer, sender_of

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # Other connections see its rows.


def at_answer(number: int, act: Callable[[], object]) -> Callable[[str, dict[str, Any]], bytes | None]:
    """Return a script that does ``act`` once, before the answer to the message of that number."""
    seen: list[str] = []

    def script(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "dot":
            seen.append(event)
            if len(seen) == number:
                try:
                    act()
                finally:
                    connection.close()  # This thread's own.
            if len(seen) >= number:
                time.sleep(0.02)  # The peer is slow, so that there is a middle to stop in.
        return None

    return script


def mail_after(peer: Peer, moment: float) -> int:
    return sum(1 for event in peer.journal.events("mail") if event["at"] > moment)


@committed
@pytest.mark.parametrize(
    ("stop", "status"),
    [
        (lambda: mailings.pause(Mailing.objects.get().pk), "queued"),
        (lambda: mailings.cancel(Mailing.objects.get().pk, timezone.now()), "cancelled"),
        (lambda: SmtpServer.objects.update(is_active=False), "queued"),
    ],
    ids=["pause", "cancel", "deactivate"],
)
def test_a_stop_takes_effect_within_five_seconds(tmp_path: Path, stop: Callable[[], object], status: str) -> None:
    stopped_at: list[float] = []

    def act() -> None:
        stop()
        stopped_at.append(time.time())

    with running_peer(tmp_path, at_answer(40, act)) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(2000))

        run_drain(seconds=8)

        assert mail_after(peer, stopped_at[0] + 5) == 0
        counts = figures.counts(mailing.pk)
        assert counts["accepted"] == len(peer.accepted())
        assert counts["accepted"] + counts[status] == 2000, counts
        assert counts[status] > 1000
        assert QuotaPeriod.objects.get().reserved == 0


@committed
def test_a_stop_during_a_slow_connection_keeps_mail_from_leaving(tmp_path: Path) -> None:
    def stop_and_stall(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "conn":
            try:
                mailings.pause(Mailing.objects.get().pk)
            finally:
                connection.close()  # This thread's own.
            time.sleep(2.5)  # The greeting takes longer than the last look is old.
        return None

    with running_peer(tmp_path, stop_and_stall) as peer:
        make_server(peer.port, max_connections=1)
        mailing = make_mailing(make_list(5))

        run_drain(seconds=6)

        assert peer.journal.events("mail") == []
        assert figures.counts(mailing.pk)["queued"] == 5
        assert QuotaPeriod.objects.get().reserved == 0


@committed
def test_a_person_who_leaves_in_the_middle_gets_nothing_more(tmp_path: Path) -> None:
    left_at: list[float] = []

    def leave() -> None:
        Subscription.objects.filter(contact__in=Contact.objects.order_by("-pk")[:500]).update(status="unsubscribed")
        left_at.append(time.time())

    with running_peer(tmp_path, at_answer(40, leave)) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(900))
        last = set(Contact.objects.order_by("-pk").values_list("email", flat=True)[:500])

        run_drain(seconds=60)

        late = [e for e in peer.journal.events("mail", "rcpt") if e["at"] > left_at[0] + 5 and e.get("rcpt_to") in last]
        assert late == []
        assert figures.counts(mailing.pk)["suppressed"] >= 400


def test_the_reason_tells_who_withdrew_from_who_was_taken_off_the_list() -> None:
    make_server(1)
    mailing = make_mailing(make_list(4))
    kept, withdrew, removed, deleted = mailing.messages.order_by("pk")
    Subscription.objects.filter(contact=withdrew.contact).update(status="unsubscribed")
    Subscription.objects.filter(contact=removed.contact).delete()
    assert deleted.contact
    deleted.contact.delete()

    stopped = outbox_claims.stopped([message.pk for message in (kept, withdrew, removed, deleted)], timezone.now())

    gone = ("suppressed", "No longer on a list of this mailing.")
    assert stopped == {withdrew.pk: ("suppressed", "Unsubscribed."), removed.pk: gone, deleted.pk: gone}


def test_the_reason_of_a_suppression_is_said_in_words() -> None:
    people = make_list(1)
    contact = Contact.objects.get()
    Suppression.objects.create(email=contact.email, reason=Suppression.Reason.HARD_BOUNCE)

    mailing = make_mailing(people)

    assert mailing.messages.get().reason == "On the suppression list: hard bounce."


def is_unlocked() -> bool:
    """Whether nobody holds a lock that the sweep or another worker would wait for."""
    is_sqlite = connection.vendor == "sqlite"
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 300" if is_sqlite else "SET lock_timeout = 300")
            with transaction.atomic():
                cursor.execute("UPDATE delivery_lane SET number = number")
                cursor.execute("UPDATE smtpservers_quotaperiod SET used = used")
    except OperationalError:
        return False
    finally:
        connection.close()  # This thread's own.
    return True


@committed
def test_a_worker_stopped_past_its_lease_sends_and_records_nothing_more(tmp_path: Path) -> None:
    stopped: list[int] = []

    def stop(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "mail" and not stopped and len(peer.journal.events("answer")) > 60:
            process = sender_of(context)
            os.kill(process, signal.SIGSTOP)
            if is_unlocked():
                stopped.append(process)
            else:  # Stopped inside a transaction it would hold up everybody, and no lease could help.
                os.kill(process, signal.SIGCONT)
        return None

    with running_peer(tmp_path, stop) as peer:
        server = make_server(peer.port, max_connections=1)
        mailing = make_mailing(make_list(300))
        zombie, worker = Worker(tmp_path / "zombie", beat=False), None
        journals = {"DATA_DIR": str(tmp_path / "zombie")}  # One machine, one folder.
        try:
            worker = Worker(tmp_path / "other", **journals)
            deadline = time.monotonic() + 180
            while Mailing.objects.get(pk=mailing.pk).finished_at is None:
                assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
                time.sleep(0.2)
            before = len(peer.journal.events("dot"))
            os.kill(stopped[0], signal.SIGCONT)
            time.sleep(3)  # What a zombie does wrong, it does at once.
            assert len(peer.journal.events("dot")) == before
        finally:
            if stopped:
                os.kill(stopped[0], signal.SIGCONT)
            zombie.stop()
            if worker:
                worker.stop()

        statuses = verify(mailing.pk, 300, [(server, peer)])

    assert stopped
    assert statuses["accepted"] + statuses["unconfirmed"] == 300


def claimed(server: SmtpServer, mailing: Mailing, number: int) -> tuple[leases.Lease, list[outbox_claims.Claim]]:
    lease = leases.acquire(server.pk)
    assert lease is not None
    claims = outbox_claims.claim(lease.token, server, LaneShare(mailing.pk, "It is first."), number, timezone.now())
    assert claims is not None
    return lease, claims


def expire_lanes() -> None:
    Lane.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))


def test_the_sweep_settles_from_the_journal(tmp_path: Path) -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(3))
    lease, claims = claimed(server, mailing, 3)
    journal = Journal(recovery.journal_folder(), lease.token)
    journal.dot(claims[0].attempt_id)  # Answered.
    journal.answer(claims[0].attempt_id, Stage.DOT, Reply.parse("250 2.0.0 ok"), "")
    journal.dot(claims[1].attempt_id)  # Not answered.
    journal.close()
    expire_lanes()
    now = timezone.now()

    # Its worker may only have lost the lane, and still note an answer.
    recovery.sweep(now + dt.timedelta(seconds=20))
    assert figures.counts(mailing.pk)["sending"] == 3
    recovery.sweep(now + dt.timedelta(seconds=31))

    statuses = [Message.objects.get(pk=claim.message.pk).status for claim in claims]
    assert statuses == ["accepted", "unconfirmed", "queued"]
    period = QuotaPeriod.objects.get()
    assert (period.used, period.reserved) == (2, 0)
    assert not journal.path.exists()


@committed
def test_a_server_deleted_in_the_middle_loses_no_answer(tmp_path: Path, settings: Any) -> None:
    settings.LEASE_SECONDS = 2
    with running_peer(tmp_path, at_answer(40, lambda: SmtpServer.objects.get(name="Gone").delete())) as peer:
        make_server(peer.port, "Gone", display_order=1)
        make_server(peer.port, "Stays", display_order=2)
        mailing = make_mailing(make_list(200))
        deadline = time.monotonic() + 60
        while mailing.finished_at is None:
            assert time.monotonic() < deadline
            run_drain(seconds=5)
            recovery.sweep(timezone.now())
            mailing.refresh_from_db()

        assert figures.counts(mailing.pk)["accepted"] == 200, figures.counts(mailing.pk)
        assert len({event["rcpt_to"] for event in peer.accepted()}) == len(peer.accepted()) == 200


def test_a_journal_on_another_machine_is_waited_for(tmp_path: Path) -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(2))
    claimed(server, mailing, 2)
    expire_lanes()
    now = timezone.now()

    recovery.sweep(now + dt.timedelta(minutes=9))
    assert figures.counts(mailing.pk)["sending"] == 2

    recovery.sweep(now + dt.timedelta(minutes=11))
    assert figures.counts(mailing.pk)["unconfirmed"] == 2


def test_results_without_the_lane_are_refused(tmp_path: Path) -> None:
    server = make_server(25)
    mailing = make_mailing(make_list(1))
    lease, claims = claimed(server, mailing, 1)
    expire_lanes()
    leases.free_expired()
    result = results.Result(
        claims[0].attempt_id,
        claims[0].message,
        mailing.pk,
        "campaign",
        server.pk,
        claims[0].period_id,
        claims[0].reserved_at,
        results.ended("failed", "too late"),
    )

    assert results.record(lease.token, [result], timezone.now()) is False
    assert results.record(uuid.uuid4(), [result], timezone.now()) is False

    assert not Attempt.objects.exists()
    assert Batch.objects.get().open_count == 1
    assert leases.renew([lease]) == [lease]


def test_a_lease_that_has_run_out_is_lost_though_nobody_freed_its_lane() -> None:
    lease = leases.acquire(make_server(25).pk)
    assert lease is not None
    expire_lanes()
    ended_at, valid_until = Lane.objects.get().expires_at, lease.valid_until

    assert leases.renew([lease]) == [lease]

    assert Lane.objects.get().expires_at == ended_at
    assert lease.valid_until == valid_until


def test_a_lane_has_one_holder(tmp_path: Path) -> None:
    server = make_server(25)

    first, second = leases.acquire(server.pk), leases.acquire(server.pk)

    assert first is not None
    assert second is None
    leases.release(first)
    assert leases.acquire(server.pk) is not None


@committed
def test_transactional_mail_is_sent_again_once_with_the_same_message_id(tmp_path: Path) -> None:
    drops: list[str] = []

    def drop(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "dot" and len(drops) < 2:
            drops.append(context["message_id"])
            return DROP
        return None

    with running_peer(tmp_path, drop) as peer:
        make_server(peer.port)
        mailing = mailings.open_mailing(stream="single", name="Receipt", subject="Receipt", html="", text="Thanks.")
        mailings.address(mailing, email="a@customer.example", email_key="a@customer.example", now=timezone.now())
        deadline = time.monotonic() + 20
        while mailing.finished_at is None:
            assert time.monotonic() < deadline
            run_drain()
            mailing.refresh_from_db()

        assert len(peer.journal.events("dot")) == 2
        assert drops[0] == drops[1]
        assert Message.objects.get().status == "unconfirmed"


def test_the_journal_of_a_worker_that_left_nothing_goes_after_an_hour(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = str(tmp_path)
    server = make_server(1)
    lease = leases.acquire(server.pk)
    assert lease is not None
    mine, gone = Journal(recovery.journal_folder(), lease.token), Journal(recovery.journal_folder(), uuid.uuid4())
    for journal in (mine, gone):
        journal.close()

    recovery.sweep(timezone.now())
    assert gone.path.exists()
    recovery.sweep(timezone.now() + dt.timedelta(minutes=61))

    assert (gone.path.exists(), mine.path.exists()) == (False, True)
    assert len(list(recovery.journal_folder().iterdir())) == 2  # The journal of the lane, and what it has at hand.
