"""A contact's page that stood open while the person, or somebody else, changed something: consent above all."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from contacts import consent
from contacts.models import ConsentEvent, Contact, ContactList, Subscription
from delivery import queueing, tokens
from delivery.models import Message
from tests.browsing import opened

Status = Subscription.Status


@pytest.fixture
def marketer(db: None) -> Client:
    person = User.objects.create_user("mia", is_staff=True)
    person.groups.add(Group.objects.get(name="marketer"))
    client = Client()
    client.force_login(person, "django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def ann(db: None) -> Contact:
    return Contact.objects.create(email="ann@example.org")


def subscribed(ann: Contact, status: str = Status.SUBSCRIBED) -> ContactList:
    news = ContactList.objects.create(name="News")
    Subscription.objects.create(contact=ann, list=news, status=status)
    return news


def page_of(contact: Contact) -> str:
    return reverse("admin:contacts_contact_change", args=[contact.pk])


def left_open(client: Client, contact: Contact) -> dict[str, Any]:
    return opened(client.get(page_of(contact)).content, "contact_form")


def status_of(contact: Contact) -> str:
    return Subscription.objects.get(contact=contact).status


def test_a_withdrawal_by_one_click_stays_whatever_an_older_page_says(marketer: Client, ann: Contact) -> None:
    news = subscribed(ann)
    mailing = queueing.open_mailing(
        stream="campaign", name="News", subject="News", html="<p>News</p>", text="", lists=[news]
    )
    queueing.snapshot(mailing.pk, timezone.now())
    page = left_open(marketer, ann)
    link = tokens.unsubscribe_url(Message.objects.get(mailing=mailing).pk)
    assert Client().post(f"/u/{link.rpartition('/')[2]}", {"List-Unsubscribe": "One-Click"}).status_code == 200
    assert status_of(ann) == Status.UNSUBSCRIBED

    saved = marketer.post(page_of(ann), page | {"first_name": "Ann"})

    ann.refresh_from_db()
    assert saved.status_code == 302
    assert ann.first_name == "Ann"
    assert status_of(ann) == Status.UNSUBSCRIBED
    assert not ConsentEvent.objects.filter(contact=ann, method="admin").exists()


def test_a_confirmation_is_not_taken_back_by_a_page_that_showed_none(marketer: Client, ann: Contact) -> None:
    news = subscribed(ann, Status.PENDING)
    page = left_open(marketer, ann)
    consent.confirm(ann, news, source="link", now=timezone.now())

    marketer.post(page_of(ann), page | {"first_name": "Ann"})

    assert status_of(ann) == Status.SUBSCRIBED
    assert not ConsentEvent.objects.filter(contact=ann, method="admin").exists()


@pytest.mark.parametrize("times", [1, 2])
def test_whoever_subscribes_somebody_on_an_older_page_is_told_that_they_withdrew(
    marketer: Client, ann: Contact, times: int
) -> None:
    news = subscribed(ann, Status.PENDING)
    page = left_open(marketer, ann)
    consent.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=timezone.now())

    for _ in range(times):  # Saving again is no new look at it.
        refused = marketer.post(page_of(ann), page | {"subscriptions-0-status": "subscribed", "first_name": "Ann"})
        page = opened(refused.content, "contact_form")

    assert refused.status_code == 200
    assert "Somebody changed this while you had the page open." in refused.content.decode()
    assert page["subscriptions-0-status"] == "unsubscribed"
    assert status_of(ann) == Status.UNSUBSCRIBED


def test_a_page_that_shows_the_withdrawal_may_undo_it_for_the_person(marketer: Client, ann: Contact) -> None:
    subscribed(ann, Status.UNSUBSCRIBED)

    saved = marketer.post(page_of(ann), left_open(marketer, ann) | {"subscriptions-0-status": "subscribed"})

    assert saved.status_code == 302
    assert status_of(ann) == Status.SUBSCRIBED


def test_a_list_that_was_joined_and_left_meanwhile_is_not_joined_by_an_older_page(
    marketer: Client, ann: Contact
) -> None:
    news = ContactList.objects.create(name="News")
    page = left_open(marketer, ann)
    consent.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=timezone.now())

    marketer.post(page_of(ann), page | {"add_to_lists": str(news.pk)})

    assert status_of(ann) == Status.UNSUBSCRIBED


def test_what_others_filled_in_meanwhile_is_not_emptied(marketer: Client, ann: Contact) -> None:
    page = left_open(marketer, ann)
    until = timezone.now() + dt.timedelta(days=30)
    Contact.objects.filter(pk=ann.pk).update(last_name="Smith", language="de", paused_until=until)

    refused = marketer.post(page_of(ann), page | {"first_name": "Ann"})

    said = refused.content.decode()
    assert "Somebody changed this contact while you had it open" in said
    assert all(label in said for label in ("“Last name”", "“Language”", "“Paused until”"))
    again = opened(said, "contact_form")
    assert (again["first_name"], again["last_name"], again["language"]) == ("Ann", "Smith", "de")
    assert marketer.post(page_of(ann), again).status_code == 302
    ann.refresh_from_db()
    assert (ann.first_name, ann.last_name, ann.language, ann.paused_until is not None) == ("Ann", "Smith", "de", True)
