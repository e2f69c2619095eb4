"""A session is full if it proved a second factor itself, not because its user has one."""

from collections.abc import Callable
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import User
from django.test import Client

from accounts import factors
from tests.accounts.conftest import App, code_of, sign_in_fully, signed_in
from tests.accounts.sessions.test_changes import set_up_an_app
from tests.accounts.sign_in.test_signing_in import SECOND, after_the_password, is_signed_in
from tests.accounts.test_factors import CODES, SET_UP, sealed_of, secret_of

LOGIN_AND_BACK = "/accounts/login/?next=/admin/password_change/"


def add_unnoticed(user: User) -> None:
    """Give the user an app without ending a session, as for a sign-in that arrives at the same time."""
    data = {"secret": factors.get_adapter().encrypt("A" * 32), "step": 0}
    Authenticator.objects.bulk_create([Authenticator(user=user, type=factors.TOTP, data=data)])


@pytest.mark.parametrize("roles", ["all", "none", ["ops"]])
def test_a_session_by_password_alone_does_not_become_full_when_there_is_a_factor(
    ann: User, settings: Any, roles: Any
) -> None:
    settings.MFA_ROLES = roles
    thief = signed_in()
    add_unnoticed(ann)

    answer = thief.get("/admin/password_change/")

    assert answer["Location"] == LOGIN_AND_BACK
    assert "Log in again with your second factor." in thief.get(answer["Location"]).content.decode()
    assert not thief.session.get("_auth_user_id")


@pytest.mark.parametrize(
    "act",
    [
        lambda thief: thief.post(CODES),
        lambda thief: thief.get("/accounts/factors/"),
        lambda thief: thief.get("/accounts/factors/key/"),
        lambda thief: thief.post("/admin/password_change/"),
    ],
)
def test_it_reaches_no_page_that_gives_it_a_factor(ann: User, act: Callable[[Client], Any]) -> None:
    thief = signed_in()
    add_unnoticed(ann)

    answer = act(thief)

    assert answer["Location"].startswith("/accounts/login/")
    assert factors.recovery_codes_left(ann) == 0


def test_public_pages_know_nobody_in_it(ann: User) -> None:
    thief = signed_in()
    add_unnoticed(ann)

    assert thief.get("/healthz").status_code == 200
    assert "/login/" in thief.get("/audience/lists/1/form")["Location"]


@pytest.mark.parametrize("roles", ["all", "none"])
def test_a_code_a_recovery_code_and_the_set_up_itself_are_proof(ann: User, app: App, settings: Any, roles: str) -> None:
    settings.MFA_ROLES = roles
    recovery_code, *_ = factors.make_recovery_codes(ann)
    by_code, by_recovery_code = after_the_password(), after_the_password()
    by_code.post(SECOND, {"code": app()})
    by_recovery_code.post(SECOND, {"code": recovery_code})
    assert is_signed_in(by_code)
    assert is_signed_in(by_recovery_code)

    factors.of(ann).delete()
    by_set_up = signed_in()
    set_up_an_app(by_set_up)

    assert is_signed_in(by_set_up)


def test_the_proof_of_one_user_is_none_of_another(ann: User, app: App) -> None:
    client = Client()
    sign_in_fully(client, User.objects.create_user("mallory", is_staff=True))
    session = client.session
    session["_auth_user_id"], session["_auth_user_hash"] = str(ann.pk), ann.get_session_auth_hash()
    session.save()

    assert not is_signed_in(client)


def test_no_factor_is_stored_without_its_recovery_codes(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process had died between the two."""
    client = signed_in()
    page = client.get(SET_UP).content.decode()

    def die(user: User) -> list[str]:
        assert factors.has_factor(user)
        raise KeyboardInterrupt

    monkeypatch.setattr(factors, "make_recovery_codes", die)
    with pytest.raises(KeyboardInterrupt):
        client.post(SET_UP, {"sealed": sealed_of(page), "code": code_of(secret_of(page))})

    assert not factors.of(ann).exists()
