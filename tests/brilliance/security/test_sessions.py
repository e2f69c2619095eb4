"""Signing in, staying signed in, and the end of it."""

import datetime as dt
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from accounts.models import UserSession
from accounts.sign_in.lockout import FAILURES_PER_NETWORK

PASSWORD = "correct horse battery"


@pytest.fixture
def admin(db: None) -> User:
    user = User.objects.create_user("ann", password=PASSWORD, is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    return user


@pytest.fixture
def client(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    client.get("/admin/")
    return client


def age(client: Client, **seconds: float) -> None:
    """Move instants of the client's session into the past."""
    session = client.session
    for name, value in seconds.items():
        session[name] = timezone.now().timestamp() - value
    session.save()


def is_signed_in(client: Client, **headers: str) -> bool:
    return client.get("/admin/password_change/", headers=headers).status_code == 200


def test_an_idle_session_ends_and_says_so(client: Client) -> None:
    age(client, seen_at=settings.SESSION_IDLE_SECONDS - 60)
    assert is_signed_in(client)

    age(client, seen_at=settings.SESSION_IDLE_SECONDS + 1)

    assert not is_signed_in(client)
    assert "You were logged out because some time has passed." in client.get("/accounts/login/").content.decode()


def test_no_session_lives_longer_than_its_absolute_life_however_busy(client: Client) -> None:
    age(client, signed_in_at=settings.SESSION_COOKIE_AGE + 1, seen_at=0)

    assert not is_signed_in(client)


@pytest.mark.parametrize("name", ["signed_in_at", "seen_at"])
def test_a_session_begun_while_the_clock_was_ahead_does_not_live_longer_for_it(client: Client, name: str) -> None:
    age(client, **{name: -30})  # The clock of another machine.
    assert is_signed_in(client)

    age(client, **{name: -24 * 3600})

    assert not is_signed_in(client)


def test_a_page_that_refreshes_itself_does_not_keep_a_session_alive(client: Client) -> None:
    age(client, seen_at=300)

    client.get("/admin/", headers={"Sec-Fetch-Dest": "empty"})
    idle_after_script = timezone.now().timestamp() - client.session["seen_at"]
    client.get("/admin/", headers={"Sec-Fetch-Dest": "document"})
    idle_after_click = timezone.now().timestamp() - client.session["seen_at"]

    assert idle_after_script >= 300
    assert idle_after_click < 60


def test_signing_in_changes_the_session_key(admin: User) -> None:
    client = Client()
    client.get("/accounts/login/")
    session = client.session
    session["before"] = 1
    session.save()
    before = session.session_key

    client.post("/accounts/login/", {"login": "ann", "password": PASSWORD, "next": "/admin/"})

    assert client.session.session_key != before
    assert not UserSession.objects.filter(session_key=before).exists()


def test_a_changed_password_ends_the_other_sessions(client: Client, admin: User) -> None:
    admin.set_password("another long passphrase")
    admin.save()

    assert not is_signed_in(client)


def test_a_role_taken_away_ends_the_sessions(client: Client, admin: User) -> None:
    assert client.get("/admin/auth/user/").status_code == 200

    admin.groups.clear()

    assert not is_signed_in(client)


def test_a_person_switched_off_is_signed_out(client: Client, admin: User) -> None:
    User.objects.filter(pk=admin.pk).update(is_active=False)

    assert not is_signed_in(client)


def test_guessing_is_stopped_for_that_name_from_that_address_alone(admin: User) -> None:
    def sign_in(password: str, address: str = "192.0.2.1") -> int:
        form = {"login": "ann", "password": password, "next": "/admin/"}
        return Client().post("/accounts/login/", form, REMOTE_ADDR=address).status_code

    answers = [sign_in(f"guess {number}") for number in range(settings.AXES_FAILURE_LIMIT)]

    assert answers == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429]
    assert sign_in(PASSWORD) == 429  # Also the right one, or the answer would tell.
    assert sign_in(PASSWORD, "198.51.100.7") == 302  # The person it belongs to is not locked out.


def attempt(name: str, address: str, password: str = "guess", **headers: str) -> int:
    form = {"login": name, "password": password, "next": "/admin/"}
    return Client().post("/accounts/login/", form, REMOTE_ADDR=address, **headers).status_code


def test_behind_a_proxy_nobody_locks_a_person_out_from_elsewhere(admin: User, settings: Any) -> None:
    settings.TRUST_PROXY = True

    guesses = [attempt("ann", "10.0.0.1", HTTP_X_FORWARDED_FOR=f"192.0.2.9, 198.51.100.{n}") for n in range(8)]

    assert guesses == [200] * 4 + [429] * 4  # The proxy wrote the last one; the network is one and the same.
    assert attempt("ann", "10.0.0.1", PASSWORD, HTTP_X_FORWARDED_FOR="192.0.2.9") == 302


def test_without_a_trusted_proxy_nobody_chooses_their_own_address(admin: User) -> None:
    guesses = [attempt("ann", "203.0.113.5", HTTP_X_FORWARDED_FOR=f"192.0.{n}.1") for n in range(6)]

    assert guesses[-1] == 429


@pytest.mark.parametrize(
    ("guesser", "neighbour", "stranger"),
    [
        ("203.0.113.{}", "203.0.113.250", "203.0.114.1"),
        ("2001:db8:1:{}::5", "2001:db8:1:ffff::1", "2001:db8:2::1"),
        ("::ffff:203.0.113.{}", "203.0.113.250", "::ffff:203.0.114.1"),
    ],
)
def test_guessing_many_names_is_stopped_for_the_network_alone(
    admin: User, guesser: str, neighbour: str, stranger: str
) -> None:
    answers = [attempt(f"person{number}", guesser.format(number)) for number in range(30)]

    assert answers[0] == 200
    assert answers[-1] == 429
    assert attempt("ann", neighbour, PASSWORD) == 429
    assert attempt("ann", stranger, PASSWORD) == 302


def test_a_success_of_ones_own_wins_no_more_guesses(admin: User) -> None:
    for number in range(30):
        if number % 3 == 0:
            attempt("ann", "203.0.113.5", PASSWORD)
        last = attempt(f"person{number}", "203.0.113.5")

    assert last == 429


def test_a_locked_network_is_free_after_the_cool_off_though_somebody_went_on_guessing(admin: User) -> None:
    for number in range(30):
        attempt(f"person{number}", "203.0.113.5")
    earlier = timezone.now() - dt.timedelta(hours=settings.AXES_COOLOFF_TIME, minutes=1)

    assert AccessFailureLog.objects.count() == FAILURES_PER_NETWORK  # What is refused does not count.
    AccessFailureLog.objects.update(attempt_time=earlier)
    AccessAttempt.objects.update(attempt_time=earlier)

    assert attempt("ann", "203.0.113.5", PASSWORD) == 302


def test_the_lock_out_page_says_what_to_do(admin: User) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        answer = Client().post("/accounts/login/", {"login": "ann", "password": "guess"})

    assert "Try again in 15 minutes" in answer.content.decode()
    assert dt.timedelta(hours=settings.AXES_COOLOFF_TIME) == dt.timedelta(minutes=15)


def test_an_unknown_name_and_a_wrong_password_get_the_same_answer(admin: User) -> None:
    def answer(name: str) -> str:
        page = Client().post(
            "/accounts/login/", {"login": name, "password": "wrong"}, REMOTE_ADDR=f"192.0.2.{len(name)}"
        )
        return page.content.decode().replace(name, "").partition('id="login-form"')[0]

    assert answer("ann") == answer("nobody")


@pytest.mark.parametrize("password", ["short", "password1234", "123456789012345", "ann-ann-ann-1"])
def test_weak_passwords_are_refused(client: Client, password: str) -> None:
    form = {"username": "ann-ann-ann", "password1": password, "password2": password, "usable_password": "true"}
    client.post("/admin/auth/user/add/", form)

    assert not User.objects.filter(username="ann-ann-ann").exists()


def test_passwords_are_stored_with_argon2(admin: User) -> None:
    assert admin.password.startswith("argon2$argon2id$")


def test_a_new_person_can_sign_in_and_may_do_nothing_yet(client: Client) -> None:
    form = {"username": "bob", "password1": PASSWORD, "password2": PASSWORD, "usable_password": "true"}
    client.post("/admin/auth/user/add/", form)
    bob = Client()
    bob.post("/accounts/login/", {"login": "bob", "password": PASSWORD, "next": "/admin/"})
    own = "one that nobody else knows"
    bob.post("/admin/password_change/", {"old_password": PASSWORD, "new_password1": own, "new_password2": own})

    assert "Your account has no role yet." in bob.get("/admin/").content.decode()
