"""The rights of people: who had everything erased is known by a hash alone."""

import datetime as dt

import pytest
from django.conf import LazySettings

from contacts.models import Contact, ErasedAddress
from contacts.privacy import erasure


@pytest.fixture
def _gone(db: None, settings: LazySettings) -> None:
    settings.TOKEN_KEYS = ["the first key"]
    ErasedAddress.objects.create(digest=erasure._digests("Gone@example.org")[0])


@pytest.mark.usefixtures("_gone")
def test_an_erased_address_is_known_in_every_spelling() -> None:
    assert erasure.is_erased(["gone@EXAMPLE.org", "here@example.org"]) == {"gone@EXAMPLE.org"}


@pytest.mark.usefixtures("_gone")
def test_an_erased_address_is_known_after_the_keys_were_rotated(settings: LazySettings) -> None:
    settings.TOKEN_KEYS = ["a newer key", "the first key"]

    assert erasure.is_erased(["gone@example.org"]) == {"gone@example.org"}


@pytest.mark.usefixtures("_gone")
def test_without_the_key_nobody_learns_who_was_erased(settings: LazySettings) -> None:
    settings.TOKEN_KEYS = ["somebody else's key"]

    assert erasure.is_erased(["gone@example.org"]) == set()


@pytest.mark.django_db
def test_every_column_of_a_person_is_in_the_copy_they_get() -> None:
    # The key, and what is read off the address.
    derived = {"id", "email_key", "domain"}
    values = {
        "email": "ann@example.org",
        "first_name": "Ann-first",
        "last_name": "Ann-last",
        "language": "de",
        "time_zone": "Europe/Berlin",
        "attributes": {"city": "Ann-city"},
        "open_tracking": "yes",
        "click_tracking": "none",
        "paused_until": dt.datetime(2027, 3, 1, tzinfo=dt.UTC),
        "created_at": dt.datetime(2025, 1, 1, tzinfo=dt.UTC),
        "updated_at": dt.datetime(2025, 2, 1, tzinfo=dt.UTC),
    }
    assert {field.name for field in Contact._meta.concrete_fields} - derived == set(values), "put it into the copy, too"
    contact = Contact.objects.create(email="ann@example.org")
    Contact.objects.filter(pk=contact.pk).update(**values)
    contact.refresh_from_db()

    person = erasure.export(erasure.subject_of(contact))["person"]

    assert [name for name, value in values.items() if value not in person.values()] == []
