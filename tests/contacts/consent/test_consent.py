"""What giving and withdrawing consent, and suppressing, leave on record."""

import datetime as dt

import pytest

from contacts.consent import changes
from contacts.consent.suppressed import is_suppressed
from contacts.models import Contact, ContactList, Subscription, Suppression


def test_consent_is_recorded_with_its_source_and_time(ann: Contact, news: ContactList, now: dt.datetime) -> None:
    assert changes.subscribe(ann, news, method="form", source="admin: mia", now=now)

    subscription = Subscription.objects.get()
    assert (subscription.status, subscription.source) == ("subscribed", "admin: mia")
    assert subscription.created_at == subscription.changed_at == now


def test_consent_given_twice_keeps_the_first_record(
    ann: Contact, news: ContactList, now: dt.datetime, later: dt.datetime
) -> None:
    changes.subscribe(ann, news, method="form", source="web form", now=now)

    assert not changes.subscribe(ann, news, method="form", source="admin: mia", now=later)

    assert Subscription.objects.get().source == "web form"
    assert Subscription.objects.get().changed_at == now


def test_a_withdrawal_holds_until_the_person_agrees_again(
    ann: Contact, news: ContactList, now: dt.datetime, later: dt.datetime
) -> None:
    changes.subscribe(ann, news, method="form", source="web form", now=now)

    assert changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=later) == 1

    subscription = Subscription.objects.get()
    assert (subscription.status, subscription.source) == ("unsubscribed", "link in mail")
    assert (subscription.created_at, subscription.changed_at) == (now, later)
    assert changes.subscribe(ann, news, method="form", source="web form", now=later)
    assert Subscription.objects.get().status == "subscribed"


def test_a_withdrawal_told_twice_counts_once(
    ann: Contact, news: ContactList, now: dt.datetime, later: dt.datetime
) -> None:
    changes.subscribe(ann, news, method="form", source="web form", now=now)
    changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="one-click", now=now)

    assert changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=later) == 0

    assert Subscription.objects.get().source == "one-click"
    assert Subscription.objects.get().changed_at == now


def test_a_withdrawal_from_a_list_one_is_not_on_is_kept_against_later_imports(
    ann: Contact, news: ContactList, events: ContactList, now: dt.datetime
) -> None:
    changes.subscribe(ann, news, method="form", source="web form", now=now)

    assert (
        changes.unsubscribe(ann.pk, [news.pk, events.pk, 999_999], method="unsubscribe", source="link in mail", now=now)
        == 2
    )

    assert set(Subscription.objects.values_list("list__name", "status")) == {
        ("News", "unsubscribed"),
        ("Events", "unsubscribed"),
    }


def test_a_withdrawal_of_somebody_who_was_deleted_changes_nothing(news: ContactList, now: dt.datetime) -> None:
    assert changes.unsubscribe(999_999, [news.pk], method="unsubscribe", source="link in mail", now=now) == 0
    assert not Subscription.objects.exists()


def test_other_lists_and_other_people_are_left_alone(
    ann: Contact, news: ContactList, events: ContactList, now: dt.datetime
) -> None:
    bo = Contact.objects.create(email="bo@example.org")
    for person in (ann, bo):
        for contact_list in (news, events):
            changes.subscribe(person, contact_list, method="form", source="web form", now=now)

    changes.unsubscribe(ann.pk, [news.pk], method="unsubscribe", source="link in mail", now=now)

    withdrawn = Subscription.objects.filter(status="unsubscribed")
    assert list(withdrawn.values_list("contact__email", "list__name")) == [("Ann@example.org", "News")]


@pytest.mark.parametrize("spelling", ["Ann@Example.ORG", "ANN@example.org", " ann@example.org "])
def test_an_address_is_suppressed_in_every_spelling_and_once(db: None, now: dt.datetime, spelling: str) -> None:
    assert changes.suppress("ann@example.org", Suppression.Reason.HARD_BOUNCE, "550 5.1.1 No such user", now)

    assert not changes.suppress(spelling, Suppression.Reason.COMPLAINT, "feedback loop", now)

    suppression = Suppression.objects.get()
    assert (suppression.reason, suppression.source) == ("hard_bounce", "550 5.1.1 No such user")
    assert suppression.created_at == now


def test_an_international_domain_is_the_same_in_both_of_its_forms(db: None, now: dt.datetime) -> None:
    changes.suppress("ann@bücher.example", Suppression.Reason.MANUAL, "", now)

    assert not changes.suppress("ann@xn--bcher-kva.example", Suppression.Reason.MANUAL, "", now)


def test_asking_for_many_addresses_finds_those_suppressed(db: None, now: dt.datetime) -> None:
    for number in (1, 4_321, 7_000):
        changes.suppress(f"p{number}@example.org", Suppression.Reason.MANUAL, "", now)

    found = is_suppressed((f"p{number}@example.org" for number in range(6_000)), now)

    assert found == {"p1@example.org", "p4321@example.org"}
