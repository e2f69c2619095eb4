"""A mailbox that is signed in to with a token, in a real server that checks it."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from feedback.mailboxes import poll
from feedback.models import Mailbox, RawReport
from oauth.models import OAuthAccount
from tests.feedback.mailboxes.conftest import NOW, bounce, polled
from tests.harness.dovecot import Dovecot
from tests.oauth.making import make_account


@pytest.fixture
def account(db: None, settings: Any) -> OAuthAccount:
    settings.OAUTH_TEST_SERVER = "https://localhost:1"  # Nothing listens there.
    return make_account(mailbox="unknown@example.org")


def has_token(account: OAuthAccount, token: str) -> None:
    account.access_token = token
    account.expires_at = NOW + dt.timedelta(hours=1)
    account.state = OAuthAccount.State.OK
    account.save()


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_the_token_of_its_account_signs_in(
    dovecot: Dovecot, open_mailbox: Callable[..., Mailbox], account: OAuthAccount, protocol: str
) -> None:
    mailbox = open_mailbox(protocol, password="", oauth_account=account)
    has_token(account, dovecot.token(mailbox.username))
    dovecot.deliver(mailbox.username, bounce(1))

    polled(mailbox)

    assert (mailbox.last_error, RawReport.objects.count()) == ("", 1)


def test_without_a_username_it_is_the_mailbox_of_the_account(
    dovecot: Dovecot, open_mailbox: Callable[..., Mailbox], account: OAuthAccount
) -> None:
    mailbox = open_mailbox(password="", oauth_account=account)
    OAuthAccount.objects.update(mailbox=mailbox.username)
    account.refresh_from_db()
    has_token(account, dovecot.token(mailbox.username))
    Mailbox.objects.update(username="")

    assert polled(mailbox).last_error == ""


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_refused_token_is_renewed_once_and_then_told(
    dovecot: Dovecot,
    open_mailbox: Callable[..., Mailbox],
    account: OAuthAccount,
    monkeypatch: pytest.MonkeyPatch,
    protocol: str,
) -> None:
    mailbox = open_mailbox(protocol, password="", oauth_account=account)
    old, new = dovecot.token(mailbox.username, seconds=-60), dovecot.token(mailbox.username)
    asked: list[str] = []

    def token_for(account: OAuthAccount, host: str, now: dt.datetime, *, refused: str = "") -> str:
        asked.append(refused)
        return new if refused == old and len(asked) == 2 else old

    monkeypatch.setattr(poll, "token_for", token_for)

    assert polled(mailbox).last_error == ""
    assert asked == ["", old]
    polled(mailbox)

    assert asked == ["", old, "", old]
    assert mailbox.last_error == "Sign-in refused. Server replied: status 401, scope mail, schemes bearer"
    assert old not in mailbox.last_error


def test_a_token_goes_to_no_server_but_its_providers(
    open_mailbox: Callable[..., Mailbox], account: OAuthAccount, settings: Any
) -> None:
    settings.OAUTH_TEST_SERVER = ""
    mailbox = open_mailbox(password="", oauth_account=account)
    has_token(account, "secret-token")

    polled(mailbox)

    assert "Its tokens are never sent to localhost." in mailbox.last_error
