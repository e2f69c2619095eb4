"""What goes by which clock: hints never grow old, beat cannot be set back, and waits keep their length."""

import datetime as dt
import os
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings
from django.db import connection
from django.db.models import DateTimeField
from django.utils import timezone
from kombu import Connection

from brilliance.broker.metronome import Metronome
from delivery import clock, clock_steps, hints
from delivery.health import heartbeats, vitals
from delivery.models import ClockMark, Lane, Message, WorkerReport, WorkerSeen
from delivery.outbox import leases
from delivery.outcomes import journal, recovery
from delivery.outcomes.journal import Journal
from delivery.tasks import deliver
from tests.delivery.making import make_list, make_mailing, make_server
from tests.oauth.making import make_account
from words.texts import TRANSLATOR, translated

pytestmark = pytest.mark.django_db

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


@pytest.fixture
def broker() -> Iterator[Any]:
    """Return a channel to the broker, in whose queues nothing waits."""
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    with Connection(settings.BROKER_URL, transport_options=options) as connection:
        channel = connection.default_channel
        for name in ("deliver", "errands"):
            current_app.amqp.queues[name](channel).declare()
            channel.queue_purge(name)
        yield channel
        for name in ("deliver", "errands"):
            channel.queue_purge(name)


def take_names(broker: Any) -> list[str]:
    """Take all hints that wait for workers for errands, and return the names of their tasks."""
    queue = current_app.amqp.queues["errands"](broker)
    return sorted(hint.headers["task"] for hint in iter(lambda: queue.get(no_ack=True), None))


def due_within(seconds: float) -> list[str]:
    """Return the names of the tasks for which beat rings no later than so many seconds after its start."""
    entries = settings.CELERY_BEAT_SCHEDULE.values()
    return sorted(entry["task"] for entry in entries if entry["schedule"] <= seconds)


# --- hints, and who gives them


def test_a_day_without_senders_leaves_twenty_hints_and_none_of_them_grows_old(broker: Any) -> None:
    rung = [hints.ring(deliver) for _ in range(50)]

    assert rung == [True] * hints.MOST_WAITING + [False] * (50 - hints.MOST_WAITING)
    assert hints.waiting("deliver") == hints.MOST_WAITING
    assert current_app.amqp.queues["deliver"](broker).get(no_ack=True).headers["expires"] is None


def test_no_task_of_the_house_is_given_an_age() -> None:
    root = Path(__file__).resolve().parents[2]
    rooms = ("brilliance", "contacts", "smtpservers", "delivery", "campaigns", "feedback", "sandbox")
    aged = [
        path
        for room in rooms
        for path in (root / room).rglob("*.py")
        if "apply_async(" in (text := path.read_text()) and ("expires=" in text or "countdown=" in text)
    ]

    assert aged == []
    assert all("options" not in entry for entry in settings.CELERY_BEAT_SCHEDULE.values())


@pytest.mark.parametrize("jump", [-HOUR, -DAY, DAY])
def test_beat_rings_on_whatever_is_done_to_the_clock(
    broker: Any, monkeypatch: pytest.MonkeyPatch, jump: dt.timedelta
) -> None:
    steady = 1000.0
    monkeypatch.setattr(clock, "steady", lambda: steady)
    current_app.loader.import_default_modules()  # As beat does when it starts: every room has tasks.
    metronome = Metronome(current_app)
    monkeypatch.setattr(metronome._never, "wait", lambda seconds: None)
    metronome.tick()
    steady += 2
    metronome.tick()
    assert take_names(broker) == due_within(2.0)

    real = dt.datetime.now
    monkeypatch.setattr("celery.utils.time.datetime", type("Set", (dt.datetime,), {"now": lambda *a: real(*a) + jump}))
    steady += 2
    metronome.tick()

    assert take_names(broker) == due_within(4.0)


# --- the clock is set


@pytest.fixture
def marked() -> dt.datetime:
    """Return now, after everybody has seen it."""
    now = timezone.now()
    clock_steps._last = None
    assert clock_steps.follow(now) == dt.timedelta()
    return now


def waiting_message(due_at: dt.datetime, **fields: Any) -> Message:
    mailing = make_mailing(make_list(1))
    mailing.chunks.all().delete()
    mailing.messages.update(status="deferred", due_at=due_at, **fields)
    return mailing.messages.get()


@pytest.mark.parametrize("back", [HOUR, DAY])
def test_what_was_due_before_the_clock_was_set_back_stays_due(marked: dt.datetime, back: dt.timedelta) -> None:
    due = waiting_message(marked - dt.timedelta(seconds=1))
    server = make_server(25, paused_reason="It failed.", paused_until=marked + dt.timedelta(minutes=5))
    now = marked - back

    assert clock_steps.follow(now) == now - marked
    assert clock_steps.follow(now + dt.timedelta(seconds=2)) == dt.timedelta()

    due.refresh_from_db()
    server.refresh_from_db()
    assert due.due_at is not None
    assert due.due_at <= now
    assert server.paused_until == now + dt.timedelta(minutes=5)


def test_what_waits_for_an_hour_goes_on_waiting_for_an_hour(marked: dt.datetime) -> None:
    deferred = waiting_message(marked + HOUR)

    clock_steps.follow(marked - DAY)

    deferred.refresh_from_db()
    assert deferred.due_at == marked - DAY + HOUR


NOT_MOVED = {
    "accounts.SignInLink.expires_at": "it works once, whatever the time",
    "campaigns.Campaign.start_leased_until": "a lease further ahead than any lasts isn't believed",
    "campaigns.HeadcountRequest.leased_until": "a lease further ahead than any lasts isn't believed",
    "contacts.Contact.paused_until": "a person chose it",
    "contacts.Suppression.expires_at": "a person chose it, or it is months ahead",
    "delivery.Lane.expires_at": "moved with care for leases since the step",
    "delivery.Mailing.waiting_until": "people read it, and it is written again",
    "delivery.Message.due_at": "moved where its mailing isn't finished",
    "delivery.Message.expires_at": "moved where its mailing isn't finished",
    "feedback.Hook.previous_until": "an address that stays valid for longer holds nothing up",
    "oauth.OAuthAccount.renewing_until": "it is the key of the renewal that is under way",
}


def test_every_wait_is_moved_when_the_clock_is_set_back_or_has_a_reason_not_to_be() -> None:
    moved = {
        f"{waits.model._meta.label}.{column}"
        for waits in (*clock_steps.OWN_WAITS, *clock_steps.WAITS.values())
        for column in waits.columns
    }
    found = {
        f"{model._meta.label}.{field.name}"
        for model in apps.get_models()
        if not model._meta.label.startswith("axes.") and not hasattr(model, "history_id")
        for field in model._meta.fields
        if isinstance(field, DateTimeField) and re.search(r"until$|^(due|next|retry|expires)_", field.name)
    }

    assert found - moved == set(NOT_MOVED)


def test_what_is_waited_for_is_moved_back_and_what_is_over_is_not(marked: dt.datetime) -> None:
    account = make_account(retry_at=marked + HOUR, expires_at=marked - 2 * DAY)

    clock_steps.follow(marked - DAY)

    account.refresh_from_db()
    assert (account.retry_at, account.expires_at) == (marked - DAY + HOUR, marked - 2 * DAY)


def test_nothing_expires_because_the_clock_was_set_ahead(marked: dt.datetime) -> None:
    message = waiting_message(marked, expires_at=marked + HOUR)

    step = clock_steps.follow(marked + DAY)

    message.refresh_from_db()
    assert abs(step - DAY) < dt.timedelta(seconds=1)
    assert message.expires_at == marked + HOUR + step
    clock_steps._last = None  # Another process, which comes later.
    assert clock_steps.follow(marked + DAY + dt.timedelta(seconds=2)) == dt.timedelta()


def test_of_two_who_notice_a_step_one_follows_it(marked: dt.datetime) -> None:
    seen = clock_steps._last

    first = clock_steps.follow(marked + DAY)
    clock_steps._last = seen
    second = clock_steps.follow(marked + DAY + dt.timedelta(seconds=1))

    assert first > HOUR
    assert second == dt.timedelta()


def test_a_pause_of_all_processes_is_no_step(marked: dt.datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    later = clock.steady() + 7200
    monkeypatch.setattr(clock, "steady", lambda: later)

    assert clock_steps.follow(marked + dt.timedelta(hours=2)) == dt.timedelta()
    assert ClockMark.objects.get().reached_at == marked + dt.timedelta(hours=2)


@pytest.mark.parametrize("step", [-HOUR, -DAY, DAY])
def test_a_lease_goes_on_as_long_as_it_would_have_whatever_is_done_to_the_clock(
    marked: dt.datetime, step: dt.timedelta
) -> None:
    lease = leases.acquire(make_server(25).pk)
    assert lease is not None

    clock_steps.follow(marked + step)

    lane = Lane.objects.get()
    assert lane.token == lease.token
    assert lane.expires_at is not None
    left = lane.expires_at - (marked + step)
    assert dt.timedelta() < left <= dt.timedelta(seconds=settings.LEASE_SECONDS + 5)


def test_a_lease_that_ran_out_since_the_step_stays_over(marked: dt.datetime) -> None:
    leases.acquire(make_server(25).pk)
    over = marked + DAY - dt.timedelta(seconds=1)  # Taken after the clock was set, by one that has died since.
    Lane.objects.update(expires_at=over)

    clock_steps.follow(marked + DAY)

    assert Lane.objects.get().expires_at == over


def test_marks_from_the_future_are_nobodys_life() -> None:
    now = timezone.now()
    WorkerSeen.objects.create(name="deliver here process 1", seen_at=now + HOUR)

    assert heartbeats.senders(now, heartbeats.BELIEVED) == 0
    assert heartbeats.last_heartbeats([heartbeats.SENDS], now) == {"deliver": None}


# --- what a worker says of itself


def test_a_worker_reports_its_clock_and_its_folder(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said = vitals.Vitals(["deliver"])
    said.look()
    now = timezone.now()
    real = clock.own
    reports = vitals.recent_reports(now)
    assert (vitals.clock_problems(reports), vitals.folder_problems(reports)) == ([], [])

    monkeypatch.setattr(clock, "own", lambda: real() - HOUR)
    settings.DATA_DIR = "/proc"
    said.look()

    host = socket.gethostname()
    now = real()
    WorkerReport.objects.update(seen_at=now)  # On SQLite the database's clock is the worker's.
    [told] = vitals.clock_problems(vitals.recent_reports(now))
    assert told in (
        f"The clock of {host} was set back by 1 hour.",
        f"The clock of {host} is 1 hour behind the database’s.",
    )
    [told] = vitals.folder_problems(vitals.recent_reports(now))
    assert told.startswith(f"The folder DATA_DIR of {host} cannot be written: ")


def test_the_time_is_counted_on_between_two_looks_at_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has no clock of its own")
    time = clock.DatabaseClock()
    before = time.read()
    monkeypatch.setattr(clock, "own", lambda: timezone.now() + DAY)

    assert dt.timedelta() <= time() - before < dt.timedelta(minutes=1)
    assert time.read() - before < dt.timedelta(minutes=1)
    assert time.drift > dt.timedelta(hours=23)


# --- what journals leave behind


def test_a_page_without_its_journal_is_cleared_away_too(tmp_path: Path, settings: Any) -> None:
    settings.DATA_DIR = tmp_path
    notes = Journal(recovery.journal_folder(), uuid.uuid4())
    notes.close()
    notes.path.unlink()  # The worker was killed between the two.
    young = Journal(recovery.journal_folder(), uuid.uuid4())
    os.utime(notes.path.with_suffix(".now"), (1, 1))
    os.utime(young.path.with_suffix(".now"), (1, 1))  # The journal beside it is written to.

    recovery.sweep(timezone.now())

    assert journal.tokens(recovery.journal_folder()) == {uuid.UUID(young.path.stem)}
    young.discard()


def test_problems_of_machines_are_told_in_the_language_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    hour = dt.timedelta(hours=1)
    reports = [
        WorkerReport(host="a", drift=hour),
        WorkerReport(host="b", drift=-hour),
        WorkerReport(host="c", drift=dt.timedelta(), step=hour),
    ]
    told = vitals.clock_problems(reports)
    monkeypatch.setattr(TRANSLATOR, "gettext", lambda text: f"⟦{text}⟧")

    assert told[:2] == [
        "The clock of a is 1 hour ahead of the database’s.",
        "The clock of b is 1 hour behind the database’s.",
    ]
    assert [translated(each)[0] for each in told] == ["⟦"] * 3
