"""Signing in with a second factor, and the limits on guessing it."""

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import lxml.html
import pytest
from allauth.mfa.models import Authenticator
from axes.models import AccessAttempt, AccessFailureLog
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from django.utils import timezone
from django.utils.timezone import localtime

from accounts import factors
from accounts.sign_in.lockout import FAILURES_PER_NETWORK
from tests.accounts.conftest import PASSWORD, App

LOGIN, SECOND, PASSKEY = "/accounts/login/", "/accounts/login/second-factor/", "/accounts/login/passkey/"


def after_the_password(address: str = "192.0.2.1", name: str = "ann") -> Client:
    client = Client(REMOTE_ADDR=address)
    answer = client.post(LOGIN, {"login": name, "password": PASSWORD, "next": "/admin/password_change/"})
    assert answer["Location"] == SECOND
    return client


def is_signed_in(client: Client) -> bool:
    return client.get("/admin/password_change/").status_code == 200


def test_without_a_second_factor_the_password_leads_in(ann: User) -> None:
    client = Client()

    answer = client.post(LOGIN, {"login": "ann", "password": PASSWORD, "next": "/admin/password_change/"})

    assert answer["Location"] == "/admin/password_change/"
    assert is_signed_in(client)


def test_with_one_the_password_alone_opens_nothing(ann: User, app: App) -> None:
    client = after_the_password()

    assert not is_signed_in(client)


def test_a_code_of_the_app_leads_to_the_page_that_was_asked_for(ann: User, app: App) -> None:
    client = after_the_password()
    before = client.session.session_key

    answer = client.post(SECOND, {"code": app()})

    assert answer["Location"] == "/admin/password_change/"
    assert is_signed_in(client)
    assert client.session.session_key != before


def test_a_code_with_spaces_is_read_and_one_of_a_minute_ago_is_not(ann: User, app: App) -> None:
    assert after_the_password().post(SECOND, {"code": app(-2)}).status_code == 200
    code = app(1)
    assert after_the_password().post(SECOND, {"code": f"{code[:3]} {code[3:]} "}).status_code == 302


def test_no_code_works_twice_nor_does_an_older_one(ann: User, app: App) -> None:
    code, older = app(), app(-1)
    assert after_the_password().post(SECOND, {"code": code}).status_code == 302

    again = [after_the_password().post(SECOND, {"code": each}) for each in (code, older)]

    assert [answer.status_code for answer in again] == [200, 200]
    assert "Wrong code." in again[0].content.decode()


@pytest.mark.django_db(transaction=True)
def test_of_eight_who_send_a_code_at_once_one_gets_in(ann: User, app: App) -> None:
    code = app()

    def send(client: Client) -> int:
        try:
            return client.post(SECOND, {"code": code}).status_code
        finally:
            connections.close_all()

    clients = [after_the_password(f"10.0.{number}.1") for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(send, clients))

    assert sorted(answers) == [200] * 7 + [302]


def test_a_recovery_code_works_once(ann: User, app: App) -> None:
    code, other, *_ = factors.make_recovery_codes(ann)

    first = after_the_password().post(SECOND, {"code": code.upper()})
    second = after_the_password().post(SECOND, {"code": code})

    assert (first.status_code, second.status_code) == (302, 200)
    assert factors.recovery_codes_left(ann) == factors.RECOVERY_CODE_COUNT - 1
    assert after_the_password().post(SECOND, {"code": other.replace("-", "")}).status_code == 302


def test_nothing_stored_opens_the_door(ann: User, app: App) -> None:
    """Neither the app's secret nor a recovery code stands anywhere in the database."""
    codes = factors.make_recovery_codes(ann)
    secret = factors.get_adapter().decrypt(Authenticator.objects.get(type="totp").data["secret"])
    after_the_password().post(SECOND, {"code": codes[0]})
    after_the_password().post(SECOND, {"code": "wrong-code-1234"})

    stored = database_dump()

    for hidden in (secret, *codes, *(code.replace("-", "") for code in codes), "wrong-code-1234", PASSWORD):
        assert hidden not in stored


def database_dump() -> str:
    with connection.cursor() as cursor:
        cells = []
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            cells += [str(bytes(cell) if isinstance(cell, memoryview) else cell) for row in cursor for cell in row]
    return "\n".join(cells)


def test_a_lost_encryption_key_leaves_recovery_codes(ann: User, app: App, settings: Any) -> None:
    code, *_ = factors.make_recovery_codes(ann)
    settings.FIELD_ENCRYPTION_KEYS = ["x" * 43 + "="]

    assert after_the_password().post(SECOND, {"code": app()}).status_code == 200
    assert after_the_password().post(SECOND, {"code": code}).status_code == 302


# --- guessing


def test_wrong_codes_count_like_wrong_passwords_each_once_and_end_with_the_same_page(ann: User, app: App) -> None:
    client = after_the_password()

    answers = [client.post(SECOND, {"code": f"00000{number}"}) for number in range(settings.AXES_FAILURE_LIMIT + 1)]

    assert [answer.status_code for answer in answers] == [200] * (settings.AXES_FAILURE_LIMIT - 1) + [429] * 2
    assert AccessFailureLog.objects.count() == settings.AXES_FAILURE_LIMIT
    assert client.post(SECOND, {"code": app()}).status_code == 429  # Also the right one, or the answer would tell.
    assert Client(REMOTE_ADDR="192.0.2.9").post(LOGIN, {"login": "ann", "password": PASSWORD}).status_code == 429
    elsewhere = after_the_password("198.51.100.7")
    assert elsewhere.post(SECOND, {"code": app()}).status_code == 302


def test_the_lock_out_page_says_whom_it_keeps_out_until_when_and_whom_to_ask(ann: User, app: App) -> None:
    client = after_the_password()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client.post(SECOND, {"code": "000000"})
    earlier = timezone.now() - dt.timedelta(minutes=5, seconds=30)
    AccessFailureLog.objects.update(attempt_time=earlier)
    AccessAttempt.objects.update(attempt_time=earlier)

    page = client.post(SECOND, {"code": app()})

    text = " ".join(lxml.html.document_fromstring(page.content.decode()).find(".//main").text_content().split())
    assert page.status_code == 429
    assert "Too many wrong tries" in text
    assert "for this user name were wrong. Other users aren't affected." in text
    assert f"Try again in 10 minutes, at {localtime(earlier + dt.timedelta(minutes=15, seconds=59)):%H:%M}" in text
    assert "Ask an administrator" in text
    assert "network" not in text


def test_it_says_so_where_the_whole_network_is_kept_out(ann: User) -> None:
    for number in range(FAILURES_PER_NETWORK):
        Client().post(LOGIN, {"login": f"person{number}", "password": "guess"})

    page = Client().post(LOGIN, {"login": "ann", "password": PASSWORD})

    assert page.status_code == 429
    assert "Nobody can log in from there for now." in page.content.decode()
    assert "Try again in 15 minutes" in page.content.decode()


def test_a_wrong_code_leaves_an_empty_field(ann: User, app: App) -> None:
    page = after_the_password().post(SECOND, {"code": "493817"}).content.decode()

    assert "Wrong code." in page
    assert "493817" not in page


def test_a_recovery_code_says_how_many_are_left(ann: User, app: App) -> None:
    code, *_ = factors.make_recovery_codes(ann)
    client = after_the_password()

    client.post(SECOND, {"code": code})

    assert "9 recovery codes left." in client.get("/admin/password_change/").content.decode()


def test_a_right_password_in_between_wins_no_more_codes(ann: User, app: App) -> None:
    answers = [after_the_password().post(SECOND, {"code": "000000"}).status_code for _ in range(4)]
    client = after_the_password()

    assert [*answers, client.post(SECOND, {"code": "000000"}).status_code] == [200] * 4 + [429]


def test_nobody_is_locked_out_for_good(ann: User, app: App) -> None:
    client = after_the_password()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        client.post(SECOND, {"code": "000000"})
    earlier = timezone.now() - dt.timedelta(hours=settings.AXES_COOLOFF_TIME, minutes=1)

    AccessFailureLog.objects.update(attempt_time=earlier)
    AccessAttempt.objects.update(attempt_time=earlier)

    assert after_the_password().post(SECOND, {"code": app()}).status_code == 302


def test_codes_of_many_names_count_for_the_network(ann: User) -> None:
    people = [User.objects.create_user(f"person{number}", password=PASSWORD, is_staff=True) for number in range(7)]
    for person in people:
        factors.add_totp(person, "A" * 32, step=0)

    answers = [
        after_the_password(f"203.0.113.{number}", person.username).post(SECOND, {"code": "000000"}).status_code
        for person in people
        for number in range(3)
        if AccessFailureLog.objects.count() < FAILURES_PER_NETWORK
    ]

    assert len(answers) == FAILURES_PER_NETWORK
    assert Client(REMOTE_ADDR="203.0.113.99").post(LOGIN, {"login": "ann", "password": PASSWORD}).status_code == 429


def test_every_password_that_fails_counts_once(ann: User) -> None:
    Client().post(LOGIN, {"login": "ann", "password": "guess"})

    assert AccessFailureLog.objects.count() == 1
    attempt = AccessAttempt.objects.get()
    assert (attempt.failures_since_start, attempt.post_data, attempt.get_data) == (1, "", "")


DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no JSON",
        "[]",
        DEEP,
        "{}",
        '{"id": 1}',
        '{"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": []}',
        '{"id": "AAAA", "rawId": "AAAA", "type": "public-key", "response": {"userHandle": []}}',
        json.dumps(
            {
                "id": "AAAA",
                "rawId": "AAAA",
                "type": "public-key",
                "response": {
                    "clientDataJSON": "AAAA",
                    "authenticatorData": "AAAA",
                    "signature": "AAAA",
                    "userHandle": "MQ",
                },
            }
        ),
    ],
)
def test_what_no_key_says_is_refused_and_counted(ann: User, app: App, answer: str) -> None:
    stranger = Client()
    stranger.get(PASSKEY, headers={"accept": "application/json"})

    refused = stranger.post(PASSKEY, {"credential": answer})
    second = after_the_password().post(SECOND, {"credential": answer})

    assert refused["Location"] == LOGIN
    assert second.status_code == 200
    if answer.startswith('{"'):
        assert AccessFailureLog.objects.count() == 2


def test_a_person_switched_off_gets_no_further(ann: User, app: App) -> None:
    client = after_the_password()
    User.objects.update(is_active=False)

    client.post(SECOND, {"code": app()})

    assert not is_signed_in(client)
