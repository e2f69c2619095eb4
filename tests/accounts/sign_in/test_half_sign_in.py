"""A sign-in whose second factor is still awaited: what ends it, and how long strangers' sessions stay."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from accounts import factors
from accounts.models import UserSession
from accounts.sessions.resets import sign_out
from tests.accounts.conftest import App
from tests.accounts.sessions.test_sessions import open_sessions
from tests.accounts.sign_in.test_signing_in import LOGIN, PASSKEY, SECOND, after_the_password, is_signed_in
from tests.accounts.single_sign_on.test_links import made, use


def change_password(user: User) -> None:
    user.set_password("another passphrase")
    user.save()


def switch_off_and_on(user: User) -> None:
    for is_active in (False, True):
        user.is_active = is_active
        user.save()


@pytest.mark.parametrize(
    "end",
    [
        change_password,
        lambda user: User.objects.update(password=make_password("another passphrase")),  # Without a signal.
        lambda user: User.objects.update(is_active=False),
        switch_off_and_on,
        sign_out,
        lambda user: call_command("end_sessions", "ann"),
        lambda user: call_command("end_sessions", "--all"),
        lambda user: user.groups.clear(),
    ],
)
def test_what_ends_a_users_sessions_ends_half_done_sign_ins_too(
    ann: User, app: App, end: Callable[[User], object]
) -> None:
    code = app()
    half = after_the_password()
    end(ann)

    assert half.get(SECOND)["Location"] == LOGIN
    assert half.post(SECOND, {"code": code})["Location"] == LOGIN
    assert not is_signed_in(half)
    assert factors.spend_code(ann, code)  # It was not even looked at.


def test_one_that_began_while_the_clock_was_ahead_is_over(ann: User, app: App) -> None:
    half = after_the_password()
    session = half.session
    session["account_login"]["initiated_at"] += 24 * 3600
    session.save()

    assert half.post(SECOND, {"code": app()})["Location"] == LOGIN


def test_one_that_took_too_long_says_so_on_the_page_that_begins_again(ann: User, app: App) -> None:
    half = after_the_password()
    session = half.session
    session["account_login"]["initiated_at"] -= 16 * 60
    session.save()

    answer = half.post(SECOND, {"code": app()}, follow=True)

    assert answer.redirect_chain == [(LOGIN, 302)]
    assert "This login has expired. Log in again." in answer.content.decode()


def test_the_back_button_after_signing_in_says_nothing_of_it(ann: User, app: App) -> None:
    client = after_the_password()
    client.post(SECOND, {"code": app()})

    answer = client.get(SECOND, follow=True)

    assert is_signed_in(client)
    assert "has expired" not in answer.content.decode()


def test_another_users_changes_and_the_list_of_sessions_leave_it_alone(ann: User, app: App) -> None:
    half = after_the_password()
    change_password(User.objects.create_user("bob"))

    assert open_sessions(ann) == []
    assert half.post(SECOND, {"code": app()})["Location"] == "/admin/password_change/"
    assert len(open_sessions(ann)) == 1


def test_a_stranger_s_session_is_soon_deleted_and_a_user_s_is_not(ann: User) -> None:
    stranger = Client()
    stranger.get(PASSKEY, headers={"accept": "application/json"})
    within = timezone.now() + dt.timedelta(minutes=21)
    assert UserSession.objects.get().expire_date < within
    assert stranger.cookies["sessionid"]["max-age"] == 20 * 60

    use(made(), stranger)

    assert UserSession.objects.get(user=ann).expire_date > timezone.now() + dt.timedelta(hours=11)
    assert stranger.cookies["sessionid"]["max-age"] == 12 * 3600
