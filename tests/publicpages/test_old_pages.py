"""Public pages that lay open, are reloaded or sent again: they withdraw, and agree to nothing that was ended since."""

import datetime as dt
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from contacts.consent import changes, tracking
from contacts.consent.tracking import CLICKS, OPENS
from contacts.models import ConsentEvent, Contact, ContactList, Suppression
from delivery.content.tokens import preferences_url, tracking_url, unsubscribe_url
from delivery.models import Message
from publicpages.words.unsubscribe import LANGUAGES
from tests.publicpages.conftest import path_of, stamp_on

pytestmark = pytest.mark.django_db

EN = LANGUAGES["en"]


@pytest.fixture
def ann(shop: ContactList) -> Contact:
    return Contact.objects.create(email="ann@example.com")


@pytest.fixture
def message(ann: Contact, shop: ContactList, sent: Any) -> Message:
    return sent(ann, shop)


class Tab:
    """A page in a browser, and what it sent last: reloading it sends that again."""

    def __init__(self, url: str) -> None:
        self.path = path_of(url)
        self.page = stamp_on(self.path)
        self.sent: dict[str, Any] = {}

    def send(self, **fields: Any) -> str:
        self.sent = {**self.page, **fields}
        return self.send_again()

    def send_again(self) -> str:
        answer = Client(enforce_csrf_checks=True).post(self.path, self.sent, follow=True)
        assert answer.status_code == 200
        return unescape(answer.content.decode())


def is_refused(page: str) -> bool:
    return EN.again_title in page and EN.again in page


def state(contact: Contact) -> tuple[list[str], str, str, bool]:
    contact.refresh_from_db()
    lists = contact.subscriptions.filter(status="subscribed").values_list("list__name", flat=True)
    left = Suppression.objects.filter(email_key=contact.email_key).exists()
    return sorted(lists), contact.open_tracking, contact.click_tracking, left


def steps() -> int:
    return ConsentEvent.objects.count()


SWITCHES = {"do": "count", "count": ["opens", "clicks"]}
NOTHING = {"do": "count"}


def subscribing(shop: ContactList) -> dict[str, Any]:
    return {"do": "save", "shown": shop.pk, "list": shop.pk}


# --- the switches


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
@pytest.mark.parametrize("ends", [NOTHING, {"do": "leave"}])
def test_a_page_that_is_sent_again_does_not_undo_a_withdrawal(
    message: Message, ann: Contact, url: Any, ends: dict[str, Any]
) -> None:
    phone = Tab(url(message.pk))
    assert not is_refused(phone.send(**SWITCHES))
    assert state(ann)[1:3] == ("yes", "yes")
    Tab(preferences_url(message.pk)).send(**ends)
    after, known = state(ann), steps()
    assert after[1:3] == ("none", "none")

    for _ in range(2):  # Sending it again is no new look at it.
        assert is_refused(phone.send_again())

    assert (state(ann), steps()) == (after, known)
    assert not is_refused(Tab(url(message.pk)).send(**SWITCHES))  # Who looks and chooses again is heard.
    assert state(ann)[1:3] == ("yes", "yes")


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
def test_an_open_page_does_not_agree_to_what_was_agreed_and_withdrawn_meanwhile(
    message: Message, ann: Contact, url: Any
) -> None:
    Tab(url(message.pk)).send(**NOTHING)
    old = Tab(url(message.pk))
    for choice in (SWITCHES, NOTHING):  # The state is the one that the old page shows.
        Tab(url(message.pk)).send(**choice)

    assert is_refused(old.send(**SWITCHES))
    assert state(ann)[1:3] == ("none", "none")


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
@pytest.mark.parametrize("page", [{}, {"decision": ""}, {"decision": "0" * 24}, {"decision": "é\0"}])
def test_a_post_without_the_stamp_of_a_page_agrees_to_nothing(
    message: Message, ann: Contact, shop: ContactList, url: Any, page: dict[str, str]
) -> None:
    for fields in (SWITCHES, subscribing(shop)) if url is preferences_url else (SWITCHES,):
        tab = Tab(url(message.pk))
        tab.page = page
        assert is_refused(tab.send(**fields))

    assert state(ann) == ([], "unset", "unset", False)
    assert steps() == 0


def test_the_stamp_of_another_person_agrees_to_nothing(message: Message, ann: Contact, sent: Any) -> None:
    bob = Contact.objects.create(email="bob@example.com")
    tab = Tab(tracking_url(message.pk))
    tab.page = stamp_on(path_of(tracking_url(sent(bob).pk)))

    assert is_refused(tab.send(**SWITCHES))
    assert state(ann)[1:3] == ("unset", "unset")


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
@pytest.mark.parametrize("page", ["old", "none"])
def test_an_old_page_withdraws_what_is_not_ticked_on_it(message: Message, ann: Contact, url: Any, page: str) -> None:
    tab = Tab(url(message.pk))
    Tab(url(message.pk)).send(**SWITCHES)
    tab.page = tab.page if page == "old" else {}

    answer = tab.send(do="count", count=["opens"])

    assert not is_refused(answer)  # It stays agreed to; the page grants nothing new.
    assert state(ann)[1:3] == ("yes", "none")


@pytest.mark.parametrize("url", [preferences_url, tracking_url])
def test_a_button_pressed_twice_decides_once_and_says_what_was_done(message: Message, ann: Contact, url: Any) -> None:
    tab = Tab(url(message.pk))

    pages = [tab.send(**SWITCHES), tab.send_again()]

    assert not any(map(is_refused, pages))
    assert pages[0] == pages[1]
    assert ConsentEvent.objects.filter(status="yes").count() == 2


def test_what_was_done_is_said_until_something_else_is_decided(message: Message, ann: Contact) -> None:
    answer = Client().post(path_of(preferences_url(message.pk)), {"do": "leave"})
    assert answer.status_code == 303
    said = answer["Location"]

    before = Client().get(said).content.decode()
    Tab(tracking_url(message.pk)).send(**SWITCHES)
    after = Client().get(said).content.decode()

    assert [EN.done in page for page in (before, after)] == [True, False]
    assert not is_refused(after)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_asks_to_choose_again_in_the_persons_language(message: Message, ann: Contact, language: str) -> None:
    Contact.objects.filter(pk=ann.pk).update(language=language)
    tab = Tab(tracking_url(message.pk))
    tab.page = {}

    answer = tab.send(**SWITCHES)

    assert LANGUAGES[language].again_title in answer
    assert LANGUAGES[language].again in answer


# --- lists


@pytest.mark.parametrize("ends", ["list", "leave", "one-click"])
def test_a_subscription_that_is_sent_again_does_not_undo_a_withdrawal(
    message: Message, ann: Contact, shop: ContactList, ends: str
) -> None:
    phone = Tab(preferences_url(message.pk))
    assert not is_refused(phone.send(**subscribing(shop)))
    assert not is_refused(phone.send_again())  # Pressed twice.
    assert ConsentEvent.objects.filter(status="subscribed").count() == 1
    if ends == "one-click":
        Client().post(path_of(unsubscribe_url(message.pk)), {"List-Unsubscribe": "One-Click"})
    else:
        fields = {"do": "leave"} if ends == "leave" else {"do": "save", "shown": shop.pk}
        Tab(preferences_url(message.pk)).send(**fields)
    after, known = state(ann), steps()
    assert after[0] == []

    assert is_refused(phone.send_again())

    assert (state(ann), steps()) == (after, known)


def test_who_leaves_everything_from_no_list_is_brought_back_by_no_older_page(
    message: Message, ann: Contact, shop: ContactList
) -> None:
    changes.unsubscribe(ann.pk, [shop.pk], method="unsubscribe", source="link", now=timezone.now())
    old = Tab(preferences_url(message.pk))
    known = steps()
    Tab(preferences_url(message.pk)).send(do="leave")
    assert steps() == known  # There was nothing left to withdraw.

    assert is_refused(old.send(**subscribing(shop)))
    assert state(ann) == ([], "unset", "unset", True)


@pytest.mark.parametrize("page", ["old", "none"])
def test_an_old_page_leaves_lists_and_joins_none(
    message: Message, ann: Contact, shop: ContactList, club: ContactList, page: str
) -> None:
    old = Tab(preferences_url(message.pk))
    old.page = old.page if page == "old" else {}
    changes.subscribe(ann, shop, method="form", source="form", now=timezone.now())

    answer = old.send(do="save", shown=[shop.pk, club.pk], list=[club.pk])

    assert is_refused(answer)
    assert state(ann)[0] == []
    assert ConsentEvent.objects.get(status="unsubscribed").list == shop


def test_everything_is_left_from_a_page_of_any_age(message: Message, ann: Contact, shop: ContactList) -> None:
    old = Tab(preferences_url(message.pk))
    old.page = {}
    changes.subscribe(ann, shop, method="form", source="form", now=timezone.now())

    assert EN.done in old.send(do="leave")
    assert state(ann) == ([], "unset", "unset", True)


def test_a_request_that_anybody_may_have_made_does_not_age_a_page(
    message: Message, ann: Contact, club: ContactList
) -> None:
    tab = Tab(preferences_url(message.pk))
    changes.request_subscription(ann, club, source="form", now=timezone.now())

    assert not is_refused(tab.send(**subscribing(club)))
    assert state(ann)[0] == ["Club"]


# --- the break


def test_the_end_of_a_break_that_is_sent_again_ends_no_later_break(message: Message, ann: Contact) -> None:
    Tab(preferences_url(message.pk)).send(do="pause")
    phone = Tab(preferences_url(message.pk))
    assert not any(map(is_refused, (phone.send(do="resume"), phone.send_again())))
    Tab(preferences_url(message.pk)).send(do="pause")

    assert is_refused(phone.send_again())

    ann.refresh_from_db()
    assert ann.paused_until is not None


# --- the undo of an unsubscribe


def undo_of(message: Message) -> Tab:
    return Tab(unsubscribe_url(message.pk))


@pytest.mark.parametrize("scope", ["list", "all"])
@pytest.mark.parametrize("is_known", [True, False])
def test_an_undo_that_is_sent_again_does_not_undo_a_later_unsubscribe(
    message: Message, ann: Contact, shop: ContactList, scope: str, is_known: bool
) -> None:
    changes.subscribe(ann, shop, method="form", source="form", now=timezone.now() - dt.timedelta(hours=1))
    if not is_known:  # Mail outlives its contact.
        ann.delete()
    undo_of(message).send(scope=scope)
    phone = undo_of(message)
    assert EN.undone_title in phone.send(scope="undo")
    again = phone.send_again()  # Pressed twice.
    assert EN.undone_title not in again
    assert not is_refused(again)
    undo_of(message).send(scope=scope)
    left = Suppression.objects.count(), list(ann.subscriptions.values_list("status")) if is_known else []

    assert is_refused(phone.send_again())

    assert left == (Suppression.objects.count(), list(ann.subscriptions.values_list("status")) if is_known else [])
    assert EN.undone_title in undo_of(message).send(scope="undo")


def test_an_undo_without_its_page_undoes_nothing(message: Message, ann: Contact, shop: ContactList) -> None:
    changes.subscribe(ann, shop, method="form", source="form", now=timezone.now() - dt.timedelta(hours=1))
    tab = undo_of(message)
    tab.send(scope="list")
    tab.page = {}

    assert is_refused(tab.send(scope="undo"))
    assert state(ann)[0] == []


def test_a_decision_of_a_user_ages_the_pages_of_the_person(message: Message, ann: Contact) -> None:
    tab = Tab(tracking_url(message.pk))
    tracking.decide(ann.pk, {OPENS: False, CLICKS: False}, method="admin", source="admin: mia", now=timezone.now())

    assert is_refused(tab.send(**SWITCHES))
    assert state(ann)[1:3] == ("none", "none")
