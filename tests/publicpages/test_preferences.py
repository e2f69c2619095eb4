"""The page of a person's own settings: what it shows, what each button does, and to whom it says nothing."""

import datetime as dt
from typing import Any

import pytest
from django.test import Client

from contacts.consent import changes
from contacts.models import ConsentEvent, Contact, ContactList, Subscription, Suppression, SuppressionLift
from delivery.content.tokens import preferences_url, unsubscribe_url
from delivery.models import Message
from feedback.models import Feedback
from feedback.records.late_figures import late_counts
from feedback.unsubscribe import count_unsubscribed
from publicpages.words.preferences import PREFERENCES
from tests.publicpages.conftest import path_of, stamp_on

pytestmark = pytest.mark.django_db

EN = PREFERENCES["en"]


@pytest.fixture
def board() -> ContactList:
    return ContactList.objects.create(name="Board")  # Not public.


@pytest.fixture
def ann(shop: ContactList, board: ContactList) -> Contact:
    contact = Contact.objects.create(email="ann@example.com", first_name="Ann")
    for contact_list in (shop, board):
        changes.subscribe(contact, contact_list, method="form", source="page", now=dt.datetime.now(dt.UTC))
    return contact


@pytest.fixture
def message(ann: Contact, shop: ContactList, sent: Any) -> Message:
    return sent(ann, shop)


def link(message: Message) -> str:
    return path_of(preferences_url(message.pk))


def do(message: Message, what: str, **fields: Any) -> str:
    sent = {"do": what, **stamp_on(link(message)), **fields}
    client = Client(enforce_csrf_checks=True)
    answer = client.post(link(message), sent, follow=True, REMOTE_ADDR="203.0.113.9")
    assert answer.redirect_chain == [(answer.request["PATH_INFO"] + "?" + answer.request["QUERY_STRING"], 303)]
    assert answer.status_code == 200
    assert not answer.cookies
    return answer.content.decode()


def save(message: Message, shown: list[ContactList], chosen: list[ContactList], **fields: str) -> str:
    return do(message, "save", shown=[each.pk for each in shown], list=[each.pk for each in chosen], **fields)


def lists_of(contact: Contact) -> set[str]:
    return set(contact.subscriptions.filter(status="subscribed").values_list("list__name", flat=True))


def test_the_page_shows_public_lists_and_the_persons_own(message: Message, club: ContactList) -> None:
    ContactList.objects.create(name="Secret")
    before = list(Subscription.objects.values())

    page = Client().get(link(message)).content.decode()

    assert [name in page for name in ("Club", "Shop", "Board", "Secret")] == [True, True, True, False]
    assert page.count("checked") == 2
    assert "Once a month." in page
    assert "a***@example.com" in page
    assert "ann@example.com" not in page
    assert list(Subscription.objects.values()) == before


def test_saving_gives_and_withdraws_consent_and_keeps_names_and_language(
    message: Message, ann: Contact, club: ContactList, shop: ContactList, board: ContactList
) -> None:
    page = save(message, [club, shop, board], [club, board], first_name="Anna", last_name="Lee", language="de")

    ann.refresh_from_db()
    event = ConsentEvent.objects.filter(list=club).get()
    assert lists_of(ann) == {"Club", "Board"}
    assert (ann.first_name, ann.last_name, ann.language) == ("Anna", "Lee", "de")
    assert PREFERENCES["de"].saved_title in page  # In the language that was just chosen.
    assert (event.method, event.network) == ("preferences", "203.0.113.0/24")
    assert event.wording == "I would like to receive “Club” by email. I can unsubscribe at any time."
    assert count_unsubscribed(message.mailing_id) == 1
    assert Feedback.objects.get().channel == "preferences"


def test_lists_that_did_not_stand_on_the_page_stay_as_they_are(
    message: Message, ann: Contact, club: ContactList, shop: ContactList, board: ContactList
) -> None:
    secret = ContactList.objects.create(name="Secret")

    save(message, [shop, secret], [shop, secret, club])

    assert lists_of(ann) == {"Shop", "Board"}
    assert not Feedback.objects.exists()


def test_a_pending_list_says_so_and_a_tick_confirms_it(
    message: Message, ann: Contact, club: ContactList, shop: ContactList
) -> None:
    changes.request_subscription(ann, club, source="form", now=dt.datetime.now(dt.UTC))

    assert EN.not_confirmed in Client().get(link(message)).content.decode()
    save(message, [club, shop], [club, shop])

    assert lists_of(ann) == {"Club", "Shop", "Board"}


def test_a_break_leaves_the_consent_and_can_be_ended(message: Message, ann: Contact) -> None:
    paused = do(message, "pause")
    ann.refresh_from_db()
    days = (ann.paused_until - dt.datetime.now(dt.UTC)).total_seconds() / 86_400
    resumed = do(message, "resume")
    ann.refresh_from_db()

    assert 29.9 < days <= 30
    assert EN.resume in paused
    assert EN.resumed in resumed
    assert ann.paused_until is None
    assert lists_of(ann) == {"Shop", "Board"}


def test_all_off_and_a_list_chosen_afterwards(message: Message, ann: Contact, shop: ContactList) -> None:
    off = do(message, "leave")
    was_left = (lists_of(ann), Suppression.objects.get().reason, Feedback.objects.get().is_global)
    save(message, [shop], [])  # Chooses nothing: nothing comes back.
    still_off = Suppression.objects.exists()
    save(message, [shop], [shop])

    assert "You are unsubscribed." in off
    assert "writes to you" not in off
    assert "a***@" in off
    assert was_left == (set(), "unsubscribed", True)
    assert still_off
    assert lists_of(ann) == {"Shop"}
    assert not Suppression.objects.exists()
    assert SuppressionLift.objects.get().lifted_by_name == "the person"


def test_who_was_suppressed_otherwise_is_told_and_stays_suppressed(
    message: Message, ann: Contact, club: ContactList, shop: ContactList
) -> None:
    changes.suppress(ann.email, Suppression.Reason.COMPLAINT, "a report", dt.datetime.now(dt.UTC))

    page = save(message, [club, shop], [club, shop])

    assert EN.blocked in page
    assert Suppression.objects.get().reason == "complaint"


@pytest.mark.parametrize("stream", ["test", "copy", "moved", "gone"])
def test_tests_copies_and_old_addresses_lead_to_nobodys_settings(
    message: Message, ann: Contact, shop: ContactList, sent: Any, stream: str
) -> None:
    if stream == "test":
        message = sent(ann, shop, stream="test")
    elif stream == "copy":
        message = sent(ann, shop, copy_of=message, email="boss@example.com", email_key="boss@example.com")
    elif stream == "moved":
        Contact.objects.update(email="ann@example.org", email_key="ann@example.org")
    else:
        ann.delete()
    before = list(Subscription.objects.values())

    answers = [Client().get(link(message)), Client().post(link(message), {"do": "leave"})]

    assert all("<form" not in answer.content.decode() for answer in answers)
    assert list(Subscription.objects.values()) == before
    assert not Suppression.objects.exists()


def test_an_unknown_wish_changes_nothing(message: Message, ann: Contact) -> None:
    assert Client().post(link(message), {"do": "everything"}).status_code == 400
    assert lists_of(ann) == {"Shop", "Board"}


def test_the_unsubscribe_page_leads_there(message: Message) -> None:
    page = Client().get(path_of(unsubscribe_url(message.pk))).content.decode()

    assert f'href="{link(message)}"' in page


# --- undoing, from the page behind the unsubscribe link


def leave(message: Message, **fields: str) -> str:
    path = path_of(unsubscribe_url(message.pk))
    return Client().post(path, {**stamp_on(path), **fields}).content.decode()


def test_the_cause_is_kept_beside_the_persons_own_words(message: Message) -> None:
    leave(message, scope="list", cause="too_often", reason="Every day!")

    assert (Feedback.objects.get().cause, Feedback.objects.get().reason) == ("too_often", "Every day!")


def test_a_cause_that_is_none_of_ours_is_dropped(message: Message) -> None:
    leave(message, scope="list", cause="<script>")

    assert Feedback.objects.get().cause == ""


@pytest.mark.parametrize("scope", ["list", "all"])
def test_a_mistake_is_undone_with_all_that_it_changed_and_nothing_else(
    message: Message, ann: Contact, scope: str
) -> None:
    club = ContactList.objects.create(name="Club", is_public=True)
    message.mailing.lists.add(club)  # She was never on it.

    done = leave(message, scope=scope)
    off = lists_of(ann)
    undone = leave(message, scope="undo")
    twice = leave(message, scope="undo")

    assert 'value="undo"' in done
    assert "Shop" not in off
    assert "You are subscribed again." in undone
    assert "You are subscribed again." not in twice
    assert lists_of(ann) == {"Shop", "Board"}
    assert not Suppression.objects.exists()
    assert count_unsubscribed(message.mailing_id) == 0


def test_whoever_leaves_again_after_an_undo_counts_again_and_may_undo_again(message: Message, ann: Contact) -> None:
    for _ in range(2):
        leave(message, scope="list")
        assert count_unsubscribed(message.mailing_id) == 1
        leave(message, scope="undo")
        assert lists_of(ann) == {"Shop", "Board"}


def test_an_undo_takes_back_what_was_left_last_and_no_earlier_choice(
    message: Message, ann: Contact, shop: ContactList, board: ContactList
) -> None:
    leave(message, scope="list")
    leave(message, scope="all")
    save(message, [shop, board], [shop])  # Comes back, and not to the board.
    leave(message, scope="list")
    assert lists_of(ann) == set()

    leave(message, scope="undo")

    assert lists_of(ann) == {"Shop"}


@pytest.mark.parametrize("reason", ["complaint", "unsubscribed"])
def test_an_undo_lifts_no_suppression_that_came_otherwise(message: Message, ann: Contact, reason: str) -> None:
    leave(message, scope="list")
    changes.suppress(ann.email, reason, "a report, or a link in another mail", dt.datetime.now(dt.UTC))

    leave(message, scope="undo")

    assert Suppression.objects.get().reason == reason


def test_figures_leave_out_who_took_it_back(message: Message) -> None:
    leave(message, scope="list")
    before = sum(late.number for late in late_counts(None, None))
    leave(message, scope="undo")

    assert (before, list(late_counts(None, None))) == (1, [])


def test_who_left_everything_is_told_so_and_asked_nothing(message: Message) -> None:
    leave(message, scope="all")

    page = Client().get(path_of(unsubscribe_url(message.pk))).content.decode()

    assert "You have unsubscribed already from all mail of Brilliance." in page
    assert 'name="reason"' not in page


def test_an_undo_is_offered_for_a_day(message: Message, ann: Contact) -> None:
    leave(message, scope="list")
    Feedback.objects.update(received_at=dt.datetime.now(dt.UTC) - dt.timedelta(days=1, seconds=1))

    page = Client().get(path_of(unsubscribe_url(message.pk))).content.decode()
    leave(message, scope="undo")

    assert "You have unsubscribed already from: Shop." in page
    assert 'value="undo"' not in page
    assert 'value="list"' not in page
    assert lists_of(ann) == {"Board"}


# --- messages whose recipient was forgotten


def test_links_of_a_message_without_its_address_work_while_its_person_is_known(message: Message, ann: Contact) -> None:
    Message.objects.update(email="(erased)", email_key=f"erased:{message.pk}")

    pages = [Client().get(path_of(url(message.pk))).content.decode() for url in (preferences_url, unsubscribe_url)]
    ann.delete()
    answers = [Client().get(path_of(url(message.pk))) for url in (preferences_url, unsubscribe_url)]

    assert all("a***@example.com" in page for page in pages)
    assert [answer.status_code for answer in answers] == [404, 404]


def test_characters_that_nobody_sees_come_into_no_name(message: Message, ann: Contact, club: ContactList) -> None:
    save(message, [club], [club], first_name="A\u202en\u200bn", last_name="\u202aLee\u202c\x07")

    ann.refresh_from_db()
    assert (ann.first_name, ann.last_name) == ("A n n", "Lee")
