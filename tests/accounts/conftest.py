"""A person with a password, a second factor, what an authenticator app would show, and browsers to sign in with."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.mfa.totp.internal.auth import format_hotp_value, generate_totp_secret, hotp_value
from django.contrib.auth.models import Group, User
from django.test import Client

from accounts import factors
from tests.peers.issuer import CLIENT_ID, CLIENT_SECRET, ScriptedIssuer, scripted_issuer

PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
SAFARI = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605 Version/18.0 Mobile Safari/604.1"
App = Callable[..., str]


@pytest.fixture
def ann(db: None) -> User:
    user = User.objects.create_user("ann", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    return user


def code_of(secret: str, steps: int = 0) -> str:
    """Return the code that an app with this secret shows, some steps of 30 seconds from now."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // factors.STEP_SECONDS + steps))


@pytest.fixture
def app(ann: User) -> App:
    """Set up an authenticator app for Ann, and return what it shows."""
    secret = generate_totp_secret()
    factors.add_totp(ann, secret, step=0)
    return lambda steps=0: code_of(secret, steps)


@pytest.fixture
def issuer(settings: Any) -> Iterator[ScriptedIssuer]:
    """Single sign-on by an issuer of the test's own, whose groups give two roles."""
    with scripted_issuer() as scripted:
        settings.OIDC_ISSUER = scripted.url
        settings.OIDC_CLIENT_ID, settings.OIDC_CLIENT_SECRET = CLIENT_ID, CLIENT_SECRET
        settings.OIDC_ROLES = [("admin", "mail-admins"), ("marketer", "marketing")]
        yield scripted


def signed_in(name: str = "ann", agent: str = FIREFOX, address: str = "192.0.2.77") -> Client:
    client = Client(REMOTE_ADDR=address, HTTP_USER_AGENT=agent)
    client.post("/accounts/login/", {"login": name, "password": PASSWORD, "next": "/admin/"})
    return client


def sign_in_fully(client: Client, user: User) -> None:
    """Log in as the user, with a session that proved a second factor."""
    client.force_login(user)
    session = client.session
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "mfa", "type": "totp", "at": time.time()}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
