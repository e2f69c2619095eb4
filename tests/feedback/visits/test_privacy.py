"""Opens and clicks and people's rights: nothing says where they were, and everything about them goes when it must."""

import datetime as dt
import json
import logging
import time

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection

from contacts.privacy import erasure, retention
from contacts.privacy.erasure import PERSONAL_DATA
from delivery.models import Mailing, Message
from delivery.outcomes.visited import note_first_visits
from feedback.models import FirstVisit, PendingVisit, Visit, VisitCount
from feedback.records import visits as records
from feedback.visits.gather import gather_for_a_while
from feedback.visits.spool import spool_folder
from feedback.visits.verdicts import judge_for_a_while
from tests.feedback.visits.making import (
    CHROME,
    SENT_AT,
    allow,
    ask,
    click_of,
    edge_before,
    finish,
    link_of,
    message_to,
    open_of,
    tracked_mailing,
)

pytestmark = pytest.mark.django_db(transaction=True)
ORIGIN, AGENT, ADDRESS = "192.0.2.77", "Canary/77.1", "canary@example.net"
TABLES = [FirstVisit, PendingVisit, Visit, VisitCount]


@pytest.fixture
def mailing() -> Mailing:
    allow()
    return tracked_mailing()


def visit(message: Message, code: str) -> None:
    """Open and click, and let it be gathered; one more click waits for its verdict."""
    edge, now = edge_before(), dt.datetime.now(dt.UTC)
    for path in (open_of(message), click_of(message, code), "/c/wrong", "/c/" + ADDRESS):
        ask(edge, path, agent=f"{CHROME} {AGENT}", REMOTE_ADDR=ORIGIN, HTTP_COOKIE=f"id={ADDRESS}")
    ask(edge, click_of(message, code) + "'", agent=CHROME, REMOTE_ADDR="203.0.113.9")  # A scanner tries the link.
    finish(edge)
    gather_for_a_while(spool_folder(), lambda: now, 60)
    judge_for_a_while(lambda: now + dt.timedelta(minutes=5), 60)


def everything_stored() -> str:
    """Return all values of all tables of opens and clicks, also those that no field knows."""
    told = []
    with connection.cursor() as cursor:
        for model in apps.get_app_config("feedback").get_models():
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")  # Of our own tables.
            told += [repr(row) for row in cursor.fetchall()]
    return "\n".join(told)


def test_no_address_agent_or_cookie_is_in_any_row_spool_line_or_log_line(
    mailing: Mailing, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    visit(message_to(mailing, ADDRESS), link_of(mailing))

    assert Visit.objects.count() == 3
    assert PendingVisit.objects.count() == 3
    kept = b"".join(path.read_bytes() for path in spool_folder().iterdir()).decode("latin-1")
    for where in (everything_stored(), kept, caplog.text):
        for canary in (ORIGIN, ORIGIN.rpartition(".")[0], AGENT, ADDRESS, "Canary", "KHTML"):
            assert canary not in where


def test_an_erasure_takes_all_visits_of_the_person_and_no_number(mailing: Mailing) -> None:
    code, actor = link_of(mailing), User.objects.create_user("ada", is_superuser=True)
    ann, bob = message_to(mailing, "ann@example.net"), message_to(mailing, "bob@example.net")
    for message in (ann, bob):
        visit(message, code)
    Message.objects.update(status="accepted", first_opened_at=SENT_AT, first_clicked_at=SENT_AT)
    Mailing.objects.update(is_snapshotted=True)
    before = sorted(VisitCount.objects.values_list("kind", "visitor", "loads", "people"))

    outcome = erasure.erase(erasure.subject_at("ann@example.net"), actor, dt.datetime.now(dt.UTC))

    assert outcome.is_done
    assert outcome.counts["opens and clicks"] == 3
    for model in (FirstVisit, PendingVisit, Visit):
        assert set(model.objects.values_list("message_id", flat=True)) == {bob.pk}
    assert sorted(VisitCount.objects.values_list("kind", "visitor", "loads", "people")) == before
    note_first_visits({ann.pk: SENT_AT}, {ann.pk: SENT_AT})  # A verdict that was given meanwhile.
    for message, at in ((ann, None), (bob, SENT_AT)):
        message.refresh_from_db()
        assert (message.first_opened_at, message.first_clicked_at) == (at, at)


def test_a_click_of_an_erased_person_still_leads_on_and_counts_without_them(mailing: Mailing) -> None:
    code, message = link_of(mailing), message_to(mailing, "ann@example.net")
    Mailing.objects.update(is_snapshotted=True)
    actor = User.objects.create_user("ada", is_superuser=True)
    assert erasure.erase(erasure.subject_at("ann@example.net"), actor, dt.datetime.now(dt.UTC)).is_done

    visit(message, code)

    assert not Visit.objects.exists()
    assert set(VisitCount.objects.values_list("is_personal", "people")) == {(False, 0)}
    assert sum(VisitCount.objects.filter(link_id=0).values_list("loads", flat=True)) == 3


def test_every_table_that_names_a_message_is_emptied_of_a_person(mailing: Mailing) -> None:
    named = {model for model in apps.get_app_config("feedback").get_models() if model.__module__.endswith("visits")}

    personal = {model for model in named if any(field.name == "message" for field in model._meta.fields)}

    assert personal == {FirstVisit, PendingVisit, Visit}
    assert "feedback" in PERSONAL_DATA


def test_a_person_gets_their_visits_with_everything_else(mailing: Mailing) -> None:
    message = message_to(mailing, "ann@example.net")
    visit(message, link_of(mailing))

    exported = PERSONAL_DATA["feedback"].export(erasure.subject_at("ann@example.net"))["opens and clicks"]

    assert sorted((each["kind"], each["mailing"], each["by"]) for each in exported) == [
        ("click", "Sale", "machine"),
        ("click", "Sale", "person"),
        ("open", "Sale", "person"),
    ]
    json.dumps(exported, default=str)


def test_visits_go_after_their_time_in_slices_and_numbers_stay(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "SLICE_ROWS", 2)
    code, now = link_of(mailing), dt.datetime.now(dt.UTC)
    old = [message_to(mailing, f"old{number}@example.net") for number in range(3)]
    for message in old:
        visit(message, code)
    Visit.objects.update(at=now - dt.timedelta(days=500))
    FirstVisit.objects.update(at=now - dt.timedelta(days=500))
    new = message_to(mailing, "new@example.net")
    visit(new, code)
    assert not Message.objects.filter(first_clicked_at=None).exists()
    assert not Message.objects.filter(first_opened_at=None).exists()
    before = sum(VisitCount.objects.values_list("loads", flat=True))
    told = {rule.title: number for rule, number in retention.report(now)}

    gone, is_done = retention.run(now)

    assert is_done
    for title, number in (("Opens and clicks of single people", 9), ("Who opened and clicked at all", 15)):
        assert (told[title], gone[title]) == (number, number)
    assert set(Visit.objects.values_list("message_id", flat=True)) == {new.pk}
    assert set(FirstVisit.objects.values_list("message_id", flat=True)) == {new.pk}
    assert Message.objects.filter(first_clicked_at__isnull=False).get() == new
    assert Message.objects.filter(first_opened_at__isnull=False).get() == new
    assert sum(VisitCount.objects.values_list("loads", flat=True)) == before


def test_the_key_of_the_hashes_is_replaced_hourly_and_shared(mailing: Mailing) -> None:
    import os

    from feedback.visits.networks import NetworkHashes

    folder = spool_folder()
    one, two = NetworkHashes(folder), NetworkHashes(folder)
    first = one.of(ORIGIN)
    assert two.of(ORIGIN) == first != one.of("198.51.100.1")
    assert one.of("192.0.2.1") == first, "the same /24"
    assert one.of("no address") == ""

    for age in (3700, -3600):  # An hour old, and from the future by a clock that was set back.
        before = (folder / "network.key").read_bytes()
        os.utime(folder / "network.key", (time.time() - age,) * 2)
        one._looked_at = two._looked_at = float("-inf")
        again = two.of(ORIGIN)
        assert one.of(ORIGIN) == again != first
        assert (folder / "network.key").read_bytes() != before
        first = again
