"""The pages of a person's rights, and what happens when somebody who was erased is to come back."""

import datetime as dt
import json

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client

from contacts.consent import changes
from contacts.models import Contact, ContactList, ErasedAddress, Suppression
from contacts.privacy import erasure
from tests.contacts.admin.test_people import CONTACTS, errors_of, person, text_of


def test_everything_held_is_shown_and_handed_out_as_a_file(
    marketers_client: Client, ann: Contact, news: ContactList, now: dt.datetime
) -> None:
    changes.subscribe(ann, news, method="form", source="<b>web</b>", now=now)
    url = f"{CONTACTS}{ann.pk}/personal-data/"

    page = text_of(marketers_client.get(url))
    assert "&lt;b&gt;web&lt;/b&gt;" in page
    assert not LogEntry.objects.exists()
    response = marketers_client.post(url)

    assert json.loads(response.content)["lists"][0]["list"] == "News"
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert LogEntry.objects.get().get_change_message() == "Exported everything held about them."


def test_a_person_is_erased_when_their_address_was_typed(marketers_client: Client, ann: Contact) -> None:
    url = f"{CONTACTS}{ann.pk}/erase/"

    assert "This can't be undone" in text_of(marketers_client.get(url))
    wrong = marketers_client.post(url, {"email": "bo@example.org"})
    assert "Type Ann@example.org" in text_of(wrong)
    assert Contact.objects.exists()
    done = marketers_client.post(url, {"email": "ann@EXAMPLE.org"}, follow=True)

    assert "Person erased." in text_of(done)
    assert not Contact.objects.exists()
    assert erasure.is_erased(["ann@example.org"])


def test_who_was_erased_comes_back_only_with_a_reason(marketers_client: Client, ann: Contact, marketer: User) -> None:
    erasure.erase(erasure.subject_of(ann), marketer, ann.created_at)

    asked = marketers_client.post(f"{CONTACTS}add/", person(email="Ann@example.org"))
    assert "was erased" in errors_of(asked)
    assert "Why they are added again" in text_of(asked)
    again = person(email="Ann@example.org", why_again="Asked for it by phone.")
    assert marketers_client.post(f"{CONTACTS}add/", again).status_code == 302

    assert Contact.objects.get().email == "Ann@example.org"
    assert not ErasedAddress.objects.exists()
    assert LogEntry.objects.filter(change_message__contains="Asked for it by phone.").exists()


@pytest.mark.parametrize("page", ["personal-data", "erase"])
def test_who_may_only_look_neither_exports_nor_erases(client: Client, nobody: User, ann: Contact, page: str) -> None:
    nobody.user_permissions.set(Permission.objects.filter(codename__in=["view_contact", "change_contact"]))
    client.force_login(nobody)

    assert client.get(f"{CONTACTS}{ann.pk}/{page}/").status_code == 403
    assert client.post(f"{CONTACTS}{ann.pk}/{page}/", {"email": ann.email}).status_code == 403
    assert Contact.objects.exists()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        ("subscribed", "Gets campaigns"),
        ("unsubscribed", "Unsubscribed from every list."),
        ("pending", "Hasn&#x27;t confirmed the subscription yet."),
        ("none", "Isn&#x27;t on a list."),
        ("paused", "Asked for a break until"),
        ("suppressed", "Suppressed since"),
        ("domain", "Everyone at example.org is suppressed since"),
    ],
)
def test_a_contacts_page_says_why_somebody_cannot_be_written_to(
    marketers_client: Client, ann: Contact, news: ContactList, make: str, words: str
) -> None:
    now = dt.datetime.now(dt.UTC)
    if make != "none":
        ann.subscriptions.create(list=news, status=make if make in ("unsubscribed", "pending") else "subscribed")
    if make == "paused":
        Contact.objects.update(paused_until=now + dt.timedelta(days=9))
    if make in ("suppressed", "domain"):
        Suppression.objects.create(email=ann.email if make == "suppressed" else "@example.org")

    page = text_of(marketers_client.get(f"{CONTACTS}{ann.pk}/change/"))

    assert words in page
    assert ("Gets no campaigns" in page) == (make != "subscribed")


def test_an_address_without_a_contact_has_rights_as_well(marketers_client: Client) -> None:
    Suppression.objects.create(email="gone@example.org")
    url = f"{CONTACTS}by-address/"

    held = marketers_client.post(url, {"email": "GONE@example.org"})
    assert json.loads(held.content)["suppressions"][0]["of"] == "gone@example.org"
    once = marketers_client.post(url, {"email": "gone@example.org", "erase": "yes"})
    assert "Type the same address here as above." in text_of(once)
    assert Suppression.objects.exists()
    marketers_client.post(url, {"email": "gone@example.org", "again": "gone@example.org", "erase": "yes"})

    assert not Suppression.objects.exists()
    assert erasure.is_erased(["gone@example.org"])
    assert not LogEntry.objects.filter(object_repr__contains="gone").exists()


@pytest.mark.parametrize("page", ["personal-data", "erase"])
@pytest.mark.parametrize("key", ["x", "1_", "%01", "99999999999999999999"])
def test_an_address_without_a_key_leads_to_nobody(marketers_client: Client, key: str, page: str) -> None:
    assert marketers_client.get(f"{CONTACTS}{key}/{page}/").status_code == 404


@pytest.mark.parametrize("page", ["personal-data", "erase"])
def test_a_nul_in_place_of_a_key_is_answered_with_400(marketers_client: Client, page: str) -> None:
    assert marketers_client.get(f"{CONTACTS}%00/{page}/").status_code == 400
