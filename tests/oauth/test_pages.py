"""The pages of accounts: secrets go in and never come out, and a sign-in is bound to the session that began it."""

import datetime as dt
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.contrib.messages import get_messages
from django.test import Client

from oauth import tokens
from oauth.models import OAuthAccount
from oauth.sign_in import PENDING
from tests.oauth.making import FLOWS, make_account
from tests.peers.token_server import (
    CLIENT_ID,
    CLIENT_SECRET,
    MAILBOX,
    POSTMASTER_SCOPE,
    SERVICE_EMAIL,
    TENANT,
    TokenServer,
    certificate_pem,
    key_pem,
)

LIST = "/admin/oauth/oauthaccount/"
KEY_FILE = json.dumps({"type": "service_account", "client_email": SERVICE_EMAIL, "private_key": key_pem()})
APP = {"tenant": TENANT, "client_id": CLIENT_ID, "cloud": "worldwide", "certificate": ""}
TYPED: dict[str, dict[str, str]] = {
    "microsoft app": {**APP, "client_secret": CLIENT_SECRET},
    "microsoft user": {**APP, "client_secret": CLIENT_SECRET},
    "google service": {"key_file": KEY_FILE},
    "google user": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
    "postmaster service": {"key_file": KEY_FILE},
    "postmaster user": {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET},
}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def client() -> Client:
    """A client of somebody with the role ops, who has just signed in."""
    ops = User.objects.create_user("olga", is_staff=True)
    ops.groups.add(Group.objects.get(name="ops"))
    client = Client()
    client.force_login(ops)
    return client


def typed(flow: str, **more: str) -> dict[str, str]:
    return {"name": "Newsletter", "mailbox": MAILBOX, **TYPED[flow], **more}


def add(client: Client, flow: str, **more: str) -> Any:
    return client.post(f"{LIST}add/?flow={flow}", typed(flow, **more))


def page_of(account: OAuthAccount, name: str = "change") -> str:
    return f"{LIST}{account.pk}/{name}/"


def only() -> OAuthAccount:
    return OAuthAccount.objects.get()


def errors_of(answer: Any) -> Any:
    return answer.context and answer.context["adminform"].form.errors


def said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


# --- the form


def test_the_first_page_leads_to_each_flow(client: Client) -> None:
    page = client.get(f"{LIST}add/").content.decode()

    for flow in FLOWS:
        assert f'href="{LIST}add/?flow={flow}"' in page


@pytest.mark.parametrize("flow", FLOWS)
def test_an_account_is_added_connected_and_seen_without_its_secrets(
    client: Client, server: TokenServer, caplog: pytest.LogCaptureFixture, flow: str
) -> None:
    caplog.set_level(logging.DEBUG)
    server.scope = POSTMASTER_SCOPE if flow.startswith("postmaster") else server.scope
    pages = [client.get(f"{LIST}add/?flow={flow}")]

    added = add(client, flow)
    assert added.status_code == 302, errors_of(added)
    account = only()
    if account.needs_sign_in:
        back = server.come_back(client.get(page_of(account, "sign-in")).headers["Location"])
        connected = client.get("/oauth/done", back)
    else:
        connected = client.post(page_of(account, "connect"))

    assert said(connected).endswith("Newsletter is connected.")
    assert (only().state, only().mailbox) == ("ok", MAILBOX)
    pages += [connected, client.get(LIST), client.get(page_of(account)), client.get(page_of(account, "history"))]
    pages.append(client.post(page_of(account), typed(flow, mailbox="nobody")))
    account = only()
    text = " ".join(page.content.decode() for page in pages) + caplog.text
    text += f"{list(account.history.values())} {list(LogEntry.objects.values())}"
    key_line = key_pem().splitlines()[5]
    secrets = [CLIENT_SECRET, key_line, *server.said]
    secrets += [getattr(account, name).ciphertext or "-----BEGIN PRIV" for name in ("client_secret", "private_key")]
    assert server.said
    for secret in secrets:
        assert secret not in text
    assert "Connected. The token is renewed by itself" in text
    assert "not shown" not in text
    assert account.history.latest().history_change_reason.startswith("Changed: ")


@pytest.mark.parametrize("page", ["smtpservers/smtpserver", "feedback/mailbox"])
def test_only_accounts_for_mail_are_offered_to_servers_and_mailboxes(client: Client, page: str) -> None:
    make_account("google service", name="For mail")
    make_account("postmaster user", name="For figures")

    shown = client.get(f"/admin/{page}/add/").content.decode()

    assert "For mail" in shown
    assert "For figures" not in shown


@pytest.mark.parametrize(
    ("flow", "more", "field"),
    [
        ("microsoft app", {"tenant": "a/b?c"}, "tenant"),
        ("microsoft app", {"tenant": ""}, "tenant"),
        ("microsoft app", {"mailbox": "nobody"}, "mailbox"),
        ("microsoft app", {"client_secret": ""}, "client_secret"),
        ("microsoft app", {"certificate": certificate_pem()}, "client_secret"),
        ("microsoft app", {"client_secret": "", "certificate": certificate_pem()}, "private_key"),
        ("microsoft app", {"client_secret": "", "private_key": key_pem()}, "certificate"),
        ("microsoft app", {"client_secret": "", "certificate": "x", "private_key": key_pem()}, "certificate"),
        ("google service", {"key_file": "{}"}, "key_file"),
        ("google service", {"key_file": KEY_FILE.replace("PRIVATE", "PUBLIC")}, "key_file"),
        ("google service", {"key_file": ""}, "key_file"),
        ("google user", {"client_secret": ""}, "client_secret"),
        ("postmaster service", {"key_file": ""}, "key_file"),
        ("postmaster user", {"client_secret": ""}, "client_secret"),
    ],
)
def test_what_cannot_work_is_refused_beside_its_field(
    client: Client, flow: str, more: dict[str, str], field: str
) -> None:
    answer = add(client, flow, **more)

    first, *others = errors_of(answer).items()
    assert first[0] == field
    assert all("You typed a new one before." in str(errors) for _, errors in others), "typed secrets aren't shown again"
    assert not OAuthAccount.objects.exists()
    assert key_pem().splitlines()[5] not in answer.content.decode()


def test_a_certificate_replaces_the_client_secret(client: Client, server: TokenServer) -> None:
    add(client, "microsoft app")
    changed = typed("microsoft app", client_secret="", certificate=certificate_pem(), private_key=key_pem())

    answer = client.post(page_of(only()), changed)

    assert answer.status_code == 302, errors_of(answer)
    assert (bool(only().client_secret), bool(only().private_key)) == (False, True)
    assert "is connected" in said(client.post(page_of(only(), "connect")))


@pytest.mark.parametrize("edit", [{"mailbox": "boss@shop.example"}, {"tenant": "o.example"}, {"client_id": "x"}])
def test_another_mailbox_or_app_asks_for_the_secret_again_and_drops_the_tokens(
    client: Client, server: TokenServer, edit: dict[str, str]
) -> None:
    account = make_account("microsoft user", server)
    client.post(page_of(account, "connect"))
    assert only().access_token

    refused = client.post(page_of(account), typed("microsoft user", client_secret="", **edit))
    assert "enter the client secret again" in str(errors_of(refused))
    assert (only().mailbox, only().state) == (MAILBOX, "ok")

    assert client.post(page_of(account), typed("microsoft user", **edit)).status_code == 302
    assert (bool(only().access_token), bool(only().refresh_token), only().state) == (False, False, "new")


def test_a_secret_that_no_key_opens_is_asked_for_again(client: Client, settings: LazySettings) -> None:
    account = make_account()
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    page = client.get(page_of(account)).content.decode()
    refused = client.post(page_of(account), typed("microsoft app", client_secret=""))

    assert "Set, but the current keys can&#x27;t decrypt it." in page
    assert errors_of(refused)["client_secret"] == ["The stored client secret can't be read. Enter it again."]
    assert client.post(page_of(account), typed("microsoft app")).status_code == 302
    assert "Set. Stored encrypted" in client.get(page_of(account)).content.decode()


def test_another_name_keeps_the_tokens(client: Client, server: TokenServer) -> None:
    account = make_account("microsoft user", server)
    client.post(page_of(account, "connect"))

    client.post(page_of(account), typed("microsoft user", name="Other", client_secret=""))

    assert (only().name, only().state) == ("Other", "ok")
    assert only().refresh_token.reveal(only().destination) in server.refresh_tokens


def test_a_refusal_is_said_in_words(client: Client, server: TokenServer) -> None:
    account = make_account(client_secret="wrong")

    answer = client.post(page_of(account, "connect"), follow=True)

    page = answer.content.decode()
    assert "Enter the secret&#x27;s Value, not its Secret ID." in page
    assert "Refused" in page
    assert "Try again" in page


def test_the_steps_have_the_accounts_own_values(client: Client, settings: LazySettings) -> None:
    page = client.get(page_of(make_account())).content.decode()

    assert f"New-ServicePrincipal -AppId {CLIENT_ID} -ObjectId OBJECT_ID" in page
    assert f"Add-MailboxPermission -Identity {MAILBOX}" in page
    assert "430 4.2.0 STOREDRV" in page
    other = client.get(page_of(make_account("google user", name="Other"))).content.decode()
    assert f"{settings.BASE_URL}/oauth/done" in other


# --- the sign-in


@pytest.fixture
def on_its_way(client: Client, server: TokenServer) -> Iterator[tuple[OAuthAccount, dict[str, str]]]:
    """An account, and what its person brings back."""
    account = make_account("microsoft user")
    address = client.get(page_of(account, "sign-in")).headers["Location"]
    assert address.startswith(f"https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/authorize?")
    assert "offline_access" in address
    yield account, server.come_back(address)
    assert [path for path, _ in server.asked if "token" not in path] == []


def test_a_state_counts_once(client: Client, on_its_way: Any, server: TokenServer) -> None:
    _, back = on_its_way
    assert "is connected" in said(client.get("/oauth/done", back))

    again = client.get("/oauth/done", back)

    assert "has expired, began in another browser" in said(again)
    assert len(server.asked) == 1


def test_a_code_is_taken_in_the_session_that_began(on_its_way: Any, server: TokenServer) -> None:
    _, back = on_its_way
    other = Client()
    other.force_login(User.objects.create_superuser("boss"))

    assert "began in another browser" in said(other.get("/oauth/done", back))

    assert server.asked == []
    assert not only().refresh_token


@pytest.mark.parametrize("why", ["late", "edited", "cancelled", "no permission"])
def test_a_sign_in_that_no_longer_counts_asks_for_no_token(
    client: Client, on_its_way: Any, server: TokenServer, why: str
) -> None:
    _, back = on_its_way
    if why == "late":
        session = client.session
        pending = session[PENDING]
        for each in pending.values():
            each["at"] -= dt.timedelta(minutes=11).total_seconds()
        session[PENDING] = pending
        session.save()
    elif why == "edited":
        OAuthAccount.objects.update(mailbox="boss@shop.example")
    elif why == "cancelled":
        back = {"state": back["state"], "error": "access_denied"}
    else:
        User.objects.get(username="olga").groups.clear()

    answer = client.get("/oauth/done", back)

    assert answer.status_code == (403 if why == "no permission" else 302)
    assert server.asked == []
    assert not only().refresh_token


def test_a_refused_code_is_said_and_nothing_is_stored(client: Client, on_its_way: Any, server: TokenServer) -> None:
    _, back = on_its_way
    server.answers = [(400, {"error": "invalid_grant", "error_description": "AADSTS50076: second factor"})]

    assert "Microsoft asks for a second factor." in said(client.get("/oauth/done", back))

    assert (only().state, bool(only().refresh_token)) == ("new", False)


STATE = ("state", "state_since", "last_error", "access_token", "refresh_token", "expires_at", "retry_at", "failures")


@pytest.mark.parametrize(
    ("answer", "said_in_words"),
    [
        ((400, {"error": "invalid_grant", "error_description": "AADSTS50076: second factor"}), "a second factor."),
        ((503, {}), "answered 503 instead of a token."),
        ((200, {"access_token": "a", "token_type": "Bearer"}), "The provider gave no lasting sign-in."),
    ],
)
@pytest.mark.parametrize("state", ["ok", "trouble", "refused"])
def test_a_failed_sign_in_leaves_the_account_as_it_was(
    client: Client, server: TokenServer, state: str, answer: tuple[int, Any], said_in_words: str
) -> None:
    account = make_account("microsoft user", server)
    client.post(page_of(account, "connect"))
    OAuthAccount.objects.update(state=state, last_error="Why it is so.", failures=1)
    before = OAuthAccount.objects.values(*STATE).get()
    back = server.come_back(client.get(page_of(account, "sign-in")).headers["Location"])
    told: list[str] = []
    server.answers = [answer]

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tokens.WATCHERS, "test", lambda account, why, now: told.append(why))
        words = said(client.get("/oauth/done", back))

    assert said_in_words in words
    assert "The account is as it was before." in words
    assert (OAuthAccount.objects.values(*STATE).get(), told) == (before, [])
    back = server.come_back(client.get(page_of(account, "sign-in")).headers["Location"])
    assert "is connected" in said(client.get("/oauth/done", back)), "the next one need not wait"


def test_a_held_copy_signs_nobody_in(
    client: Client, on_its_way: Any, server: TokenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    account, back = on_its_way
    monkeypatch.setitem(tokens.HOLDS, "test", lambda now: "This database was copied.")

    assert "This database was copied." in said(client.get("/oauth/done", back))
    begun = client.get(page_of(account, "sign-in"))

    assert server.asked == []
    assert begun.headers["Location"] == page_of(account)
    assert "This database was copied." in said(begun)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            {"error": "access_denied", "error_description": "AADSTS65001: no <script>alert(1)</script>\r\nconsent"},
            "Nobody has consented to the permissions. Grant admin consent at Microsoft, then try again."
            " Provider replied: AADSTS65001: no &lt;script&gt;alert(1)&lt;/script&gt; consent",
        ),
        ({"error": "access_denied"}, "The sign-in was cancelled or isn&#x27;t allowed."),
        ({"error": "unusable secret", "error_description": "Call 0900."}, "You cancelled, or the provider refused."),
        ({"error": "<b>"}, "You cancelled, or the provider refused."),
        ({}, "You cancelled, or the provider refused."),
    ],
)
def test_what_the_provider_sends_back_is_explained(
    client: Client, on_its_way: Any, server: TokenServer, query: dict[str, str], expected: str
) -> None:
    _, back = on_its_way
    state = back["state"]
    if query.get("error_description"):
        query = query | {"error_description": f"{query['error_description']} {state}"}

    page = client.get("/oauth/done", {"state": state, **query}, follow=True).content.decode()

    assert expected in page
    assert "The account is as it was before." in page
    assert "<script>alert(1)" not in page
    assert "Call 0900" not in page
    assert state not in page
    assert server.asked == []


def test_a_page_of_another_site_begins_no_sign_in(client: Client) -> None:
    account = make_account("google user")

    answer = client.get(page_of(account, "sign-in"), headers={"Sec-Fetch-Site": "cross-site"})

    assert answer.headers["Location"] == page_of(account)
