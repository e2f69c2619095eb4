"""People and lists the tests of this room start from."""

import datetime as dt

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from contacts.models import Contact, ContactList

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(minutes=1)


@pytest.fixture
def now() -> dt.datetime:
    return NOW


@pytest.fixture
def later() -> dt.datetime:
    return LATER


@pytest.fixture
def news(db: None) -> ContactList:
    return ContactList.objects.create(name="News")


@pytest.fixture
def events(db: None) -> ContactList:
    return ContactList.objects.create(name="Events")


@pytest.fixture
def ann(db: None) -> Contact:
    return Contact.objects.create(email="Ann@example.org", first_name="Ann", last_name="Lee")


@pytest.fixture
def marketer(db: None) -> User:
    """Somebody with every permission on people, and no other."""
    user = User.objects.create_user("mia", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="contacts"))
    return user


@pytest.fixture
def nobody(db: None) -> User:
    """Somebody who may sign in and nothing else."""
    return User.objects.create_user("noa", is_staff=True)


@pytest.fixture
def marketers_client(marketer: User) -> Client:
    client = Client()
    client.force_login(marketer)
    return client
