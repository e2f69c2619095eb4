"""Tokens: obtained by each flow, renewed once among all processes, rotated, revoked, and never sent elsewhere."""

import datetime as dt
import logging
import time
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.serializers import serialize
from django.db import connection

from delivery import identity
from delivery.models import Installation
from oauth import tokens
from oauth.models import OAuthAccount
from oauth.tasks import renew_tokens
from oauth.tokens import NoToken, renew, renew_due, token_for
from tests.harness.children import Child
from tests.oauth.making import FLOWS, make_account
from tests.peers.token_server import CLIENT_SECRET, GOOGLE, MICROSOFT, TokenServer, certificate_pem, key_pem

NOW = dt.datetime(2026, 11, 30, 23, 58, tzinfo=dt.UTC)
HOSTS = {
    "microsoft": "smtp.office365.com",
    "google": "smtp.gmail.com",
    "postmaster": "gmailpostmastertools.googleapis.com",
}
SILENT = [(503, {"error": "temporarily_unavailable"}), (500, b"<html>"), (200, b"{}"), (429, {"error": "slow_down"})]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def real_now(monkeypatch: pytest.MonkeyPatch) -> dt.datetime:
    """Assertions are checked against the clock of this machine."""
    now = dt.datetime.now(dt.UTC)
    monkeypatch.setattr(f"{__name__}.NOW", now)
    return now


def latest(account: OAuthAccount) -> OAuthAccount:
    return OAuthAccount.objects.get(pk=account.pk)


def after(**later: float) -> dt.datetime:
    return NOW + dt.timedelta(**later)


def get(account: OAuthAccount, now: dt.datetime | None = None, **more: Any) -> str:
    return token_for(account, HOSTS[account.flow.partition(" ")[0]], now or NOW, **more)


# --- obtained


@pytest.mark.parametrize("flow", FLOWS)
def test_each_flow_gets_a_token_at_its_providers_host_and_keeps_it(server: TokenServer, flow: str) -> None:
    account = make_account(flow, server)

    token = get(account)

    assert token == server.said[-1]
    assert get(latest(account), after(minutes=54)) == token
    assert [path for path, _ in server.asked] == [MICROSOFT if flow.startswith("microsoft") else GOOGLE]
    found = latest(account)
    assert (found.state, found.expires_at, found.last_error) == ("ok", after(hours=1), "")


def test_an_app_proves_itself_by_its_certificate(server: TokenServer) -> None:
    account = make_account(client_secret="", certificate=certificate_pem(), private_key=key_pem())

    assert get(account) == server.said[-1]
    assert "client_secret" not in server.asked[0][1]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"client_secret": "wrong"}, "Enter the secret's Value, not its Secret ID. Provider replied: AADSTS7000215"),
        ({"client_secret": "", "certificate": certificate_pem(), "private_key": "x"}, "not a private key in PEM form"),
        ({"flow": "google service", "client_id": "x@y", "private_key": key_pem()}, "doesn't know this service account"),
        ({"flow": "google user"}, "Nobody has signed in yet."),
    ],
)
def test_a_refusal_is_a_sentence_and_waits_for_a_person(server: TokenServer, values: dict[str, Any], why: str) -> None:
    account = make_account(**values)

    with pytest.raises(NoToken, match=why) as error:
        get(account)

    assert error.value.needs_person
    assert latest(account).state == "refused"
    asked = len(server.asked)
    with pytest.raises(NoToken, match=why):
        get(account, after(days=1))
    assert (renew_due(lambda: after(days=1)), len(server.asked)) == (0, asked)


# --- renewed


def expiring(server: TokenServer, **values: Any) -> tuple[OAuthAccount, str]:
    """Return an account whose token ends in 4 minutes, and that token."""
    account = make_account(server=server, **values)
    token = get(account)
    OAuthAccount.objects.filter(pk=account.pk).update(expires_at=after(minutes=3))
    server.asked.clear()
    return account, token


@pytest.mark.parametrize("is_over", [False, True])
def test_ten_processes_that_need_a_token_ask_for_one(server: TokenServer, is_over: bool) -> None:
    account, old = expiring(server)
    if is_over:
        OAuthAccount.objects.update(expires_at=NOW)
    begins = time.monotonic() + 0.5
    server.before = lambda: time.sleep(0.3)

    def act() -> None:
        while time.monotonic() < begins:
            pass
        print(get(account), end="")

    results = [child.wait() for child in [Child(act) for _ in range(10)]]

    assert [code for code, _ in results] == [0] * 10, results
    assert len(server.asked) == 1
    new = server.said[-1]
    assert {token for _, token in results} <= ({new} if is_over else {old, new})
    assert get(account) == new


def test_a_token_that_ends_soon_serves_while_the_provider_is_silent_and_no_longer(server: TokenServer) -> None:
    account, old = expiring(server)
    server.answers = SILENT * 2

    assert get(account) == old
    found = latest(account)
    assert found.state == "trouble"
    assert "login.microsoftonline.com answered 503" in found.last_error
    assert found.retry_at is not None
    assert NOW < found.retry_at < after(minutes=1)
    assert get(account, after(seconds=5)) == old, "it waits before it asks again"
    assert len(server.asked) == 1

    with pytest.raises(NoToken, match="answered 500 instead of a token") as error:
        get(account, after(minutes=3))
    assert not error.value.needs_person
    server.answers = []
    assert renew_due(lambda: after(hours=1)) == 1
    assert (latest(account).state, latest(account).failures) == ("ok", 0)


def test_waits_double_up_to_a_quarter_of_an_hour(server: TokenServer) -> None:
    account, _ = expiring(server)
    server.answers = SILENT * 3
    now, waits = NOW, []

    for _ in range(8):
        renew_due(lambda: now)  # noqa: B023 - called at once.
        retry_at = latest(account).retry_at
        assert retry_at is not None
        waits.append(retry_at - now)
        now = retry_at

    assert all(one < other for one, other in zip(waits[:3], waits[2:5], strict=True))
    assert max(waits) <= dt.timedelta(minutes=18)


def test_the_clock_is_read_for_each_account_of_a_round(server: TokenServer) -> None:
    make_account()
    make_account(name="Second")
    moments = iter([NOW, NOW, after(minutes=3)])

    assert renew_due(lambda: next(moments)) == 2

    renewed = OAuthAccount.objects.order_by("renewed_at").values_list("renewed_at", flat=True)
    assert list(renewed) == [NOW, after(minutes=3)]


def test_one_account_s_unexpected_error_leaves_the_others_their_turn(
    server: TokenServer, caplog: pytest.LogCaptureFixture
) -> None:
    broken, well = make_account(), make_account(name="Second")
    OAuthAccount.objects.filter(pk=broken.pk).update(cloud="of before", expires_at=NOW - dt.timedelta(days=1))
    OAuthAccount.objects.filter(pk=well.pk).update(expires_at=NOW)

    assert renew_due(lambda: NOW) == 1

    assert latest(well).state == "ok"
    assert "the renewal of an OAuth account failed" in caplog.text


def test_a_rotated_refresh_token_replaces_the_old_one(server: TokenServer) -> None:
    server.rotates = True
    account, _ = expiring(server, flow="microsoft user")

    assert renew_due(lambda: NOW) == 1
    OAuthAccount.objects.update(expires_at=NOW)
    assert renew_due(lambda: after(minutes=2)) == 1

    used = [form["refresh_token"] for _, form in server.asked]
    assert len(set(used)) == 2
    assert latest(account).refresh_token.reveal(account.destination) in server.refresh_tokens


def test_a_revoked_sign_in_is_told_once_and_an_asked_renewal_brings_it_back(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setitem(tokens.WATCHERS, "test", lambda account, why, now: told.append((account.name, why)))
    account, _ = expiring(server, flow="microsoft user")
    told.clear()
    gone = set(server.refresh_tokens)
    server.refresh_tokens.clear()

    assert renew_due(lambda: NOW) == renew_due(lambda: after(minutes=2)) == 0
    [(name, why)] = told
    assert name == "Newsletter"
    assert why.startswith("OAuth account Newsletter: The password was changed or the sign-in was ended. Sign in again.")

    server.refresh_tokens |= gone
    assert renew(account.pk, after(minutes=3), is_asked=True)
    assert told[1:] == [("Newsletter", "")]
    assert latest(account).state == "ok"


def test_a_token_that_a_mail_server_refuses_is_renewed_once(server: TokenServer) -> None:
    account = make_account()
    first = get(account)

    assert get(account, after(minutes=10), refused=first) == (second := server.said[-1])
    assert second != first
    assert get(account, after(minutes=10), refused=first) == second, "another connection has just renewed it"
    assert get(account, after(minutes=10, seconds=5), refused=second) == second, "the token is not what is wrong"
    assert len(server.asked) == 2


def test_while_another_room_holds_it_nothing_is_renewed(server: TokenServer, monkeypatch: pytest.MonkeyPatch) -> None:
    account, old = expiring(server)
    monkeypatch.setitem(tokens.HOLDS, "test", lambda now: "This database was copied.")

    assert get(account) == old
    assert not renew(account.pk, NOW, is_asked=True)
    assert server.asked == []


def test_what_was_edited_meanwhile_gets_no_token_of_before(server: TokenServer) -> None:
    account = make_account()

    def edit() -> None:
        OAuthAccount.objects.update(mailbox="boss@shop.example", renewing_until=None)
        connection.close()  # Of the server's thread.

    server.before = edit

    with pytest.raises(NoToken):
        get(account)

    assert not latest(account).access_token


def test_a_restored_copy_that_waits_for_a_person_renews_nothing(
    server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_process", identity._Process())
    account, old = expiring(server)
    identity.check(NOW)
    Installation.objects.update(held_because="This database was restored.", held_since=NOW)

    assert get(account) == old
    renew_tokens.apply()
    assert not renew(account.pk, NOW, is_asked=True)
    assert server.asked == []


# --- nowhere else


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize(
    "host", ["smtp.attacker.example", "127.0.0.1", "smtp.office365.com.attacker.example", "smtp.partner.outlook.cn"]
)
def test_a_token_goes_to_hosts_of_its_provider_alone(
    server: TokenServer, settings: LazySettings, flow: str, host: str
) -> None:
    settings.OAUTH_TEST_SERVER = ""  # As on every site.

    with pytest.raises(NoToken, match=f"Its tokens are never sent to {host}"):
        token_for(make_account(flow, server), host, NOW)


@pytest.mark.parametrize("edit", [{"mailbox": "boss@shop.example"}, {"tenant": "other.example"}, {"client_id": "x"}])
def test_secrets_and_tokens_are_for_the_mailbox_and_app_they_were_entered_for(
    server: TokenServer, edit: dict[str, str]
) -> None:
    account = make_account()
    get(account)
    OAuthAccount.objects.update(**edit)

    with pytest.raises(NoToken, match="OAuth account Newsletter was edited"):
        get(account, after(minutes=2))
    with pytest.raises(NoToken, match="enter its secret again"):
        get(latest(account), after(minutes=2))

    assert len(server.asked) == 1


def test_no_log_text_or_dump_has_a_secret(
    server: TokenServer, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    account = make_account("microsoft user", server)
    server.answers = [(400, {"error": "invalid_grant", "error_description": f"no {CLIENT_SECRET} {server.said[0]}"})]
    with pytest.raises(NoToken) as error:
        get(account)
    renew(account.pk, NOW, is_asked=True)
    renew(account.pk, NOW, is_asked=True)
    found = latest(account)

    shown = (
        f"{caplog.text} {capsys.readouterr()} {error.getrepr()} {found!r} {vars(found)} {serialize('json', [found])}"
    )
    shown += f" {list(found.history.values())}"
    assert server.said[1:], "it was signed in again"
    for secret in (CLIENT_SECRET, *server.said):
        assert secret not in shown
