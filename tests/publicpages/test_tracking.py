"""The choice whether opens and clicks are counted: on the preference page, and on a page of its own."""

from html import unescape
from typing import Any

import pytest
from django.test import Client

from contacts.consent.tracking import CLICKS, OPENS
from contacts.models import ConsentEvent, Contact, ContactList
from delivery.content.tokens import preferences_url, tracking_url
from delivery.models import Message
from publicpages.words.tracking import TRACKING
from tests.publicpages.conftest import path_of

pytestmark = pytest.mark.django_db

EN = TRACKING["en"]


@pytest.fixture
def ann() -> Contact:
    return Contact.objects.create(email="ann@example.com", first_name="Ann")


@pytest.fixture
def message(ann: Contact, shop: ContactList, sent: Any) -> Message:
    return sent(ann, shop)


def consents(contact: Contact) -> tuple[str, str]:
    contact.refresh_from_db()
    return contact.open_tracking, contact.click_tracking


def choose(url: str, count: list[str], counted: list[str] | None = None) -> str:
    fields: dict[str, Any] = {"do": "count", "count": count, "counted": counted or []}
    answer = Client(enforce_csrf_checks=True).post(path_of(url), fields, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 200
    assert not answer.cookies
    return unescape(answer.content.decode())


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
def test_opening_the_page_decides_nothing_and_ticks_nothing(message: Message, ann: Contact, url: Any) -> None:
    page = unescape(Client().get(path_of(url(message.pk))).content.decode())

    assert EN.unset in page
    assert 'name="count" value="opens"' in page
    assert 'name="count" value="opens" checked' not in page
    assert consents(ann) == ("unset", "unset")


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
def test_both_choices_are_stored_with_the_words_that_were_shown(message: Message, ann: Contact, url: Any) -> None:
    page = choose(url(message.pk), ["opens"])

    assert consents(ann) == ("yes", "none")
    assert EN.unset not in page
    assert 'name="count" value="opens" checked' in page
    proof = ConsentEvent.objects.get(contact=ann, topic=OPENS)
    assert (proof.status, proof.method, proof.network) == ("yes", "preferences", "203.0.113.0/24")
    assert proof.wording.startswith(f"{EN.opens}: ")
    assert proof.wording.endswith(EN.change)
    assert proof.wording.removeprefix(f"{EN.opens}: ").removesuffix(f" {EN.change}") in page


def test_a_withdrawal_is_stored_at_once_and_proven(message: Message, ann: Contact) -> None:
    choose(tracking_url(message.pk), ["opens", "clicks"])

    choose(tracking_url(message.pk), [], ["opens", "clicks"])

    assert consents(ann) == ("none", "none")
    assert [event.status for event in ConsentEvent.objects.filter(contact=ann, topic=CLICKS)] == ["none", "yes"]


def test_a_page_left_open_does_not_agree_again_to_what_was_withdrawn_meanwhile(message: Message, ann: Contact) -> None:
    choose(tracking_url(message.pk), ["opens", "clicks"])
    choose(preferences_url(message.pk), ["opens"], ["opens", "clicks"])

    choose(tracking_url(message.pk), ["clicks"], ["opens", "clicks"])  # Opened before the withdrawal.

    assert consents(ann) == ("none", "none")


def test_saving_the_rest_of_the_settings_decides_nothing_about_opens(message: Message, ann: Contact) -> None:
    Client().post(path_of(preferences_url(message.pk)), {"do": "save", "first_name": "Anna"})

    assert consents(ann) == ("unset", "unset")
    assert not ConsentEvent.objects.filter(contact=ann, topic__in=[OPENS, CLICKS]).exists()


@pytest.mark.parametrize("fields", [{}, {"do": "leave"}, {"do": "save"}, {"do": ["count", "pause"]}])
def test_the_page_of_this_choice_does_nothing_else(message: Message, ann: Contact, fields: Any) -> None:
    answer = Client().post(path_of(tracking_url(message.pk)), {"count": ["opens"], **fields})

    assert answer.status_code == 400
    assert consents(ann) == ("unset", "unset")
    assert ann.paused_until is None


@pytest.mark.parametrize("sent_names", [["list"], ["opens; DROP"], ["OPENS"], ["\0"], ["x" * 5_000]])
def test_unknown_switches_agree_to_nothing(message: Message, ann: Contact, sent_names: list[str]) -> None:
    choose(tracking_url(message.pk), sent_names, sent_names)

    assert consents(ann) == ("none", "none")


@pytest.mark.parametrize("change", ["gone", "new address", "copy", "test"])
def test_the_link_works_for_nobody_but_the_person(message: Message, ann: Contact, sent: Any, change: str) -> None:
    if change == "gone":
        Message.objects.filter(pk=message.pk).update(contact=None)
    elif change == "new address":
        Contact.objects.filter(pk=ann.pk).update(email="new@example.com", email_key="new@example.com")
    elif change == "copy":
        original = message.pk
        message = sent(None)
        Message.objects.filter(pk=message.pk).update(copy_of=original)
    else:
        type(message.mailing).objects.filter(pk=message.mailing_id).update(stream="test")

    for url in (tracking_url, preferences_url):
        Client().post(path_of(url(message.pk)), {"do": "count", "count": ["opens", "clicks"]})

    assert consents(ann) == ("unset", "unset")


def test_an_address_shown_to_strangers_stays_masked(message: Message) -> None:
    assert "ann@example.com" not in Client().get(path_of(tracking_url(message.pk))).content.decode()


def test_the_choice_is_shown_in_the_persons_language(message: Message, ann: Contact) -> None:
    Contact.objects.filter(pk=ann.pk).update(language="de")

    page = choose(tracking_url(message.pk), ["clicks"])

    assert TRACKING["de"].clicks in page
    proof = ConsentEvent.objects.get(contact=ann, topic=CLICKS)
    assert proof.wording.startswith(TRACKING["de"].clicks)
