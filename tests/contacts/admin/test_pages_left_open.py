"""A contact's page that stood open while the person, or somebody else, changed something: consent above all."""

import datetime as dt
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from contacts.consent import changes, tracking
from contacts.forms.contact import DECIDED_SINCE
from contacts.models import ConsentEvent, Contact, ContactList, Subscription, Suppression
from delivery.content import tokens
from delivery.models import Message
from delivery.outbox import mailings
from delivery.outbox.snapshot import snapshot
from tests.harness.forms import opened

Status = Subscription.Status


@pytest.fixture
def marketer(db: None) -> Client:
    person = User.objects.create_user("mia", is_staff=True)
    person.groups.add(Group.objects.get(name="marketer"))
    client = Client()
    client.force_login(person)
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
    mailing = mailings.open_mailing(
        stream="campaign", name="News", subject="News", html="<p>News</p>", text="", lists=[news]
    )
    snapshot(mailing.pk, timezone.now())
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
    changes.confirm(ann, news, source="link", now=timezone.now())

    marketer.post(page_of(ann), page | {"first_name": "Ann"})

    assert status_of(ann) == Status.SUBSCRIBED
    assert not ConsentEvent.objects.filter(contact=ann, method="admin").exists()


@pytest.mark.parametrize("times", [1, 2])
def test_whoever_subscribes_somebody_on_an_older_page_is_told_that_they_withdrew(
    marketer: Client, ann: Contact, times: int
) -> None:
    news = subscribed(ann, Status.PENDING)
    page = left_open(marketer, ann)
    changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=timezone.now())

    for _ in range(times):  # Saving again is no new look at it.
        refused = marketer.post(page_of(ann), page | {"subscriptions-0-status": "subscribed", "first_name": "Ann"})
        page = opened(refused.content, "contact_form")

    assert refused.status_code == 200
    assert "Someone else changed this while you had the page open." in refused.content.decode()
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
    changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=timezone.now())

    marketer.post(page_of(ann), page | {"add_to_lists": str(news.pk)})

    assert status_of(ann) == Status.UNSUBSCRIBED


def test_what_others_filled_in_meanwhile_is_not_emptied(marketer: Client, ann: Contact) -> None:
    page = left_open(marketer, ann)
    until = timezone.now() + dt.timedelta(days=30)
    Contact.objects.filter(pk=ann.pk).update(last_name="Smith", language="de", paused_until=until)

    refused = marketer.post(page_of(ann), page | {"first_name": "Ann"})

    said = refused.content.decode()
    assert "Someone else changed this contact while you had it open" in said
    assert all(label in said for label in ("“Last name”", "“Language”", "“Paused until”"))
    again = opened(said, "contact_form")
    assert (again["first_name"], again["last_name"], again["language"]) == ("Ann", "Smith", "de")
    assert marketer.post(page_of(ann), again).status_code == 302
    ann.refresh_from_db()
    assert (ann.first_name, ann.last_name, ann.language, ann.paused_until is not None) == ("Ann", "Smith", "de", True)


@pytest.mark.parametrize("reason", [Suppression.Reason.UNSUBSCRIBED, Suppression.Reason.COMPLAINT])
def test_the_wish_to_get_no_mail_follows_a_person_to_a_new_address(
    marketer: Client, ann: Contact, reason: Suppression.Reason
) -> None:
    page = left_open(marketer, ann)
    end = timezone.now() + dt.timedelta(days=90)
    changes.suppress(ann.email, reason, "All mail from us", timezone.now(), until=end)

    response = marketer.post(page_of(ann), page | {"email": "Ann.Lee@example.net"}, follow=True)

    wish = Suppression.objects.get(email_key="ann.lee@example.net")
    assert (wish.reason, wish.expires_at) == (reason, end)
    assert wish.source == "Followed the person to a new address. All mail from us"
    assert Suppression.objects.filter(email_key="ann@example.org", reason=reason).exists()
    assert f"Ann.Lee@example.net is suppressed too. Reason: {reason.label}." in response.content.decode()


def test_an_import_does_not_bring_back_who_left_under_another_address(ann: Contact) -> None:
    now = timezone.now()
    changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=now, contact_id=ann.pk)
    ann.email = "lee@example.net"
    ann.save()
    events = ContactList.objects.create(name="Events")

    added = changes.subscribe_in_bulk([ann.pk], events.pk, method="import", source="people.csv", now=now)

    assert added == 0


@pytest.mark.parametrize("reason", [Suppression.Reason.HARD_BOUNCE, Suppression.Reason.MANUAL])
def test_what_concerns_the_mailbox_stays_with_the_mailbox(marketer: Client, ann: Contact, reason: str) -> None:
    changes.suppress(ann.email, reason, "550 5.1.1", timezone.now())

    marketer.post(page_of(ann), left_open(marketer, ann) | {"email": "ann@example.net"})

    assert [each.email_key for each in Suppression.objects.all()] == ["ann@example.org"]
    ann.refresh_from_db()
    assert ann.email == "ann@example.net"


def test_a_wish_that_is_over_or_only_another_spelling_adds_nothing(ann: Contact) -> None:
    past = timezone.now() - dt.timedelta(days=2)
    changes.suppress(ann.email, "unsubscribed", "", past, until=past + dt.timedelta(days=1))

    for email in ("ANN@example.org", "ann@example.net"):
        ann.email = email
        ann.save()

    assert Suppression.objects.count() == 1


# --- whether opens and clicks are counted


def consents(contact: Contact) -> tuple[str, str]:
    contact.refresh_from_db()
    return contact.open_tracking, contact.click_tracking


def test_a_user_records_a_consent_with_how_it_was_given(marketer: Client, ann: Contact) -> None:
    recorded = {"count_opens": "yes", "count_clicks": "none", "agreed_how": "Ticked it on the order form."}

    saved = marketer.post(page_of(ann), left_open(marketer, ann) | recorded)

    assert saved.status_code == 302
    assert consents(ann) == ("yes", "none")
    proof = ConsentEvent.objects.get(contact=ann, topic="opens")
    assert (proof.method, proof.source, proof.wording) == ("admin", "admin: mia", "Ticked it on the order form.")


def test_nobody_is_counted_by_name_without_a_word_how_they_agreed(marketer: Client, ann: Contact) -> None:
    refused = marketer.post(page_of(ann), left_open(marketer, ann) | {"count_opens": "yes", "agreed_how": " "})

    assert "Say how they agreed." in refused.content.decode()
    assert consents(ann) == ("unset", "unset")


def test_a_user_may_withdraw_for_the_person_without_a_reason(marketer: Client, ann: Contact) -> None:
    Contact.objects.filter(pk=ann.pk).update(open_tracking="yes")

    marketer.post(page_of(ann), left_open(marketer, ann) | {"count_opens": "none"})

    assert consents(ann) == ("none", "unset")


@pytest.mark.parametrize("times", [1, 2])
def test_an_older_page_does_not_record_a_consent_that_was_refused_meanwhile(
    marketer: Client, ann: Contact, times: int
) -> None:
    page = left_open(marketer, ann)
    tracking.decide(ann.pk, {tracking.OPENS: False}, method="preferences", source="preference page", now=timezone.now())

    for _ in range(times):  # Saving again is no new look at it.
        typed = {"count_opens": "yes", "agreed_how": "By phone", "first_name": "Ann"}
        refused = marketer.post(page_of(ann), page | typed)
        page = opened(refused.content, "contact_form")

    assert str(DECIDED_SINCE) in unescape(refused.content.decode())
    assert consents(ann) == ("none", "unset")


def test_a_withdrawal_stays_when_an_older_page_changes_a_name(marketer: Client, ann: Contact) -> None:
    Contact.objects.filter(pk=ann.pk).update(open_tracking="yes")
    page = left_open(marketer, ann)
    tracking.decide(ann.pk, {tracking.OPENS: False}, method="preferences", source="preference page", now=timezone.now())

    saved = marketer.post(page_of(ann), page | {"first_name": "Ann"})

    assert saved.status_code == 302
    assert consents(ann) == ("none", "unset")


@pytest.mark.parametrize("value", ["unset", "unset>yes", "YES", "yes>none", ">yes", "yes\0", "x" * 999])
def test_what_the_page_does_not_offer_records_nothing(marketer: Client, ann: Contact, value: str) -> None:
    marketer.post(page_of(ann), left_open(marketer, ann) | {"count_opens": value, "agreed_how": "By phone"})

    assert consents(ann) == ("unset", "unset")


def test_the_columns_cannot_be_set_around_the_record(marketer: Client, ann: Contact) -> None:
    marketer.post(page_of(ann), left_open(marketer, ann) | {"open_tracking": "yes", "click_tracking": "yes"})

    assert consents(ann) == ("unset", "unset")


def test_a_person_is_added_with_a_consent_on_record(marketer: Client) -> None:
    form = opened(marketer.get(reverse("admin:contacts_contact_add")).content, "contact_form")

    marketer.post(
        reverse("admin:contacts_contact_add"),
        form | {"email": "bob@example.org", "count_clicks": "yes", "agreed_how": "By phone"},
    )

    assert consents(Contact.objects.get(email="bob@example.org")) == ("unset", "yes")
    assert ConsentEvent.objects.get().topic == "clicks"


def test_who_may_only_look_sees_the_consents_and_records_none(ann: Contact) -> None:
    viewer = User.objects.create_user("vera", is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_contact"))
    client = Client()
    client.force_login(viewer)
    Contact.objects.filter(pk=ann.pk).update(open_tracking="yes")

    page = client.get(page_of(ann)).content.decode()
    client.post(page_of(ann), {"email": ann.email, "count_clicks": "yes", "agreed_how": "By phone"})

    assert "Agreed" in page
    assert 'name="count_opens"' not in page
    assert consents(ann) == ("yes", "unset")


# --- agreed and withdrawn while the page was open: the state is the one that it shows


def left_meanwhile(ann: Contact, news: ContactList) -> None:
    """Have the person agree to everything, and withdraw it."""
    by = {"method": "preferences", "source": "preference page"}
    for agrees in (True, False):
        now = timezone.now()
        tracking.decide(ann.pk, {tracking.OPENS: agrees, tracking.CLICKS: agrees}, now=now, **by)
        if agrees:
            changes.subscribe(ann, news, now=now, **by)
    changes.unsubscribe(ann.pk, [news.pk], now=timezone.now(), **by)


AGREEING = [
    {"count_opens": "yes", "agreed_how": "By phone."},
    {"count_clicks": "yes", "agreed_how": "By phone."},
    {"subscriptions-0-status": "subscribed"},
    {"add_to_lists": "events"},
    {"new_list": "Fresh"},
]


@pytest.mark.parametrize("choice", AGREEING, ids=lambda choice: next(iter(choice)))
@pytest.mark.parametrize("page", ["old", "without a stamp"])
def test_a_page_that_looks_unchanged_agrees_to_nothing_after_a_withdrawal(
    admin_user: User, ann: Contact, choice: dict[str, str], page: str
) -> None:
    boss = Client()
    boss.force_login(admin_user)
    news, events = subscribed(ann, Status.UNSUBSCRIBED), ContactList.objects.create(name="Events")
    nothing = {tracking.OPENS: False, tracking.CLICKS: False}
    tracking.decide(ann.pk, nothing, method="preferences", source="preference page", now=timezone.now())
    sent = left_open(boss, ann)
    if page == "old":
        left_meanwhile(ann, news)
    else:
        del sent["decision"]
    known = ConsentEvent.objects.count()
    typed = {name: str(events.pk) if value == "events" else value for name, value in choice.items()}

    for _ in range(2):  # Saving again is no new look at it.
        refused = boss.post(page_of(ann), sent | typed)
        assert str(DECIDED_SINCE) in unescape(refused.content.decode())
        sent = opened(refused.content, "contact_form")

    assert consents(ann) == ("none", "none")
    assert status_of(ann) == Status.UNSUBSCRIBED
    assert ConsentEvent.objects.count() == known
    assert not ContactList.objects.filter(name="Fresh").exists()
    again = boss.post(page_of(ann), left_open(boss, ann) | typed)  # Opened anew, it is heard.
    assert again.status_code == 302
    assert ConsentEvent.objects.count() == known + 1


def test_who_left_everything_is_put_on_no_list_by_a_page_that_did_not_show_it(marketer: Client, ann: Contact) -> None:
    events = ContactList.objects.create(name="Events")
    page = left_open(marketer, ann)
    changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=timezone.now())

    marketer.post(page_of(ann), page | {"add_to_lists": str(events.pk)})

    assert not ConsentEvent.objects.exists()


def test_an_old_page_withdraws_for_the_person(marketer: Client, ann: Contact) -> None:
    news = subscribed(ann, Status.PENDING)
    page = left_open(marketer, ann)
    changes.confirm(ann, news, source="link", now=timezone.now())
    agreed = {tracking.OPENS: True, tracking.CLICKS: True}
    tracking.decide(ann.pk, agreed, method="preferences", source="preference page", now=timezone.now())
    told = {"subscriptions-0-status": "unsubscribed", "count_opens": "none", "count_clicks": "none"}

    saved = marketer.post(page_of(ann), page | told)

    assert saved.status_code == 302
    assert consents(ann) == ("none", "none")
    assert status_of(ann) == Status.UNSUBSCRIBED


def test_a_page_that_is_saved_twice_agrees_once_without_a_word_of_others(marketer: Client, ann: Contact) -> None:
    subscribed(ann, Status.UNSUBSCRIBED)
    told = {"subscriptions-0-status": "subscribed", "count_opens": "yes", "agreed_how": "By phone."}
    sent = left_open(marketer, ann) | told

    answers = [marketer.post(page_of(ann), sent).status_code for _ in range(2)]

    assert answers == [302, 302]
    assert consents(ann) == ("yes", "unset")
    assert ConsentEvent.objects.filter(contact=ann).count() == 2
