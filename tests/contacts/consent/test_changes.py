"""What each step of a consent leaves on record, and what may undo a withdrawal."""

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from contacts.consent import changes as consent_changes
from contacts.consent.ip_networks import network_of
from contacts.consent.suppressed import is_suppressed
from contacts.models import ConsentEvent, Contact, ContactList, Subscription, Suppression, SuppressionLift

UNSUBSCRIBED = Suppression.Reason.UNSUBSCRIBED


@pytest.fixture
def club(db: None) -> ContactList:
    return ContactList.objects.create(name="Club", opt_in="double", consent_text="Yes, write to me about the club.")


@pytest.fixture
def shop(db: None) -> ContactList:
    return ContactList.objects.create(name="Shop", opt_in="single")


def status(contact: Contact, contact_list: ContactList) -> str:
    return Subscription.objects.get(contact=contact, list=contact_list).status


def steps(contact: Contact) -> list[tuple[str, str]]:
    return [(event.status, event.method) for event in reversed(consent_changes.history(contact.pk))]


@pytest.mark.parametrize(
    ("origin", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("10.1.0.0/16", "10.1.0.0/16"),
        ("2001:db8:1234:5678::9", "2001:db8:1234::/48"),
        ("2001:db8:1234::/48", "2001:db8:1234::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("fe80::1%eth0", "fe80::/48"),
        ("192.0.2.77:51234", "192.0.2.0/24"),
        ("[2001:db8:1234:5678::9]:443", "2001:db8:1234::/48"),
        ("[2001:db8:1234:5678::9]", "2001:db8:1234::/48"),
        ("2001:db8:1234:5678:9:9:9:443", "2001:db8:1234::/48"),
        ("[]:443", ""),
        ("unknown:443", ""),
        (" 192.0.2.77 ", "192.0.2.0/24"),
        ("", ""),
        ("unknown", ""),
        ("192.0.2.77, 10.0.0.1", ""),
    ],
)
def test_an_address_of_origin_is_cut_to_its_network(origin: str, network: str) -> None:
    assert network_of(origin) == network


def test_a_double_opt_in_counts_once_it_is_confirmed_and_keeps_the_wording(
    ann: Contact, club: ContactList, now: dt.datetime, later: dt.datetime
) -> None:
    wording = consent_changes.wording_of(club)

    asked = consent_changes.request_subscription(
        ann, club, source="form of Club", now=now, wording=wording, network="192.0.2.77"
    )
    assert (asked, status(ann, club)) == ("pending", "pending")
    confirmed = consent_changes.confirm(ann, club, source="link in the mail", now=later, network="2001:db8:1:2::3")
    again = consent_changes.confirm(ann, club, source="link in the mail", now=later)

    assert (confirmed, again, status(ann, club)) == ("subscribed", "subscribed", "subscribed")
    last, first = consent_changes.history(ann.pk)
    assert (first.status, first.method, first.source, first.at) == ("pending", "form", "form of Club", now)
    assert (first.wording, first.network) == ("Yes, write to me about the club.", "192.0.2.0/24")
    assert (last.status, last.method, last.at) == ("subscribed", "confirmation", later)
    assert (last.wording, last.network) == ("Yes, write to me about the club.", "2001:db8:1::/48")


def test_without_a_wording_of_its_own_a_list_has_a_standard_sentence(shop: ContactList) -> None:
    assert consent_changes.wording_of(shop) == "I would like to receive “Shop” by email. I can unsubscribe at any time."


def test_a_single_opt_in_counts_at_once(ann: Contact, shop: ContactList, now: dt.datetime) -> None:
    assert consent_changes.request_subscription(ann, shop, source="form", now=now) == "subscribed"
    assert consent_changes.request_subscription(ann, shop, source="form", now=now) == "subscribed"

    assert steps(ann) == [("subscribed", "form")]


def test_whoever_withdrew_must_confirm_on_any_list_because_anybody_can_type_an_address(
    ann: Contact, shop: ContactList, now: dt.datetime
) -> None:
    consent_changes.unsubscribe(ann.pk, [shop.pk], method="one_click", source="mail", now=now)

    assert consent_changes.request_subscription(ann, shop, source="form", now=now) == "pending"
    assert status(ann, shop) == "pending"
    assert consent_changes.confirm(ann, shop, source="link", now=now) == "subscribed"

    assert [each for each, _ in steps(ann)] == ["unsubscribed", "pending", "subscribed"]


def test_an_old_confirmation_link_brings_nobody_back(ann: Contact, club: ContactList, now: dt.datetime) -> None:
    consent_changes.request_subscription(ann, club, source="form", now=now)
    consent_changes.unsubscribe(ann.pk, [club.pk], method="preferences", source="page", now=now)

    assert consent_changes.confirm(ann, club, source="link", now=now) == "unsubscribed"
    assert status(ann, club) == "unsubscribed"


def test_a_request_nobody_confirmed_is_forgotten_and_a_withdrawal_before_it_is_not(
    ann: Contact, news: ContactList, club: ContactList, now: dt.datetime, later: dt.datetime
) -> None:
    consent_changes.unsubscribe(ann.pk, [club.pk], method="one_click", source="mail", now=now)
    for each in (club, news):
        assert consent_changes.request_subscription(ann, each, source="form", now=later) == "pending"

    for subscription in Subscription.objects.all():
        consent_changes.forget_request(subscription)

    kept = Subscription.objects.get()
    assert (kept.list, kept.status, kept.source, kept.changed_at) == (club, "unsubscribed", "mail", now)
    assert steps(ann) == [("unsubscribed", "one_click")]
    assert consent_changes.subscribe_in_bulk([ann.pk], club.pk, method="import", source="", now=later) == 0
    consent_changes.forget_request(kept)
    assert Subscription.objects.get().status == "unsubscribed"


def test_there_is_nothing_to_confirm_for_who_never_asked(ann: Contact, club: ContactList, now: dt.datetime) -> None:
    assert consent_changes.confirm(ann, club, source="link", now=now) is None
    assert not Subscription.objects.exists()


def test_a_person_deleted_meanwhile_gets_no_consent(ann: Contact, club: ContactList, now: dt.datetime) -> None:
    Contact.objects.all().delete()

    assert consent_changes.confirm(ann, club, source="link", now=now) is None
    assert not consent_changes.subscribe(ann, club, method="form", source="page", now=now)
    with pytest.raises(Contact.DoesNotExist, match="was deleted while they subscribed"):
        consent_changes.request_subscription(ann, club, source="form", now=now)
    assert not Subscription.objects.exists()


def test_leaving_everything_withdraws_each_consent_and_coming_back_is_for_one_list(
    ann: Contact, news: ContactList, shop: ContactList, now: dt.datetime, later: dt.datetime
) -> None:
    for each in (news, shop):
        consent_changes.subscribe(ann, each, method="form", source="page", now=now)

    consent_changes.unsubscribe_from_everything("ANN@example.org", method="unsubscribe", source="link", now=now)
    assert (status(ann, news), status(ann, shop)) == ("unsubscribed", "unsubscribed")
    assert Suppression.objects.get().reason == UNSUBSCRIBED

    assert consent_changes.request_subscription(ann, shop, source="form", now=later) == "pending"
    assert Suppression.objects.exists()
    consent_changes.confirm(ann, shop, source="link", now=later)

    assert (status(ann, news), status(ann, shop)) == ("unsubscribed", "subscribed")
    assert not Suppression.objects.exists()
    lifted = SuppressionLift.objects.get()
    assert (lifted.lifted_by_name, lifted.lifted_at) == ("the person", later)
    assert lifted.why == "The person subscribed to Shop again and confirmed it."


def test_a_confirmation_does_not_lift_a_complaint(ann: Contact, club: ContactList, now: dt.datetime) -> None:
    consent_changes.suppress(ann.email, Suppression.Reason.COMPLAINT, "feedback loop", now)
    consent_changes.request_subscription(ann, club, source="form", now=now)
    consent_changes.confirm(ann, club, source="link", now=now)

    assert Suppression.objects.get().reason == "complaint"


def test_in_bulk_only_those_are_subscribed_about_whom_nothing_is_known(
    ann: Contact, club: ContactList, now: dt.datetime, later: dt.datetime
) -> None:
    bo, cy, dee, ed = (Contact.objects.create(email=f"{name}@example.org") for name in ("bo", "cy", "dee", "ed"))
    consent_changes.unsubscribe(ann.pk, [club.pk], method="one_click", source="mail", now=now)
    consent_changes.request_subscription(bo, club, source="form", now=now)
    consent_changes.subscribe(cy, club, method="form", source="page", now=now)
    consent_changes.unsubscribe_from_everything(dee.email, method="unsubscribe", source="mail", now=now)
    ConsentEvent.objects.all().delete()

    everyone = [each.pk for each in (ann, bo, cy, dee, ed)]
    added = consent_changes.subscribe_in_bulk(
        everyone, club.pk, method="import", source="import: fair.csv", now=later, wording="Signed at the fair."
    )

    assert added == 1
    assert dict(Subscription.objects.filter(list=club).values_list("contact__email", "status")) == {
        "Ann@example.org": "unsubscribed",
        "bo@example.org": "pending",
        "cy@example.org": "subscribed",
        "ed@example.org": "subscribed",
    }
    event = ConsentEvent.objects.get()
    assert (event.contact, event.list, event.list_name, event.status) == (ed, club, "Club", "subscribed")
    assert (event.method, event.source, event.wording) == ("import", "import: fair.csv", "Signed at the fair.")
    assert event.at == later
    assert consent_changes.subscribe_in_bulk([], club.pk, method="import", source="", now=now) == 0


def test_what_changes_nothing_leaves_no_step(ann: Contact, news: ContactList, now: dt.datetime) -> None:
    for _ in range(2):
        consent_changes.subscribe(ann, news, method="admin", source="admin: mia", now=now)
    for _ in range(2):
        consent_changes.unsubscribe(ann.pk, [news.pk], method="one_click", source="mail", now=now)

    assert steps(ann) == [("subscribed", "admin"), ("unsubscribed", "one_click")]


def test_the_history_outlives_the_list(ann: Contact, news: ContactList, now: dt.datetime) -> None:
    consent_changes.subscribe(ann, news, method="form", source="page", now=now)

    news.delete()

    event = consent_changes.history(ann.pk).get()
    assert (event.list, event.list_name) == (None, "News")


# --- suppressing and lifting

WEEK, YEAR = dt.timedelta(days=7), dt.timedelta(days=365)


@pytest.mark.parametrize(
    ("first", "ends", "second", "then_ends", "stays"),
    [
        ("manual", None, "hard_bounce", None, True),
        ("unsubscribed", None, "hard_bounce", None, False),  # A receipt passed the first, but not the second.
        ("hard_bounce", None, "unsubscribed", None, True),
        ("manual", WEEK, "unsubscribed", None, True),
        ("manual", WEEK, "complaint", None, False),
        ("manual", WEEK, "manual", YEAR, False),
        ("manual", YEAR, "manual", WEEK, True),
        ("unsubscribed", None, "manual", WEEK, True),
        ("manual", -WEEK, "unsubscribed", None, False),
    ],
)
def test_the_suppression_that_stops_more_and_longer_holds(
    db: None,
    now: dt.datetime,
    first: str,
    ends: dt.timedelta | None,
    second: str,
    then_ends: dt.timedelta | None,
    stays: bool,
) -> None:
    consent_changes.suppress("ann@example.org", first, "first", now, until=now + ends if ends else None)

    consent_changes.suppress("ann@example.org", second, "second", now, until=now + then_ends if then_ends else None)

    assert Suppression.objects.get().source == ("first" if stays else "second")


@pytest.mark.parametrize("reason", ["manual", "hard_bounce", "complaint"])
@pytest.mark.parametrize("wish_comes", ["first", "last"])
def test_who_unsubscribed_from_everything_stays_so_when_another_reason_is_lifted(
    ann: Contact, news: ContactList, marketer: User, now: dt.datetime, later: dt.datetime, reason: str, wish_comes: str
) -> None:
    steps = [
        lambda: consent_changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=now),
        lambda: consent_changes.suppress(ann.email, reason, "no", now),
    ]
    for step in steps if wish_comes == "first" else reversed(steps):
        step()
    suppression = Suppression.objects.get()
    assert suppression.reason == reason

    assert consent_changes.lift(suppression, "It works again.", marketer, later) is not None

    held = Suppression.objects.get()
    assert (held.reason, held.created_at, held.unsubscribed_at) == (UNSUBSCRIBED, now, None)
    assert SuppressionLift.objects.get().reason == reason
    assert consent_changes.subscribe_in_bulk([ann.pk], news.pk, method="import", source="file", now=later) == 0


def test_who_unsubscribed_from_everything_stays_so_when_another_reason_ends(
    ann: Contact, news: ContactList, now: dt.datetime, later: dt.datetime
) -> None:
    consent_changes.suppress(ann.email, "manual", "until the fair", now, until=later)
    consent_changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=now)

    assert is_suppressed([ann.email_key], later + YEAR) == {ann.email_key}
    assert consent_changes.subscribe_in_bulk([ann.pk], news.pk, method="import", source="file", now=later) == 0


def test_who_comes_back_is_still_suppressed_for_another_reason(
    ann: Contact, marketer: User, now: dt.datetime, later: dt.datetime
) -> None:
    consent_changes.suppress(ann.email, "hard_bounce", "550", now)
    consent_changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=now)

    consent_changes.come_back([ann.email_key], "She chose a list.", later)

    held = Suppression.objects.get()
    assert (held.reason, held.unsubscribed_at) == ("hard_bounce", None)
    consent_changes.lift(held, "It works again.", marketer, later)
    assert not Suppression.objects.exists()


def test_a_wish_beside_another_reason_follows_the_person_to_a_new_address(ann: Contact, now: dt.datetime) -> None:
    consent_changes.suppress(ann.email, "hard_bounce", "550", now)
    consent_changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=now)

    ann.email = "ann@elsewhere.example"
    ann.save()

    assert Suppression.objects.get(email_key="ann@elsewhere.example").reason == UNSUBSCRIBED


def test_a_suppression_that_is_over_is_news_again(db: None, now: dt.datetime, later: dt.datetime) -> None:
    assert consent_changes.suppress("ann@example.org", "manual", "asked", now, until=later)
    assert not consent_changes.suppress("ann@example.org", "manual", "asked", now, until=later)

    assert consent_changes.suppress("ann@example.org", "manual", "asked again", later)

    assert Suppression.objects.get().created_at == later


def test_a_suppression_that_was_replaced_meanwhile_is_not_lifted(
    ann: Contact, marketer: User, now: dt.datetime, later: dt.datetime
) -> None:
    consent_changes.suppress(ann.email, "manual", "asked", now, until=later)
    seen = Suppression.objects.get()
    consent_changes.suppress(ann.email, "complaint", "complained", now)

    assert consent_changes.lift(seen, "It is over.", marketer, later) is None

    assert Suppression.objects.get().reason == "complaint"


def test_lifting_keeps_who_and_why_and_brings_no_consent_back(
    ann: Contact, news: ContactList, marketer: User, now: dt.datetime, later: dt.datetime
) -> None:
    consent_changes.subscribe(ann, news, method="form", source="page", now=now)
    consent_changes.unsubscribe_from_everything(ann.email, method="unsubscribe", source="link", now=now)
    suppression = Suppression.objects.get()

    lifted = consent_changes.lift(suppression, "She wrote to us.", marketer, later)

    assert lifted is not None
    assert (lifted.email, lifted.reason, lifted.suppressed_at) == (ann.email, UNSUBSCRIBED, now)
    assert (lifted.why, lifted.lifted_by, lifted.lifted_by_name) == ("She wrote to us.", marketer, "mia")
    assert status(ann, news) == "unsubscribed"
    assert consent_changes.lift(suppression, "Twice.", marketer, later) is None
    assert SuppressionLift.objects.count() == 1


# --- two at once


def at_once(*changes: Callable[[], Any]) -> list[Any]:
    """Run the changes in threads that start together."""
    gate = threading.Barrier(len(changes))

    def run(change: Callable[[], Any]) -> Any:
        try:
            gate.wait(timeout=10)
            return change()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(changes)) as pool:
        return [future.result(timeout=20) for future in [pool.submit(run, change) for change in changes]]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_clicks_on_a_confirmation_are_one_step(now: dt.datetime) -> None:
    club = ContactList.objects.create(name="Club", opt_in="double")
    for number in range(5):
        ann = Contact.objects.create(email=f"ann{number}@example.org")
        consent_changes.request_subscription(ann, club, source="form", now=now)

        found = at_once(*[partial(consent_changes.confirm, ann, club, source="link", now=now)] * 3)

        assert found == ["subscribed"] * 3
        assert steps(ann) == [("pending", "form"), ("subscribed", "confirmation")]


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_confirmation_and_a_withdrawal_at_once_end_as_one_after_the_other(now: dt.datetime) -> None:
    club = ContactList.objects.create(name="Club", opt_in="double")
    for number in range(5):
        ann = Contact.objects.create(email=f"ann{number}@example.org")
        consent_changes.request_subscription(ann, club, source="form", now=now)

        at_once(
            partial(consent_changes.confirm, ann, club, source="link", now=now),
            partial(consent_changes.unsubscribe, ann.pk, [club.pk], method="one_click", source="", now=now),
            partial(consent_changes.unsubscribe, ann.pk, [club.pk], method="unsubscribe", source="", now=now),
        )

        assert status(ann, club) == "unsubscribed", "a withdrawal was lost"
        history = [each for each, _ in steps(ann)]
        assert history in (["pending", "unsubscribed"], ["pending", "subscribed", "unsubscribed"])


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_new_address_and_a_withdrawal_at_once_leave_both_addresses_suppressed(now: dt.datetime) -> None:
    for number in range(10):
        old, new = f"ann{number}@example.org", f"ann{number}@example.net"
        ann = Contact.objects.create(email=old)
        moved = Contact.objects.get(pk=ann.pk)
        moved.email = new

        at_once(
            moved.save,
            partial(
                consent_changes.unsubscribe_from_everything,
                old,
                method="unsubscribe",
                source="link",
                now=now,
                contact_id=ann.pk,
            ),
        )

        assert set(Suppression.objects.filter(email_key__in=[old, new]).values_list("email_key", flat=True)) == {
            old,
            new,
        }


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_an_import_and_a_withdrawal_at_once_leave_the_withdrawal(now: dt.datetime) -> None:
    club = ContactList.objects.create(name="Club")
    for number in range(5):
        ann = Contact.objects.create(email=f"ann{number}@example.org")

        at_once(
            partial(consent_changes.subscribe_in_bulk, [ann.pk], club.pk, method="import", source="", now=now),
            partial(consent_changes.unsubscribe, ann.pk, [club.pk], method="one_click", source="", now=now),
        )

        assert status(ann, club) == "unsubscribed"
        assert ("unsubscribed", "one_click") in steps(ann)
