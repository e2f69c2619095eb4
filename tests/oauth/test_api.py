"""Requests to a provider's API: with the account's token, to its own host, and renewed once if it is refused."""

import datetime as dt
import json
import logging

import pytest
from django.utils import timezone

from net.addresses import NotConnected
from oauth.api import call
from oauth.models import OAuthAccount
from oauth.tokens import NoToken, token_for
from tests.oauth.making import make_account
from tests.peers.token_server import Answer, Asked, TokenServer

HOST = "gmailpostmastertools.googleapis.com"
URL = f"https://{HOST}/v2/domains"

pytestmark = pytest.mark.django_db(transaction=True)


def latest(account: OAuthAccount) -> OAuthAccount:
    return OAuthAccount.objects.get(pk=account.pk)


def age(account: OAuthAccount, **ago: int) -> None:
    """Make the token as old as this, so that it may be renewed before its time."""
    OAuthAccount.objects.filter(pk=account.pk).update(renewed_at=timezone.now() - dt.timedelta(**ago))


class Api:
    """Takes the tokens that are not refused."""

    def __init__(self, server: TokenServer) -> None:
        self.asked: list[Asked] = []
        self.refused: set[str] = set()
        server.api = self

    def __call__(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        return (401, {}) if asked.token in self.refused else (200, {"domains": []})


@pytest.mark.parametrize("flow", ["postmaster user", "postmaster service"])
def test_a_request_carries_the_token_of_the_account(server: TokenServer, flow: str) -> None:
    api, account = Api(server), make_account(flow, server)

    got = call(account, URL, timezone.now(), most=1000)
    posted = call(latest(account), f"{URL}/x:query", timezone.now(), body=b'{"pageSize": 1}', most=1000)

    assert (got.status, json.loads(posted.body)) == (200, {"domains": []})
    assert [(asked.method, asked.path, asked.body) for asked in api.asked] == [
        ("GET", f"/{HOST}/v2/domains", None),
        ("POST", f"/{HOST}/v2/domains/x:query", {"pageSize": 1}),
    ]
    assert {asked.token for asked in api.asked} == {server.said[-1]}


def test_a_refused_token_is_renewed_once(server: TokenServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    api, account = Api(server), make_account("postmaster service", server)
    api.refused.add(token_for(account, HOST, timezone.now()))
    age(account, minutes=5)

    assert call(latest(account), URL, timezone.now(), most=1000).status == 200

    assert [asked.token for asked in api.asked] == server.said
    assert not any(token in caplog.text for token in server.said)


def test_an_api_that_refuses_each_token_is_asked_twice_and_no_more(server: TokenServer) -> None:
    account = make_account("postmaster service", server)
    token_for(account, HOST, timezone.now())
    age(account, minutes=5)
    asked: list[Asked] = []

    def refuse(one: Asked) -> Answer:
        asked.append(one)
        return 401, {}

    server.api = refuse

    assert call(latest(account), URL, timezone.now(), most=1000).status == 401
    assert [one.token for one in asked] == server.said
    assert len(server.asked) == 2


def test_a_token_goes_to_the_hosts_of_its_own_purpose_alone(server: TokenServer) -> None:
    mail, figures = make_account("google service"), make_account("postmaster service", name="Figures")

    for account, host in [(mail, HOST), (figures, "smtp.gmail.com"), (figures, "localhost"), (figures, "127.0.0.1")]:
        with pytest.raises(NoToken, match=f"Its tokens are never sent to {host}"):
            token_for(account, host, timezone.now())
    with pytest.raises(NoToken):
        call(figures, "https://attacker.example/v2", timezone.now(), most=1000)
    assert server.asked == []


def test_a_redirect_is_not_followed(server: TokenServer) -> None:
    account = make_account("postmaster service", server)
    server.api = lambda asked: (302, {})

    assert call(account, URL, timezone.now(), most=1000).status == 302


def test_an_api_that_hangs_up_is_named_without_the_token(server: TokenServer) -> None:
    account = make_account("postmaster service", server)

    def hang_up(asked: Asked) -> Answer:
        raise ConnectionError

    server.api = hang_up
    with pytest.raises(NotConnected) as error:
        call(account, URL, timezone.now(), most=1000)

    assert not any(token in str(error.value) for token in server.said)
