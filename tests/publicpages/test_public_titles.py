"""The name of a list is internal where it has a public title: no page and no mail shows it to the people on it."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from contacts.consent import changes
from contacts.models import ConsentEvent, Contact, ContactList
from delivery.content.composer import composer_for
from delivery.content.message_ids import Outgoing
from delivery.content.tokens import preferences_url, unsubscribe_url
from delivery.models import Message
from publicpages.models import SignUp
from publicpages.subscriptions import subscribe
from smtpservers.models import SmtpServer
from tests.publicpages.conftest import path_of
from tests.publicpages.test_subscribing import sign_up

pytestmark = pytest.mark.django_db

NOW = dt.datetime(2026, 11, 30, 23, 59, tzinfo=dt.UTC)
NAME, TITLE = "Fair 2026 cold leads", "News from the fair"


@pytest.fixture
def fair(club: ContactList) -> ContactList:
    ContactList.objects.filter(pk=club.pk).update(name=NAME, title=TITLE)
    club.refresh_from_db()
    return club


@pytest.fixture(autouse=True)
def no_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("publicpages.tasks.ring", lambda: None)


def raw(message: Message) -> str:
    """Return the message as it leaves."""
    server = SmtpServer.objects.create(name="One", host="relay.example.com", mail_from="Shop <a@example.com>")
    outgoing = Outgoing.of(message)
    outgoing.message_id = "<1@example.com>"
    return composer_for(message.mailing, server).compose(outgoing, NOW).content.decode()


def test_strangers_see_the_title(fair: ContactList) -> None:
    entry: SignUp = sign_up(fair)
    shown = [
        Client().get(reverse("publicpages:subscribe_to", args=[fair.pk])).content.decode(),
        raw(Message.objects.get()),
        Client().get(path_of(subscribe.confirm_url(entry.pk))).content.decode(),
        Client().post(path_of(subscribe.confirm_url(entry.pk))).content.decode(),
    ]

    assert [TITLE in each for each in shown] == [True] * 4
    assert not any(NAME in each for each in shown)
    assert {TITLE in event.wording for event in ConsentEvent.objects.all()} == {True}
    assert {event.list_name for event in ConsentEvent.objects.all()} == {NAME}  # For us.


def test_people_on_the_list_see_the_title(fair: ContactList, sent: Callable[..., Message]) -> None:
    ContactList.objects.filter(pk=fair.pk).update(is_public=False)
    ann = Contact.objects.create(email="ann@example.com")
    changes.subscribe(ann, fair, method="admin", source="mia", now=NOW)
    message = sent(ann, fair, status="queued")
    shown = [
        raw(message),  # List-Id names it.
        Client().get(path_of(preferences_url(message.pk))).content.decode(),
        Client().get(path_of(unsubscribe_url(message.pk))).content.decode(),
        Client().post(path_of(unsubscribe_url(message.pk)), {"scope": "list"}).content.decode(),
        Client().get(path_of(unsubscribe_url(message.pk))).content.decode(),
    ]

    assert [TITLE in each for each in shown] == [True] * 5
    assert not any(NAME in each for each in shown)


def test_without_a_title_the_name_is_shown(club: ContactList) -> None:
    assert "Club" in Client().get(reverse("publicpages:subscribe_to", args=[club.pk])).content.decode()
