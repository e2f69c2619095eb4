"""The store of raw reports: each one once, whoever hands it in how often, and readable for nobody without the key."""

import datetime as dt
import threading

import pytest
from django.db import connection

from feedback.intake.store import Taken, content_of, take
from feedback.models import RawReport
from smtpservers.models import SmtpServer

NOW = dt.datetime(2026, 11, 30, 23, 59, 59, tzinfo=dt.UTC)
MAIL = b"From: mailer-daemon@mx.example\r\n\r\nCanary\xff\x00\r\n"
WEBHOOK, MAILBOX = RawReport.Source.WEBHOOK, RawReport.Source.MAILBOX


@pytest.fixture
def server_ids(db: None) -> tuple[int, int]:
    made = [SmtpServer.objects.create(name=name, host="smtp.shop.example") for name in ("Alpha", "Beta")]
    return made[0].pk, made[1].pk


@pytest.mark.django_db
def test_a_raw_report_is_stored_once_and_comes_back_byte_by_byte() -> None:
    first = take(MAILBOX, MAIL, now=NOW, envelope_to="bounces@shop.example", mailbox_id=7)
    again = take(MAILBOX, MAIL, now=NOW + dt.timedelta(days=90), mailbox_id=7)

    assert first.is_new
    assert again == Taken(first.raw_id, is_new=False)
    raw = RawReport.objects.get()
    assert (raw.state, raw.received_at, raw.size_bytes) == ("waiting", NOW, len(MAIL))
    assert content_of(raw) == MAIL
    assert b"Canary" not in bytes(raw.sealed)


@pytest.mark.django_db
def test_the_same_bytes_to_another_server_are_another_report(server_ids: tuple[int, int]) -> None:
    one, other = (take(WEBHOOK, b"{}", now=NOW, server_id=pk, provider="postmark") for pk in server_ids)

    assert one.is_new
    assert other.is_new


@pytest.mark.django_db
def test_a_forged_copy_that_came_first_does_not_keep_the_proved_one_out() -> None:
    forged = take(WEBHOOK, b"[1]", now=NOW, problem="The signature is wrong.")
    kept = RawReport.objects.get().state

    proved = take(WEBHOOK, b"[1]", now=NOW)
    late = take(WEBHOOK, b"[1]", now=NOW, problem="The signature is wrong.")

    assert kept == "unproved"
    assert proved == Taken(forged.raw_id, is_new=True)
    assert late == Taken(forged.raw_id, is_new=False)
    assert (RawReport.objects.get().state, RawReport.objects.get().problem) == ("waiting", "")


@pytest.mark.django_db(transaction=True)
def test_two_that_hand_in_the_same_bytes_at_once_store_one() -> None:
    taken: list[Taken] = []
    together = threading.Barrier(4)

    def hand_in() -> None:
        try:
            together.wait()
            taken.append(take(MAILBOX, MAIL, now=NOW))
        finally:
            connection.close()

    threads = [threading.Thread(target=hand_in) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(each.is_new for each in taken) == [False, False, False, True]
    assert RawReport.objects.count() == 1
