"""The pauses of servers whose OAuth account is refused, beside pauses of other kinds."""

import datetime as dt

import pytest

from smtpservers import oauth_accounts
from smtpservers.limits import circuit_breaker
from smtpservers.models import SmtpServer
from tests.delivery.making import make_server
from tests.oauth.making import make_account

T = dt.datetime(2026, 11, 30, 23, 58, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)

pytestmark = pytest.mark.django_db


def state(server: SmtpServer) -> tuple[str, dt.datetime | None, bool]:
    server.refresh_from_db()
    return server.paused_reason, server.paused_until, server.pause_awaits_account


def test_an_account_pauses_its_servers_and_ends_what_it_began() -> None:
    account = make_account()
    server, others = make_server(25, oauth_account=account), make_server(26, "Other")

    oauth_accounts.follow(account, "OAuth account Newsletter: refused", T)
    assert state(server) == ("OAuth account Newsletter: refused", None, True)
    oauth_accounts.follow(account, "OAuth account Newsletter: still refused", T)
    assert state(server) == ("OAuth account Newsletter: still refused", None, True)
    assert state(others) == ("", None, False)

    oauth_accounts.follow(account, "", T)

    assert state(server) == ("", None, False)


@pytest.mark.parametrize("until", [None, T + HOUR])
def test_another_pause_is_neither_replaced_nor_ended_by_an_account(until: dt.datetime | None) -> None:
    account = make_account()
    server = make_server(25, oauth_account=account)
    circuit_breaker.pause(server.pk, "OAuth account Newsletter: Its tokens are never sent to x.example.", until, T)
    before = state(server)

    oauth_accounts.follow(account, "refused", T)
    assert state(server) == before
    oauth_accounts.follow(account, "", T)

    assert state(server) == before


def test_a_pause_that_is_over_is_replaced_by_an_account_s() -> None:
    account = make_account()
    server = make_server(25, oauth_account=account)
    circuit_breaker.pause(server.pk, "421 later", T + HOUR, T)

    oauth_accounts.follow(account, "refused", T + HOUR)

    assert state(server) == ("refused", None, True)


def test_a_pause_for_good_that_comes_after_an_account_s_stays() -> None:
    account = make_account()
    server = make_server(25, oauth_account=account)
    oauth_accounts.follow(account, "refused", T)
    assert not circuit_breaker.pause(server.pk, "a while", T + HOUR, T)
    circuit_breaker.pause(server.pk, "535 wrong", None, T)

    oauth_accounts.follow(account, "", T)

    assert state(server) == ("535 wrong", None, False)
