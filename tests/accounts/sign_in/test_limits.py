"""Attacks on every way in: many names, many networks, many at once, and an attacker who wants the owner kept out."""

import datetime as dt
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.conf import settings
from django.contrib.auth import hashers
from django.contrib.auth.models import User
from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts import factors
from accounts.sign_in.lockout import FAILURES_PER_NAME, FAILURES_PER_NETWORK, KNOWN_FOR
from accounts.single_sign_on import links
from accounts.single_sign_on.issuer import MOST_WAITING
from tests.accounts.conftest import PASSWORD, App, sign_in_fully, signed_in
from tests.accounts.sign_in.test_signing_in import LOGIN, PASSKEY, SECOND, after_the_password, database_dump
from tests.accounts.test_fresh_sign_in import grow_old
from tests.peers.issuer import ScriptedIssuer

LINK = "/accounts/login/link/"
HOME, CAFE = "198.51.100.7", "203.0.113.5"


def try_password(address: str, password: str = "guess", name: str = "ann") -> int:
    return Client(REMOTE_ADDR=address).post(LOGIN, {"login": name, "password": password}).status_code


def attack_from_many_networks(name: str = "ann") -> list[int]:
    return [try_password(f"10.{number}.0.1", name=name) for number in range(FAILURES_PER_NAME + 3)]


def test_guesses_from_many_networks_count_for_the_name(ann: User) -> None:
    answers = attack_from_many_networks()

    assert answers == [200] * FAILURES_PER_NAME + [429] * 3
    assert AccessFailureLog.objects.count() == FAILURES_PER_NAME  # What is refused does not count.
    assert try_password(CAFE, PASSWORD) == 429


def test_they_do_not_keep_the_owner_out_at_home_nor_in_an_open_session(ann: User, app: App) -> None:
    after_the_password(HOME).post(SECOND, {"code": app(-1)})
    attack_from_many_networks()

    client = after_the_password(HOME)

    assert client.post(SECOND, {"code": app()}).status_code == 302
    assert client.post("/accounts/confirm/", {"password": PASSWORD}).status_code == 200
    assert client.get("/admin/").status_code == 200


def test_a_network_is_known_for_a_month_and_for_that_name_alone(ann: User) -> None:
    User.objects.create_user("bob", password=PASSWORD, is_staff=True)
    signed_in(address=HOME)
    signed_in("bob", address=CAFE)
    attack_from_many_networks()

    assert try_password(CAFE, PASSWORD) == 429
    assert try_password(HOME, PASSWORD) == 302
    AccessLog.objects.update(attempt_time=timezone.now() - KNOWN_FOR)
    assert try_password(HOME, PASSWORD) == 429


def test_a_known_network_still_has_the_limit_of_every_other(ann: User) -> None:
    signed_in(address=HOME)
    attack_from_many_networks()

    assert [try_password(HOME) for _ in range(6)] == [200] * 4 + [429] * 2


def test_after_the_cool_off_everything_is_open_again(ann: User) -> None:
    attack_from_many_networks()
    earlier = timezone.now() - dt.timedelta(hours=settings.AXES_COOLOFF_TIME, minutes=1)
    AccessFailureLog.objects.update(attempt_time=earlier)
    AccessAttempt.objects.update(attempt_time=earlier)

    assert try_password(CAFE, PASSWORD) == 302


def test_names_that_do_not_exist_are_limited_alike(ann: User) -> None:
    assert attack_from_many_networks("nobody") == attack_from_many_networks("ann")


def test_a_missing_name_costs_as_many_hashes_as_an_existing_one(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    User.objects.create_user("sso")  # Without a password.
    User.objects.create_user("gone", password=PASSWORD, is_active=False)
    hashed: list[str] = []
    encode = hashers.Argon2PasswordHasher.encode
    monkeypatch.setattr(hashers.Argon2PasswordHasher, "encode", lambda *args: (hashed.append("made"), encode(*args))[1])
    verify = hashers.Argon2PasswordHasher.verify
    monkeypatch.setattr(
        hashers.Argon2PasswordHasher, "verify", lambda *args: (hashed.append("checked"), verify(*args))[1]
    )
    counts = {}
    for name in ("ann", "nobody", "sso", "gone"):
        hashed.clear()
        assert try_password(f"192.0.{len(counts)}.1", name=name) == 200
        counts[name] = len(hashed)

    assert counts == {"ann": 1, "nobody": 1, "sso": 1, "gone": 1}


def guess_at_the_question(client: Client) -> int:
    return client.post("/accounts/confirm/", {"password": "guess"}).status_code


def guess_a_code_at_the_question(client: Client) -> int:
    return client.post("/accounts/confirm/", {"code": "000000"}).status_code


def guess_on_the_way(client: Client) -> int:
    return client.post("/restored/", {"fresh_password": "guess"}).status_code


def guess_at_the_change(client: Client) -> int:
    sent = {"old_password": "guess", "new_password1": "a new passphrase", "new_password2": "a new passphrase"}
    return client.post("/admin/password_change/", sent).status_code


@pytest.mark.parametrize(
    "guess", [guess_at_the_question, guess_a_code_at_the_question, guess_on_the_way, guess_at_the_change]
)
def test_a_thief_of_an_open_session_guesses_no_more_than_at_the_sign_in(
    ann: User, app: App, guess: Callable[[Client], int]
) -> None:
    client = Client()
    sign_in_fully(client, ann)
    grow_old(client)

    answers = [guess(client) for _ in range(settings.AXES_FAILURE_LIMIT + 1)]

    assert answers == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429] * 2
    assert client.get("/admin/").status_code == 200  # The session itself stays: it may be the owner's.


def test_the_admin_s_old_address_takes_no_password_at_all(ann: User) -> None:
    for _ in range(10):
        Client(REMOTE_ADDR=CAFE).post("/admin/login/", {"username": "ann", "password": "guess"})

    assert not AccessFailureLog.objects.exists()  # Nothing was looked at.
    assert try_password(CAFE, PASSWORD) == 302


# --- many at once


def at_once(count: int, send: Callable[[int], Any]) -> list[Any]:
    def run(number: int) -> Any:
        try:
            return send(number)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(run, range(count)))


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return what passwords and codes are compared with what is stored."""
    seen: list[str] = []
    check, spend = User.check_password, factors.spend_code
    monkeypatch.setattr(User, "check_password", lambda self, raw: (seen.append(raw), check(self, raw))[1])
    monkeypatch.setattr(factors, "spend_code", lambda user, code: (seen.append(code), spend(user, code))[1])
    return seen


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("guess", [guess_at_the_question, guess_a_code_at_the_question, guess_at_the_change])
def test_of_fifty_guesses_at_once_in_a_session_no_more_than_the_limit_are_looked_at(
    ann: User, app: App, looked_at: list[str], guess: Callable[[Client], int]
) -> None:
    clients = [Client() for _ in range(50)]
    for client in clients:
        sign_in_fully(client, ann)

    at_once(50, lambda number: guess(clients[number]))

    assert len(looked_at) == settings.AXES_FAILURE_LIMIT


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_fifty_codes_at_once_no_more_than_the_limit_are_looked_at(ann: User, app: App, looked_at: list[str]) -> None:
    clients = [after_the_password(f"192.0.2.{number}") for number in range(50)]
    looked_at.clear()

    answers = at_once(50, lambda number: clients[number].post(SECOND, {"code": f"{number:06}"}).status_code)

    assert len(looked_at) == settings.AXES_FAILURE_LIMIT
    assert sorted(answers) == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429] * (51 - settings.AXES_FAILURE_LIMIT)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "address", "limit"),
    [
        ("ann", "192.0.2.{}", settings.AXES_FAILURE_LIMIT),
        ("person{}", "192.0.2.{}", FAILURES_PER_NETWORK),
        ("ann", "10.{}.0.1", FAILURES_PER_NAME),
    ],
)
def test_of_fifty_passwords_at_once_no_more_than_the_limit_are_looked_at(
    ann: User, name: str, address: str, limit: int
) -> None:
    answers = at_once(50, lambda number: try_password(address.format(number), name=name.format(number)))

    assert AccessFailureLog.objects.count() == limit
    assert answers.count(429) >= 50 - limit


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_fifty_guessed_links_at_once_no_more_than_the_limit_are_looked_at(
    ann: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[str] = []
    monkeypatch.setattr(links, "_spend", looked_at.append)

    at_once(50, lambda number: Client(REMOTE_ADDR="192.0.2.1").post(LINK, {"token": f"{number}"}))

    assert len(looked_at) == FAILURES_PER_NETWORK


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_refused_answers_of_the_issuer_at_once_all_count(issuer: ScriptedIssuer) -> None:
    issuer.claims["nonce"] = "of another sign-in"

    def come_back(number: int) -> int:
        client = Client(REMOTE_ADDR="192.0.2.1")
        asked = client.get("/accounts/login/issuer/")["Location"]
        return client.get(issuer.come_back(asked)).status_code

    assert at_once(MOST_WAITING, come_back) == [302] * MOST_WAITING
    assert AccessFailureLog.objects.count() == MOST_WAITING


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_fifty_answers_of_no_key_at_once_are_limited_too(ann: User) -> None:
    at_once(50, lambda number: send_bogus_passkey(Client(REMOTE_ADDR="192.0.2.1")))

    assert AccessFailureLog.objects.count() == FAILURES_PER_NETWORK


# --- what names nobody


def send_bogus_passkey(client: Client, answer: str = '{"a": 1}') -> int:
    client.get(PASSKEY, headers={"accept": "application/json"})
    return client.post(PASSKEY, {"credential": answer}).status_code


def test_answers_of_no_known_passkey_have_the_limit_of_the_network_alone(ann: User) -> None:
    client = Client(REMOTE_ADDR="203.0.113.1")

    answers = [send_bogus_passkey(client) for _ in range(FAILURES_PER_NETWORK + 1)]

    assert answers == [302] * FAILURES_PER_NETWORK + [429]
    assert try_password("203.0.113.250", PASSWORD) == 429
    assert try_password(HOME, PASSWORD) == 302


def test_a_thousand_failures_elsewhere_take_none_out_of_a_networks_count(ann: User) -> None:
    client = Client(REMOTE_ADDR="203.0.113.1")
    for _ in range(FAILURES_PER_NETWORK):
        send_bogus_passkey(client)
    elsewhere = (AccessFailureLog(ip_address="192.0.2.0", attempt_time=timezone.now()) for _ in range(1000))
    AccessFailureLog.objects.bulk_create(elsewhere)

    send_bogus_passkey(Client(REMOTE_ADDR="198.51.100.1"))

    assert send_bogus_passkey(client) == 429


def test_nothing_that_a_browser_says_of_itself_is_kept_or_logged(ann: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client(HTTP_USER_AGENT="canary of an agent", HTTP_ACCEPT="canary/*")

    for password in ("wrong", PASSWORD):
        client.post("/accounts/login/", {"login": "ann", "password": password})
    client.post("/accounts/logout/")

    assert (AccessFailureLog.objects.count(), AccessLog.objects.count()) == (1, 1)
    assert "canary" not in database_dump() + caplog.text


def test_a_few_of_them_keep_nobody_of_the_network_from_a_passkey(ann: User) -> None:
    for _ in range(FAILURES_PER_NETWORK - 1):
        send_bogus_passkey(Client(REMOTE_ADDR="203.0.113.1"))

    assert send_bogus_passkey(Client(REMOTE_ADDR="203.0.113.250")) == 302
    assert AccessFailureLog.objects.count() == FAILURES_PER_NETWORK  # It was looked at.


# --- codes


def test_codes_after_the_right_password_count_for_the_name_from_all_networks(
    ann: User, app: App, looked_at: list[str]
) -> None:
    after_the_password(HOME).post(SECOND, {"code": app(-1)})
    thieves = [after_the_password(f"10.{number}.0.1") for number in range(FAILURES_PER_NAME + 3)]
    looked_at.clear()

    answers = [thief.post(SECOND, {"code": "000000"}).status_code for thief in thieves]

    assert answers == [200] * FAILURES_PER_NAME + [429] * 3
    assert len(looked_at) == FAILURES_PER_NAME
    assert thieves[0].post(SECOND, {"code": app()}).status_code == 429
    assert after_the_password(HOME).post(SECOND, {"code": app()}).status_code == 302  # The owner, at home.


# --- a clock that was a day ahead


def move_failures(by: dt.timedelta) -> None:
    at = timezone.now() + by
    AccessFailureLog.objects.update(attempt_time=at)
    AccessAttempt.objects.update(attempt_time=at)


@pytest.mark.parametrize("attack", [attack_from_many_networks, lambda: [try_password(CAFE) for _ in range(5)]])
def test_failures_dated_in_the_future_keep_nobody_out(ann: User, attack: Callable[[], Any]) -> None:
    attack()
    assert try_password(CAFE, PASSWORD) == 429

    move_failures(dt.timedelta(days=1))

    assert try_password(CAFE) == 200  # A typing error brings none of them back.
    assert try_password(CAFE, PASSWORD) == 302


def test_failures_that_another_machine_dates_a_little_later_count(ann: User) -> None:
    for _ in range(5):
        try_password(CAFE)

    move_failures(dt.timedelta(seconds=40))

    assert try_password(CAFE, PASSWORD) == 429


def test_the_page_of_a_locked_name_says_that_single_sign_on_still_works(ann: User, issuer: ScriptedIssuer) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client = Client(REMOTE_ADDR=CAFE)
        page = client.post(LOGIN, {"login": "ann", "password": "guess"}).content.decode()

    assert "Single sign-on still works." in page
    assert client.post("/accounts/login/issuer/", headers={"sec-fetch-site": "same-origin"}).status_code in (302, 405)
    for number in range(FAILURES_PER_NETWORK):
        page = Client(REMOTE_ADDR=CAFE).post(LOGIN, {"login": f"n{number}", "password": "guess"}).content.decode()
    assert "Single sign-on still works." not in page  # Its answers count for the network.


def test_without_single_sign_on_the_page_does_not_speak_of_it(ann: User) -> None:
    for _ in range(settings.AXES_FAILURE_LIMIT):
        page = Client(REMOTE_ADDR=CAFE).post(LOGIN, {"login": "ann", "password": "guess"}).content.decode()

    assert "Single sign-on" not in page
