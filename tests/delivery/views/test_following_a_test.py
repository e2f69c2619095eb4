"""A test that takes its time: a worker makes it, and the page tells how far it is."""

import datetime as dt
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, expect

from contacts.models import Contact
from contacts.privacy import erasure
from delivery import clock, tasks
from delivery.models import Attempt, Mailing, Message, Trial
from delivery.operators import send_test, trials
from delivery.outcomes.results import finish_mailings
from mail.addresses import fold
from smtpservers.models import SmtpServer
from tests.harness.browser import sign_in
from tests.harness.send_test import tried
from tests.harness.workers import Worker
from tests.peers.conversation import SILENT
from tests.peers.peer import running_peer

MakeServer = Callable[..., SmtpServer]
NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
ANN = "ann@example.org"


def asked(server: SmtpServer, recipient: str = ANN, **fields: Any) -> Trial:
    trial = trials.ask(server, recipient, None, with_copies=False, now=NOW)
    Trial.objects.filter(pk=trial.pk).update(**fields)
    return trial


def page_of(client: Client, trial: Trial, **query: str) -> str:
    return client.get(reverse("delivery:follow_test", args=[trial.server_id, trial.pk]), query).content.decode()


def test_nothing_is_sent_while_the_page_answers(tester: Client, make_server: MakeServer) -> None:
    answer = tester.post(reverse("delivery:send_test", args=[make_server(9).pk]), {"recipient": ANN})

    trial = Trial.objects.get()
    assert answer.headers["Location"] == reverse("delivery:follow_test", args=[trial.server_id, trial.pk])
    assert (trial.recipient, trial.seen_at, trial.created_by.username) == (ANN, None, "someone")
    assert not Message.objects.exists()
    page = tester.get(answer.headers["Location"]).content.decode()
    assert "The test is about to start." in page
    assert "data-under-way" in page
    assert f'value="{ANN}"' in page, "another one goes to the same address"


def test_one_is_made_after_the_other(make_server: MakeServer, transactional_db: None, tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        first, second = asked(server, "a@example.org"), asked(server, "b@example.org", seen_at=NOW)

        assert not trials.make_next(lambda: NOW + dt.timedelta(seconds=29)), "the other is under way"
        assert trials.make_next(lambda: NOW + dt.timedelta(seconds=31)), "its worker is gone"
        assert not trials.make_next(lambda: NOW + dt.timedelta(seconds=31))

        assert [event["rcpt_to"] for event in peer.journal.events("rcpt")] == ["a@example.org"]
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.ended_at is not None, second.ended_at) == (True, None)


def test_a_silent_server_is_waited_for_no_longer_than_its_timeout(
    tester: Client, make_server: MakeServer, transactional_db: None, tmp_path: Path
) -> None:
    with running_peer(tmp_path, lambda event, _: SILENT if event == "dot" else None) as peer:
        server = make_server(peer.port, timeout_seconds=1)
        page = tried(tester, reverse("delivery:send_test", args=[server.pk]), {"recipient": ANN}).content.decode()

    assert "Sent in full, no reply yet." in page
    assert "Check the mailbox before you send it again" in page
    assert Message.objects.get().status == "unconfirmed"


@pytest.mark.parametrize(
    ("fields", "later", "words"),
    [
        ({}, 5, "The test is about to start."),
        ({}, 30, "Waiting for a worker."),
        ({"seen_at": NOW}, 5, "Talking to Relay."),
        ({"seen_at": NOW, "is_sent": True}, 5, "Sent in full, no reply yet."),
        ({"seen_at": NOW}, 90, "The worker stopped during this test."),
        ({"ended_at": NOW, "refusal": "Relay has no quota left."}, 90, "Relay has no quota left."),
        ({"ended_at": NOW}, 90, "This test was deleted."),
    ],
)
def test_the_page_says_how_far_it_is(
    tester: Client, make_server: MakeServer, monkeypatch: pytest.MonkeyPatch, fields: Any, later: int, words: str
) -> None:
    trial = asked(make_server(9), **fields)
    monkeypatch.setattr(clock, "now", lambda: NOW + dt.timedelta(seconds=later))

    page, part = page_of(tester, trial), page_of(tester, trial, part="")

    assert words in page
    assert words in part
    assert "<form" not in part
    assert ("data-under-way" in part) == ("ended_at" not in fields and later < 60)


def test_another_servers_page_does_not_show_it(tester: Client, make_server: MakeServer) -> None:
    trial = asked(make_server(9))
    other = make_server(9, name="Other")

    assert tester.get(reverse("delivery:follow_test", args=[other.pk, trial.pk])).status_code == 404


def test_it_is_forgotten_after_a_day_and_with_the_person(
    make_server: MakeServer, make_user: Callable[..., User]
) -> None:
    server = make_server(9)
    asked(server, "Ann@Example.org")
    kept = asked(server, "bob@example.org")
    contact = Contact.objects.create(email=ANN, email_key=fold(ANN))

    erasure.erase(erasure.subject_of(contact), make_user(), NOW)
    assert list(Trial.objects.all()) == [kept]

    trials.forget_old(NOW + dt.timedelta(hours=23))
    assert Trial.objects.exists()
    trials.forget_old(NOW + dt.timedelta(hours=25))
    assert not Trial.objects.exists()


def test_nobody_waits_for_somebody_elses_twenty_addresses(make_server: MakeServer) -> None:
    server, content = make_server(9), send_test.Content("Winter", "Winter sale", "", "Snow.")
    many = trials.ask_several(server, [f"p{number}@example.org" for number in range(3)], content, None, None, NOW)
    other = asked(make_server(9, name="Other"))
    order: list[str] = []

    while trials.make_next(clock.now):
        ended = Trial.objects.exclude(ended_at=None).exclude(recipient__in=order)
        order.append(ended.get().recipient)

    assert order == ["p0@example.org", ANN, "p1@example.org", "p2@example.org"]
    refusals = Trial.objects.filter(batch=many).order_by("position").values_list("refusal", flat=True)
    assert list(refusals) == ["", trials.NOT_TRIED, trials.NOT_TRIED]
    assert Trial.objects.get(pk=other.pk).refusal == ""


def test_the_content_of_a_test_that_was_never_made_ends_with_it(make_server: MakeServer) -> None:
    content = send_test.Content("Winter", "Winter sale", "", "Snow.")
    trials.ask_several(make_server(9), [ANN], content, None, None, NOW)
    assert Mailing.objects.get().finished_at is None

    trials.forget_old(NOW + dt.timedelta(hours=25))

    finish_mailings(NOW)
    assert Mailing.objects.get().finished_at is not None
    assert not Trial.objects.exists()


def test_the_names_in_a_waiting_test_are_erased_with_the_person(
    make_server: MakeServer, make_user: Callable[..., User]
) -> None:
    contact = Contact.objects.create(email=ANN, email_key=fold(ANN), first_name="Canary", last_name="Bird")
    content = send_test.Content("Winter", "Winter sale", "", "Dear {{ first_name }}")
    values = {"first_name": "Canary", "last_name": "Bird"}
    trials.ask_several(make_server(9), ["ops@example.org"], content, values, None, NOW)

    erasure.erase(erasure.subject_of(contact), make_user(), NOW)

    assert Trial.objects.get().merge is None


def test_progress_is_told_while_the_server_is_silent(
    make_server: MakeServer, transactional_db: None, tmp_path: Path
) -> None:
    told: list[send_test.Progress] = []
    answers = threading.Event()

    def script(event: str, _: Any) -> bytes | None:
        if event == "dot":
            answers.wait(30)
        return None

    def watch(progress: send_test.Progress) -> None:
        told.append(progress)
        if progress.is_sent:
            answers.set()

    with running_peer(tmp_path, script) as peer:
        made = send_test.send_test(
            server_id=make_server(peer.port).pk, recipient=ANN, actor=None, now=clock.now(), watch=watch
        )

    assert made.is_accepted
    assert told[-1].is_sent
    assert [step.name for step in told[-1].steps][-1] == "DATA"
    assert {progress.message_pk for progress in told} == {made.message_pk}


@pytest.mark.django_db(transaction=True)
def test_a_real_worker_makes_it_even_if_nobody_rang(tester: Client, make_server: MakeServer, tmp_path: Path) -> None:
    with running_peer(tmp_path / "peer") as peer:
        trial = trials.ask(make_server(peer.port), ANN, None, with_copies=False, now=clock.now())
        worker = Worker(tmp_path / "worker")
        try:
            deadline = time.monotonic() + 60
            while Trial.objects.get(pk=trial.pk).ended_at is None:
                assert time.monotonic() < deadline, worker.log.read_text()[-3000:]
                time.sleep(0.1)
        finally:
            worker.stop()

        assert len(peer.accepted()) == 1
    assert "The server accepted the message." in page_of(tester, trial)
    assert Attempt.objects.get().outcome == "accepted"


def test_the_task_carries_no_address() -> None:
    assert tasks.make_trials.run.__code__.co_argcount == 0


@pytest.mark.browser
def test_the_page_follows_a_server_that_takes_its_time(
    make_server: MakeServer,
    live_server: Any,
    errands: None,
    page: Page,
    make_user: Callable[..., User],
    tmp_path: Path,
) -> None:
    answers = threading.Event()

    def script(event: str, _: Any) -> bytes | None:
        if event == "dot":
            answers.wait(60)
        return None

    with running_peer(tmp_path, script) as peer:
        server = make_server(peer.port, timeout_seconds=60, tested_at=None)
        sign_in(page, make_user("send_test"))
        page.goto(reverse("delivery:send_test", args=[server.pk]))
        page.get_by_label("Send test to").fill(ANN)
        page.get_by_role("button", name="Send test").click()

        expect(page.get_by_text("Sent in full, no reply yet.")).to_be_visible(timeout=20_000)
        expect(page.get_by_text("announcing the message")).to_be_visible()
        expect(page.locator(".test-hint")).to_have_count(1)  # It is untested.
        answers.set()
        expect(page.get_by_text("The server accepted the message.")).to_be_visible(timeout=20_000)
        expect(page.locator(".test-hint")).to_have_count(0)

    assert page.evaluate("document.activeElement.id") == "result"
