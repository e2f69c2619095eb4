"""A link from the command line signs one user in once, whatever else is broken."""

import datetime as dt
import logging
from concurrent.futures import ThreadPoolExecutor
from io import StringIO
from typing import Any

import pytest
from axes.models import AccessFailureLog
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import Client
from django.utils import timezone

from accounts.models import SignInLink
from accounts.sign_in.lockout import FAILURES_PER_NETWORK
from accounts.single_sign_on.links import NOT_VALID, VALID_FOR
from tests.accounts.conftest import App
from tests.accounts.sign_in.test_signing_in import LOGIN, SECOND, database_dump, is_signed_in
from tests.accounts.test_fresh_sign_in import SERVERS, asks, forms_of

LINK = "/accounts/login/link/"


def made(name: str = "ann") -> str:
    out = StringIO()
    call_command("signin_link", name, stdout=out)
    address = out.getvalue().strip()
    start, _, token = address.partition("?token=")
    assert start == f"http://localhost:8000{LINK}"
    return token


def use(token: str, client: Client | None = None) -> Any:
    return (client or Client()).post(LINK, {"token": token})


def is_refused(answer: Any) -> bool:
    return answer["Location"] == LOGIN and [str(each) for each in get_messages(answer.wsgi_request)] == [NOT_VALID]


def test_it_signs_in_once_and_proves_who_it_is(ann: User, settings: Any) -> None:
    settings.OIDC_ONLY = True
    token = made()
    client = Client(enforce_csrf_checks=True)

    page = client.get(LINK, {"token": token})  # A program that looks at links spends nothing.
    assert page.status_code == 200
    assert not is_signed_in(client)
    (form,) = forms_of(client.get(LINK, {"token": token}))
    assert client.post(LINK, {"token": token}).status_code == 403
    assert client.post(LINK, form)["Location"] == "/admin/"

    assert is_signed_in(client)
    assert not asks(client.get(f"{SERVERS}add/"))
    again = Client()
    assert is_refused(use(token, again))
    assert not is_signed_in(again)
    assert AccessFailureLog.objects.count() == 1


def test_a_second_factor_is_asked_for_as_always(ann: User, app: App) -> None:
    client = Client()

    assert use(made(), client)["Location"] == SECOND
    assert not is_signed_in(client)
    assert client.post(SECOND, {"code": app()})["Location"] == "/admin/"


def test_after_15_minutes_it_is_worth_nothing(ann: User) -> None:
    token = made()
    SignInLink.objects.update(expires_at=timezone.now() - dt.timedelta(seconds=1))

    assert dt.timedelta(minutes=15) == VALID_FOR
    assert is_refused(use(token))


def test_one_made_while_the_clock_was_a_day_ahead_is_worth_nothing(ann: User) -> None:
    token = made()
    SignInLink.objects.update(expires_at=timezone.now() + dt.timedelta(days=1))

    assert is_refused(use(token))


def test_a_new_link_replaces_the_old_one(ann: User) -> None:
    old, new = made(), made()

    assert is_refused(use(old))
    assert use(new)["Location"] == "/admin/"


def test_a_user_who_was_switched_off_gets_none_and_cannot_use_one(ann: User) -> None:
    token = made()
    User.objects.update(is_active=False)

    assert is_refused(use(token))
    with pytest.raises(CommandError, match="ann is switched off"):
        call_command("signin_link", "ann")
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        call_command("signin_link", "nobody")


def test_guessing_one_is_limited(ann: User) -> None:
    answers = [
        use(f"guess-{number}", Client(REMOTE_ADDR="203.0.113.5")).status_code
        for number in range(FAILURES_PER_NETWORK + 1)
    ]

    assert answers == [302] * FAILURES_PER_NETWORK + [429]


def test_it_is_told_in_the_log_and_stands_nowhere(ann: User, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = made()
    stored = database_dump()

    client = Client()
    client.get(LINK, {"token": token})
    use(token, client)
    use(token)

    assert "A link to sign in was made for ann" in caplog.text
    assert "ann signed in by a link." in caplog.text
    assert token not in caplog.text + stored + database_dump()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_of_eight_who_use_it_at_once_one_gets_in(ann: User) -> None:
    token = made()

    def sign_in(number: int) -> str:
        try:
            return str(use(token, Client(REMOTE_ADDR=f"10.0.{number}.1"))["Location"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(sign_in, range(8)))

    assert sorted(answers) == [LOGIN] * 7 + ["/admin/"]
