"""The rights of people: who had everything erased is known by a hash alone."""

import pytest
from django.conf import LazySettings

from contacts.models import ErasedAddress
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
