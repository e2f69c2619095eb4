"""Consent to count opens and clicks by name: what is on record, and what may undo a refusal."""

import csv
import datetime as dt

import pytest
from django.db import transaction

from contacts.consent import changes, tracking
from contacts.consent.tracking import CLICKS, OPENS
from contacts.models import ConsentEvent, Contact, ContactList, Suppression
from contacts.privacy import erasure
from contacts.transfer import export_consents

pytestmark = pytest.mark.django_db


def consents(contact: Contact) -> tuple[str, str]:
    contact.refresh_from_db()
    return contact.open_tracking, contact.click_tracking


def test_nobody_is_counted_by_name_before_they_were_asked(ann: Contact) -> None:
    assert consents(ann) == ("unset", "unset")
    assert ContactList.objects.create(name="News").tracking == "anonymous"


def test_opens_and_clicks_are_agreed_to_apart_and_proven(ann: Contact, now: dt.datetime) -> None:
    changed = tracking.decide(
        ann.pk,
        {OPENS: True, CLICKS: False},
        method="preferences",
        source="preference page",
        now=now,
        wordings={OPENS: "Count what I open", CLICKS: "Count what I click"},
        network="192.0.2.77",
    )

    assert (changed, consents(ann)) == ([OPENS, CLICKS], ("yes", "none"))
    proof = ConsentEvent.objects.get(contact=ann, topic=OPENS)
    assert (proof.status, proof.method, proof.source, proof.at) == ("yes", "preferences", "preference page", now)
    assert (proof.wording, proof.network, proof.list, proof.about) == (
        "Count what I open",
        "192.0.2.0/24",
        None,
        "Opens counted",
    )
    refusal = ConsentEvent.objects.get(contact=ann, topic=CLICKS)
    assert (refusal.status, refusal.wording) == ("none", "")


def test_a_repeated_choice_leaves_no_second_step(ann: Contact, now: dt.datetime) -> None:
    once = tracking.decide(ann.pk, {OPENS: True}, method="admin", source="admin: bea", now=now)
    again = tracking.decide(ann.pk, {OPENS: True}, method="admin", source="admin: bea", now=now)

    assert (once, again, ConsentEvent.objects.count()) == ([OPENS], [], 1)


def test_the_choice_of_a_deleted_person_changes_nothing(ann: Contact, now: dt.datetime) -> None:
    key = ann.pk
    ann.delete()

    assert tracking.decide(key, {OPENS: True}, method="admin", source="", now=now) == []


@pytest.mark.parametrize(
    ("before", "says", "overwrites", "after"),
    [
        ("unset", True, False, "yes"),
        ("unset", False, False, "none"),
        ("none", True, False, "none"),
        ("none", True, True, "none"),  # A withdrawal outlives every file.
        ("yes", False, False, "yes"),
        ("yes", False, True, "none"),
        ("yes", True, True, "yes"),
    ],
)
def test_a_file_never_undoes_a_refusal(
    ann: Contact, now: dt.datetime, before: str, says: bool, overwrites: bool, after: str
) -> None:
    Contact.objects.filter(pk=ann.pk).update(open_tracking=before)

    with transaction.atomic():
        due = tracking.due({ann.email_key: {OPENS: says}}, overwrites=overwrites)
        steps = [step for person in due.values() for step in person]
        tracking.take(steps, method="import", source="import: people.csv", now=now, wording="Ticked the box.")

    assert consents(ann) == (after, "unset")
    assert ConsentEvent.objects.filter(contact=ann, topic=OPENS).count() == (before != after)


def test_who_unsubscribes_from_everything_is_not_counted_any_more(ann: Contact, now: dt.datetime) -> None:
    tracking.decide(ann.pk, {OPENS: True}, method="form", source="public form", now=now)

    changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link in mail", now=now)

    assert consents(ann) == ("none", "unset")
    last = ConsentEvent.objects.filter(contact=ann, topic=OPENS).first()
    assert last is not None
    assert (last.status, last.method, last.source) == ("none", "unsubscribe", "link in mail")
    assert Suppression.objects.filter(email_key=ann.email_key).exists()


def test_the_export_of_a_list_holds_the_consents_of_its_people(ann: Contact, now: dt.datetime) -> None:
    bob = Contact.objects.create(email="bob@example.org")
    news = ContactList.objects.create(name="News")
    changes.subscribe(ann, news, method="admin", source="admin: bea", now=now, wording="Write to me.")
    tracking.decide(ann.pk, {CLICKS: True}, method="admin", source="admin: bea", now=now, wordings={CLICKS: "Count."})
    tracking.decide(bob.pk, {CLICKS: True}, method="admin", source="admin: bea", now=now)

    text = "".join(export_consents.write_csv(news)).removeprefix("\ufeff")

    rows = [
        (row["email"], row["about"], row["status"], row["wording"], row["list"], row["status_now"])
        for row in csv.DictReader(text.splitlines())
    ]
    assert rows == [
        (ann.email, "list", "subscribed", "Write to me.", "News", "subscribed"),
        (ann.email, "clicks", "agreed", "Count.", "", "agreed"),
    ]
    assert export_consents.events_of(news).count() == 2


def test_the_copy_for_a_person_says_what_they_agreed_to(ann: Contact, now: dt.datetime) -> None:
    tracking.decide(ann.pk, {CLICKS: True}, method="form", source="public form", now=now, wordings={CLICKS: "Count."})

    held = erasure.export(erasure.subject_of(ann))

    assert held["person"]["clicks counted"] == "yes"
    [step] = held["history of consent"]
    assert (step["about"], step["became"], step["agreed to"]) == ("clicks", "yes", "Count.")


def test_erasing_a_person_removes_what_they_said_about_opens(ann: Contact, now: dt.datetime) -> None:
    tracking.decide(ann.pk, {OPENS: True}, method="form", source="public form", now=now)

    erasure._erase_own(erasure.subject_of(ann))

    assert not ConsentEvent.objects.exists()
