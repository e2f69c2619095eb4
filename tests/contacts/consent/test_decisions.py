"""The stamp of what a person decided last: what changes it, and who has to ask for it."""

import datetime as dt
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection, transaction

from contacts.consent import changes, decisions, tracking
from contacts.consent.tracking import CLICKS, OPENS
from contacts.models import ConsentEvent, Contact, ContactList

ROOT = Path(__file__).resolve().parents[3]


def is_newest(stamp: str, contact: Contact) -> bool:
    with transaction.atomic():
        return decisions.is_newest(stamp, contact.pk)


@pytest.mark.parametrize("step", ["list", "opens", "clicks", "break", "everything"])
def test_every_decision_changes_the_stamp_though_the_state_is_as_it_was(
    ann: Contact, news: ContactList, now: dt.datetime, later: dt.datetime, step: str
) -> None:
    stamp = decisions.stamp_of(ann.pk)
    assert is_newest(stamp, ann)
    match step:
        case "list":
            changes.subscribe(ann, news, method="admin", source="admin: mia", now=now)
            changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link", now=later)
        case "opens" | "clicks":
            topic = {"opens": OPENS, "clicks": CLICKS}[step]
            for agrees, at in ((True, now), (False, later)):
                tracking.decide(ann.pk, {topic: agrees}, method="admin", source="admin: mia", now=at)
        case "break":
            changes.pause(ann, later)
        case "everything":
            changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=now)

    assert not is_newest(stamp, ann)
    assert is_newest(decisions.stamp_of(ann.pk), ann)


def test_who_left_everything_came_back_and_left_again_decided_anew(
    ann: Contact, now: dt.datetime, later: dt.datetime
) -> None:
    changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=now)
    stamp = decisions.stamp_of(ann.pk)
    changes.come_back([ann.email_key], "By phone.", now)
    changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=later)

    assert ConsentEvent.objects.count() == 0
    assert not is_newest(stamp, ann)


def test_a_step_counts_whatever_the_clock_of_the_machine_says(
    ann: Contact, now: dt.datetime, later: dt.datetime
) -> None:
    tracking.decide(ann.pk, {OPENS: True}, method="preferences", source="page", now=later)
    stamp = decisions.stamp_of(ann.pk)

    tracking.decide(ann.pk, {OPENS: False}, method="preferences", source="page", now=now)

    assert not is_newest(stamp, ann)


def test_what_others_do_is_no_decision_of_the_person(ann: Contact, news: ContactList, now: dt.datetime) -> None:
    stamp = decisions.stamp_of(ann.pk)
    bob = Contact.objects.create(email="bob@example.org")
    changes.subscribe(bob, news, method="form", source="form", now=now)
    changes.suppress(ann.email, "hard_bounce", "550 5.1.1", now)

    assert is_newest(stamp, ann)
    assert not is_newest(stamp, bob)


@pytest.mark.parametrize("stamp", ["", " ", "é", "\0", "x" * 9_999])
def test_no_other_text_is_a_stamp(ann: Contact, stamp: str) -> None:
    assert not is_newest(stamp, ann)


def test_a_page_outlives_a_new_key(ann: Contact, settings: LazySettings) -> None:
    stamp = decisions.stamp_of(ann.pk)
    settings.TOKEN_KEYS = ["a new key, long enough to sign with", *settings.TOKEN_KEYS]

    assert decisions.stamp_of(ann.pk) != stamp
    assert is_newest(stamp, ann)
    settings.TOKEN_KEYS = settings.TOKEN_KEYS[:1]
    assert not is_newest(stamp, ann)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_a_withdrawal_and_a_page_that_are_sent_at_once_the_withdrawal_stays(now: dt.datetime) -> None:
    ann = Contact.objects.create(email="ann@example.org")
    stamp, barrier = decisions.stamp_of(ann.pk), threading.Barrier(2)

    def decide(agrees: bool) -> None:
        try:
            barrier.wait(10)
            with transaction.atomic():
                if not agrees or decisions.is_newest(stamp, ann.pk):
                    tracking.decide(ann.pk, {OPENS: agrees}, method="preferences", source="page", now=now)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(decide, (True, False)))

    ann.refresh_from_db()
    assert ann.open_tracking == "none"


# Who agrees for a person, and where the stamp is asked for. What isn't here may not.
AGREEING = {
    "brilliance/demo/seed.py": None,  # Makes its people.
    "brilliance/web/first_run/people.py": None,  # Users put themselves on a list that was made just now.
    "contacts/admin/people.py": "contacts/forms/contact.py",
    "feedback/unsubscribe.py": "feedback/unsubscribe.py",
    "publicpages/subscriptions/preferences.py": "publicpages/subscriptions/preferences.py",
    # The link in a mail: instead of a page, the time at which it was asked for.
    "publicpages/subscriptions/subscribe.py": None,
    "publicpages/subscriptions/tracking.py": "publicpages/subscriptions/tracking.py",
}
CALL = re.compile(r"\b(changes\.(subscribe|confirm|come_back)|tracking\.decide)\(")


def test_whoever_agrees_for_a_person_asks_for_the_stamp_of_their_page() -> None:
    rooms = {path.parent for path in ROOT.glob("*/__init__.py")} - {ROOT / "tests"}
    agreeing = {
        path.relative_to(ROOT).as_posix()
        for room in rooms
        for path in room.rglob("*.py")
        if CALL.search(path.read_text())
    }

    assert agreeing == set(AGREEING)
    for path in filter(None, AGREEING.values()):
        assert "decisions.is_newest(" in (ROOT / path).read_text()
