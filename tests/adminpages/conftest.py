"""People of each role, signed in."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

ROLES = ("admin", "marketer", "ops", "viewer")
SignIn = Callable[[str], Client]


@pytest.fixture
def signed_in(db: None) -> SignIn:
    """Return what signs in a new person of a role."""

    def sign_in(role: str) -> Client:
        person = User.objects.create_user(f"one {role}", is_staff=True)
        person.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(person)
        return client

    return sign_in
