"""What the tests of the public pages share: two lists, a person, and messages to her."""

import re
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from contacts.models import Contact, ContactList
from delivery.models import Mailing, Message


@pytest.fixture
def club() -> ContactList:
    """A public list with double opt-in."""
    return ContactList.objects.create(name="Club", opt_in="double", is_public=True, description="Once a month.")


@pytest.fixture
def shop() -> ContactList:
    """A public list with single opt-in, and a wording of its own."""
    return ContactList.objects.create(
        name="Shop", opt_in="single", is_public=True, consent_text="Yes, tell me of your offers."
    )


@pytest.fixture
def sent():
    """Make a message to somebody, as if it had left."""

    def send(contact: Contact | None, *lists: ContactList, stream: str = "campaign", **fields: object) -> Message:
        content = {"subject": "Sale", "text": "Snow.", "html": ""} | {
            name: fields.pop(name) for name in ("subject", "text", "html") if name in fields
        }
        mailing = Mailing.objects.create(stream=stream, name="Winter sale", **content)
        mailing.lists.set(lists)
        email = contact.email if contact else "ann@example.com"
        values = {"email": email, "email_key": email, "contact": contact, "status": "accepted"} | fields
        return Message.objects.create(mailing=mailing, **values)

    return send


def stamp_on(path: str) -> dict[str, Any]:
    """Open a page as a browser does, and return what its forms send of it: when it was shown."""
    found = re.search(r'name="decision" value="(\w+)"', Client().get(path).content.decode())
    return {"decision": found[1]} if found else {}


def path_of(url: str) -> str:
    """Return a link of ours as a test's client asks for it."""
    return url.removeprefix(settings.BASE_URL)
