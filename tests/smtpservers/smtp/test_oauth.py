"""Signing in with tokens: XOAUTH2 and OAUTHBEARER at a scripted server, and a token that goes nowhere else."""

import asyncio
import base64
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from delivery.models import Attempt, Message
from delivery.operators import send_test
from oauth import tokens
from oauth.models import OAuthAccount
from smtpservers.models import SmtpServer
from smtpservers.smtp.connection import ConnectionFailed, connect
from smtpservers.smtp.endpoint import Endpoint, endpoint_of
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.oauth.conftest import server as server
from tests.oauth.making import make_account
from tests.peers.auth import Accounts, Check
from tests.peers.peer import Peer, running_peer
from tests.peers.token_server import MAILBOX, TokenServer
from tests.smtpservers.pages.conftest import change_page, filled

REFUSED = {"status": "401", "schemes": "bearer", "scope": "https://mail.google.com/"}

pytestmark = pytest.mark.django_db(transaction=True)


class TokenPeer:
    """The server's side of both mechanisms. It takes what the token server said last, unless it is refusing."""

    def __init__(self, token_server: TokenServer) -> None:
        self.token_server = token_server
        self.refused: set[str] = set()
        self.refuses_all = False
        self.answers: list[bytes] = []  # To a challenge.

    @property
    def checks(self) -> dict[str, Any]:
        return {"XOAUTH2": self.xoauth2, "OAUTHBEARER": self.oauthbearer}

    def xoauth2(self, accounts: Accounts, initial: bytes | None) -> Check:
        words = initial if initial is not None else (yield b"")
        token = words.removeprefix(f"user={MAILBOX}\x01auth=Bearer ".encode()).removesuffix(b"\x01\x01")
        return (yield from self._verdict(token.decode(), b""))

    def oauthbearer(self, accounts: Accounts, initial: bytes | None) -> Check:
        words = initial if initial is not None else (yield b"")
        head, host, port, token, *rest = words.split(b"\x01")
        assert (head, host, rest) == (f"n,a={MAILBOX},".encode(), b"host=127.0.0.1", [b"", b""])
        assert port.startswith(b"port=")
        return (yield from self._verdict(token.removeprefix(b"auth=Bearer ").decode(), b"\x01"))

    def _verdict(self, token: str, expected: bytes) -> Check:
        if token in self.token_server.said and token not in self.refused and not self.refuses_all:
            return True
        answer = yield json.dumps(REFUSED).encode()
        self.answers.append(answer)
        assert answer == expected
        return False


@pytest.fixture
def peer(server: TokenServer) -> TokenPeer:
    return TokenPeer(server)


@pytest.fixture
def relay(peer: TokenPeer, tmp_path: Path) -> Iterator[Peer]:
    with running(peer, tmp_path) as found:
        yield found


def running(peer: TokenPeer, folder: Path, offered: str = "AUTH XOAUTH2 PLAIN LOGIN") -> Any:
    extensions = ("PIPELINING", "8BITMIME", offered)
    return running_peer(folder, extensions=extensions, accounts={"nobody": "x"}, checks=peer.checks)


def relay_row(relay: Peer, account: OAuthAccount | None = None, **fields: Any) -> SmtpServer:
    return make_server(relay.port, oauth_account=account or make_account(), tested_at=timezone.now(), **fields)


def endpoint(row: SmtpServer) -> Endpoint:
    return endpoint_of(row, final_timeout=5, clock=timezone.now)


def sign_in(row: SmtpServer) -> None:
    found = endpoint(row)

    async def talk() -> None:
        await (await connect(found)).quit()

    asyncio.run(talk())


def lines(relay: Peer) -> list[str]:
    return [event["line"] for event in relay.journal.events("auth_line")]


@pytest.mark.parametrize("offered", ["AUTH PLAIN XOAUTH2", "AUTH OAUTHBEARER", "AUTH LOGIN OAUTHBEARER XOAUTH2"])
def test_a_long_token_follows_the_command_in_a_line_of_its_own(peer: TokenPeer, tmp_path: Path, offered: str) -> None:
    with running(peer, tmp_path, offered) as relay:
        sign_in(relay_row(relay))

        [line] = lines(relay)
    assert len(line) > 510
    assert peer.token_server.said[0].encode() in base64.b64decode(line)
    assert peer.answers == []


@pytest.mark.parametrize("offered", ["AUTH XOAUTH2", "AUTH OAUTHBEARER"])
def test_a_refused_token_is_renewed_once(peer: TokenPeer, tmp_path: Path, offered: str) -> None:
    with running(peer, tmp_path, offered) as relay:
        row = relay_row(relay)
        sign_in(row)
        peer.refused = set(peer.token_server.said)
        OAuthAccount.objects.update(renewed_at=timezone.now() - dt.timedelta(minutes=5))

        sign_in(row)

    assert len(peer.token_server.asked) == 2
    assert len(peer.answers) == 1


def test_a_token_that_stays_refused_ends_the_sign_in_with_the_providers_words(peer: TokenPeer, relay: Peer) -> None:
    peer.refuses_all = True
    row = relay_row(relay)

    shown = send_test.send_test(server_id=row.pk, recipient="a@b.example", actor=None, now=timezone.now())

    last = shown.steps[-1]
    assert (last.step.name, last.step.code, last.step.sent) == ("AUTH", 535, "AUTH XOAUTH2 ***")
    assert "In its own words: status 401, scope https://mail.google.com/, schemes bearer." in last.explanation
    assert "the object ID of the app registration instead of the Enterprise application" in last.explanation
    assert len(peer.token_server.asked) == 1, "a token this new is not what is wrong"
    everything = str(shown) + str(list(Message.objects.values()))
    for secret in peer.token_server.said:
        assert secret not in everything
        assert secret[:40] not in everything


def test_a_campaign_goes_on_while_tokens_end_and_refresh_tokens_rotate(peer: TokenPeer, relay: Peer) -> None:
    server = peer.token_server
    server.seconds, server.rotates = 60, True  # Each is renewed with the next connection.
    row = relay_row(relay, make_account("microsoft user", server), messages_per_connection=2, max_connections=1)
    mailing = make_mailing(make_list(8))
    began, moments = timezone.now(), iter(range(100_000))

    run_drain(clock=lambda: began + dt.timedelta(seconds=next(moments) / 20))

    assert set(Message.objects.filter(mailing=mailing).values_list("status", flat=True)) == {"accepted"}
    assert len(server.asked) >= 3
    assert {form["grant_type"] for _, form in server.asked} == {"refresh_token"}
    row.refresh_from_db()
    assert row.paused_reason == ""


def test_a_revoked_account_pauses_its_servers_until_it_works_again(peer: TokenPeer, relay: Peer) -> None:
    server = peer.token_server
    account = make_account("microsoft user", server)
    row, other = relay_row(relay, account), make_server(relay.port, "Other")
    valid, server.refresh_tokens = server.refresh_tokens, set()
    make_mailing(make_list(2))
    SmtpServer.objects.filter(pk=other.pk).update(is_active=False)

    run_drain()

    row.refresh_from_db()
    assert row.paused_reason.startswith("OAuth account Newsletter: The password was changed")
    assert row.paused_until is None
    assert relay.journal.events("auth") == []
    server.refresh_tokens = valid
    assert tokens.renew(account.pk, timezone.now(), is_asked=True)
    row.refresh_from_db()
    assert row.paused_reason == ""
    run_drain()
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}


def test_a_worker_s_pause_for_want_of_a_token_ends_when_the_account_is_connected(peer: TokenPeer, relay: Peer) -> None:
    account = make_account()
    OAuthAccount.objects.update(state="refused", last_error="Connect it.")  # No process saw the refusal happen.
    row = relay_row(relay, account)
    make_mailing(make_list(1))

    run_drain()

    row.refresh_from_db()
    assert (row.paused_reason, row.pause_awaits_account) == ("OAuth account Newsletter: Connect it.", True)
    assert set(Attempt.objects.values_list("rule", flat=True)) == {"no-token"}
    assert tokens.renew(account.pk, timezone.now(), is_asked=True)
    row.refresh_from_db()
    assert row.paused_reason == ""


def test_a_worker_s_pause_for_the_wrong_host_stays_when_tokens_are_renewed(
    peer: TokenPeer, relay: Peer, settings: Any
) -> None:
    account = make_account()
    row = relay_row(relay, account)
    make_mailing(make_list(1))
    asked_at, settings.OAUTH_TEST_SERVER = settings.OAUTH_TEST_SERVER, ""

    run_drain()

    settings.OAUTH_TEST_SERVER = asked_at
    assert tokens.renew(account.pk, timezone.now(), is_asked=True)
    row.refresh_from_db()
    assert "Its tokens are never sent to 127.0.0.1." in row.paused_reason
    assert not row.pause_awaits_account


# --- nowhere else


@pytest.mark.parametrize("edit", ["host", "certificate"])
def test_whoever_edits_servers_gets_no_token_at_a_machine_of_theirs(
    peer: TokenPeer, relay: Peer, settings: Any, edit: str
) -> None:
    row = relay_row(relay)
    if edit == "host":
        settings.OAUTH_TEST_SERVER = ""  # As on every site.
    else:
        SmtpServer.objects.update(trusted_certificate="-----BEGIN CERTIFICATE-----")
    row.refresh_from_db()

    with pytest.raises(ConnectionFailed, match=r"never sent to 127\.0\.0\.1|public certificates only") as error:
        sign_in(row)

    assert error.value.needs_mending
    assert relay.journal.events("conn") == []
    assert peer.token_server.asked == []


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"host": "smtp.office365.com"}, ""),
        ({"host": "smtp.attacker.example"}, "Its tokens are never sent to smtp.attacker.example."),
        ({"host": "smtp.gmail.com"}, "Its tokens are never sent to smtp.gmail.com."),
        ({"host": "smtp.office365.com", "password": "x"}, "Choose an OAuth account or a password, not both."),
        ({"host": "smtp.office365.com", "username": "boss@x.example"}, f"Newsletter signs in as {MAILBOX}"),
        ({"host": "smtp.office365.com", "use_tls": None}, "An OAuth account needs encryption."),
    ],
)
def test_the_form_takes_an_account_for_its_providers_hosts_alone(
    client: Client, settings: Any, more: dict[str, Any], why: str
) -> None:
    settings.OAUTH_TEST_SERVER = ""
    account, row = make_account(), make_server(587)
    client.force_login(User.objects.create_superuser("boss"))

    answer = client.post(change_page(row), filled(oauth_account=str(account.pk), **more))

    row.refresh_from_db()
    if why:
        assert why in str(answer.context["adminform"].form.errors)
        assert row.oauth_account is None
    else:
        assert answer.status_code == 302, answer.context["adminform"].form.errors
        assert row.oauth_account == account


def test_an_account_in_use_is_not_deleted(client: Client) -> None:
    row = make_server(587, oauth_account=make_account())
    client.force_login(User.objects.create_superuser("boss"))

    page = client.post(f"/admin/oauth/oauthaccount/{row.oauth_account_id}/delete/", {"post": "yes"}, follow=True)

    assert OAuthAccount.objects.exists()
    assert "Alpha" in page.content.decode()
