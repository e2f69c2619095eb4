"""The queue of raw reports: whoever is killed when, each report takes effect once; hostile ones end nothing else."""

import contextlib
import datetime as dt
import os
import random
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import pytest
from django.db import connections, transaction

from contacts.models import Suppression
from delivery.models import Message, ScoreCount, StopTally
from feedback import tasks
from feedback.intake.store import take
from feedback.models import Feedback, RawReport, Report, Seen
from feedback.reports import batch, queue, reader
from feedback.reports.reader import Reader, Unreadable
from mail.incoming.reader import read
from tests.feedback.reports.making import (
    NOW,
    bounce,
    event,
    mail,
    make_mailing,
    make_server,
    post,
    process,
    sent_to,
)

PEOPLE = 20
DELIVERED_AT = dt.datetime(2026, 11, 30, 23, 57, tzinfo=dt.UTC)


def in_a_child(work: Callable[[], None]) -> int:
    """Run this in a process of its own, with a connection of its own, and return its id."""
    pid = os.fork()
    if pid == 0:
        _run(work)
    return pid


def _run(work: Callable[[], None]) -> NoReturn:
    try:
        for connection in connections.all():
            connection.connection = None  # Not closed: the other side belongs to the parent.
        work()
    finally:
        os._exit(0)


def work() -> None:
    with Reader() as own:
        while queue.process_for_a_while(own, lambda: NOW, seconds=30):
            pass


@pytest.mark.django_db(transaction=True)
def test_killed_at_any_time_nothing_is_lost_or_doubled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "CLAIMED_AT_ONCE", 7)
    monkeypatch.setattr(queue, "MOST_STATEMENTS", 3)
    server, mailing = make_server(), make_mailing()
    StopTally.objects.create(mailing=mailing, server=server, sent=100_000)
    messages = [sent_to(f"p{number}@customer.example", mailing, server) for number in range(PEOPLE)]
    for message in messages:
        mail(bounce(message))
        post(server, event("SpamComplaint", message, ID=message.pk))
        post(server, event("Delivery", message))
        mail(bounce(message, number=2))
    kills = 0

    while RawReport.objects.filter(state="waiting").exists():
        RawReport.objects.update(claimed_until=None)  # As if the minute of the dead ones were over.
        pids = [in_a_child(work) for _ in range(2)]
        enough, deadline = Seen.objects.count() + random.randrange(10, 25), time.monotonic() + 60
        while Seen.objects.count() < enough and RawReport.objects.filter(state="waiting").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            kills += os.WIFSIGNALED(os.waitpid(pid, 0)[1])

    assert kills
    assert set(Message.objects.values_list("status", "delivered_at")) == {("bounced", DELIVERED_AT)}
    kinds = list(Feedback.objects.values_list("kind", flat=True))
    assert {kind: kinds.count(kind) for kind in kinds} == {"hard": PEOPLE, "complaint": PEOPLE}
    assert {row.kind: row.number for row in ScoreCount.objects.all()} == {
        "hard": PEOPLE,
        "complaint": PEOPLE,
        "delivered": PEOPLE,
    }
    assert StopTally.objects.get().hard_bounces == PEOPLE
    assert Suppression.objects.count() == PEOPLE
    states = list(Report.objects.values_list("state", flat=True))
    assert {state: states.count(state) for state in states} == {"applied": 2 * PEOPLE, "repeated": PEOPLE}
    assert Seen.objects.count() == 3 * PEOPLE


@pytest.mark.django_db(transaction=True)
def test_a_claim_is_for_one_worker_until_its_time_is_over() -> None:
    for number in range(3):
        mail(b"Subject: %d\r\n\r\nHello" % number)

    first = queue.claim(NOW)
    second = queue.claim(NOW + queue.CLAIMED_FOR)
    third = queue.claim(NOW + queue.CLAIMED_FOR + dt.timedelta(seconds=1))

    assert (len(first), len(second), len(third)) == (3, 0, 3)
    assert {raw.tries for raw in third} == {2}


@pytest.mark.django_db
def test_what_ended_its_worker_each_time_is_given_up_and_holds_up_nothing() -> None:
    raw_id = mail(bounce(sent_to("ann@customer.example", make_mailing(), make_server())))
    RawReport.objects.filter(pk=raw_id).update(tries=queue.MOST_TRIES)
    mail(bounce(sent_to("ben@customer.example", make_mailing(), make_server("Beta"))))

    process()

    assert RawReport.objects.get(pk=raw_id).state == "unreadable"
    assert [row.email for row in Feedback.objects.all()] == ["ben@customer.example"]


def test_a_report_that_takes_too_long_ends_only_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    # Backtracking in C code, which no exception interrupts.
    hang = "import re; re.match('(a+)+$', 'a' * 40 + 'b')"
    start = "from feedback.reports import reader; reader.CPU_SECONDS = 0.2; reader.read = lambda content: exec(content)"
    monkeypatch.setattr(reader, "_CODE", f"{start}; reader.work()")

    with Reader() as own:
        hung = own.read_mail(hang.encode())
        greedy = own.read_mail(b"bytearray(1 << 40)")
        ended = own.read_mail(b"import os; os._exit(1)")
        monkeypatch.undo()
        with Reader() as next_one:
            fine = next_one.read_mail(b"Subject: Hello\r\n\r\nHello")

    assert isinstance(hung, Unreadable)
    assert isinstance(greedy, Unreadable)
    assert isinstance(ended, Unreadable)
    assert not isinstance(fine, Unreadable)


@pytest.mark.parametrize("error", ["OverflowError", "ZeroDivisionError", "TypeError", "AttributeError", "KeyError"])
def test_a_report_that_nobody_foresaw_is_not_understood_and_ends_no_reader(
    monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    start = "from feedback.reports import reader; reader.read = lambda content: exec(content)"
    monkeypatch.setattr(reader, "_CODE", f"{start}; reader.work()")

    with Reader() as own:
        odd = own.read_mail(f"raise {error}('odd')".encode())
        process = own._process
        own.read_mail(b"raise ValueError('again')")
        assert own._process is process

    assert isinstance(odd, Unreadable)
    assert "odd" in odd.why


@pytest.mark.django_db
def test_a_report_that_cannot_be_applied_holds_up_no_other_and_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    server, mailing = make_server(), make_mailing()
    odd = mail(bounce(sent_to("ann@customer.example", mailing, server)))
    mail(bounce(sent_to("ben@customer.example", mailing, server)))
    whole = batch.apply

    def apply(read: Sequence[batch.Read], now: dt.datetime) -> None:
        with transaction.atomic():
            whole(read, now)
            if any(raw.pk == odd and not isinstance(said, Unreadable) for raw, _, said in read):
                raise OverflowError("date value out of range")

    monkeypatch.setattr(batch, "apply", apply)
    for turn in range(queue.MOST_TRIES + 1):
        process(NOW + turn * 2 * queue.CLAIMED_FOR)

    assert [row.email for row in Feedback.objects.all()] == ["ben@customer.example"]
    assert RawReport.objects.get(pk=odd).state == "unreadable"


def test_the_reader_knows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELD_ENCRYPTION_KEYS", "Canary")
    show = "raise ValueError(str(__import__('os').environ) + str('django' in __import__('sys').modules))"
    start = "from feedback.reports import reader; reader.read = lambda content: exec(content)"
    monkeypatch.setattr(reader, "_CODE", f"{start}; reader.work()")

    with Reader() as own:
        shown = own.read_mail(show.encode())

    assert isinstance(shown, Unreadable)
    assert "Canary" not in shown.why
    assert shown.why.endswith("False")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff" * 1000,
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\n" * 5000,
        b"A: " + b"x" * 100_000,
        b"x" * ((1 << 20) + 1),
    ],
)
def test_hostile_bytes_have_no_effect_and_are_shown(content: bytes) -> None:
    mail(content)
    post(make_server(), event("Bounce", Type=["HardBounce"], Email={"a": 1}, ID=None))
    process()

    assert not RawReport.objects.filter(state="waiting").exists()
    assert not Feedback.objects.exists()


@pytest.mark.django_db
def test_a_worker_that_was_slower_than_its_claim_applies_nothing_again() -> None:
    message = sent_to("ann@customer.example", make_mailing(), make_server())
    mail(bounce(message))
    (raw,) = queue.claim(NOW)
    content = bounce(message)
    said = read(content)

    batch.apply([(raw, content, said)], NOW)
    Seen.objects.all().delete()
    batch.apply([(raw, content, said)], NOW)

    assert Report.objects.count() == 1


@pytest.mark.django_db
def test_a_mail_that_comes_in_two_ways_is_one_report() -> None:
    message = sent_to("ann@customer.example", make_mailing(), make_server())
    mail(bounce(message))
    process()

    take(RawReport.Source.LISTENER, b"Received: from there\r\n" + bounce(message), now=NOW)
    process()

    assert Report.objects.count() == 1
    assert set(RawReport.objects.values_list("state", "is_recognised")) == {("done", True)}


@pytest.mark.django_db(transaction=True)
def test_an_idle_round_asks_three_times_and_opens_no_transaction(django_assert_num_queries: Any) -> None:
    tasks.process_reports()

    with django_assert_num_queries(3) as asked:
        tasks.process_reports()

    assert all(query["sql"].startswith("SELECT") for query in asked.captured_queries)
