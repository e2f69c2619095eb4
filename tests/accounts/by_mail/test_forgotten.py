"""A forgotten password: the link in a mail, who gets one, and that nothing but that mail ever holds it."""

import datetime as dt
import json
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from axes.models import AccessFailureLog
from django.contrib.auth.models import User
from django.core import signing
from django.db import connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts import factors
from accounts.by_mail import mails, tokens
from accounts.by_mail.tasks import send_resets
from accounts.models import AccountMail, ResetRequest, SignInNotice
from accounts.notices import leave_notice
from accounts.sign_in.lockout import FAILURES_PER_NETWORK
from delivery.content.secret_links import IN_TEST_INBOX
from delivery.models import Attempt, Mailing, Message
from smtpservers.models import SmtpServer
from tests.accounts.by_mail.conftest import Inbox, link_in
from tests.accounts.conftest import PASSWORD, signed_in
from tests.accounts.sign_in.test_signing_in import database_dump, is_signed_in
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import Peer, running_peer

FORGOT, SENT, NEW = "/accounts/password/forgot/", "/accounts/password/sent/", "/accounts/password/new/"
NEW_PASSWORD = "a quiet purple lighthouse"
ADDRESS = "ann@customer.example"


@pytest.fixture(autouse=True)
def with_address(ann: User) -> None:
    ann.email = ADDRESS
    ann.save()


def ask(email: str = ADDRESS, network: str = "192.0.2.77") -> Any:
    return Client(REMOTE_ADDR=network).post(FORGOT, {"email": email})


def asked(inbox: Inbox, email: str = ADDRESS) -> str:
    """Return the token that a person finds in the mail."""
    ask(email)
    send_resets()
    path, token = link_in(inbox()[-1])
    assert path == NEW
    return token


def use(token: str, password: str = NEW_PASSWORD, client: Client | None = None) -> Any:
    return (client or Client()).post(NEW, {"token": token, "password": password}, follow=True)


def test_the_link_sets_a_new_password_once_and_ends_all_sessions(ann: User, inbox: Inbox) -> None:
    session = signed_in()
    token = asked(inbox)
    page = Client().post(NEW, {"token": token}).content.decode()

    said = use(token).content.decode()

    assert "Choose a new password for <strong>ann</strong>" in page
    assert "Password changed. Log in with it." in said
    ann.refresh_from_db()
    assert ann.check_password(NEW_PASSWORD)
    assert not is_signed_in(session)
    assert "expired or was used already" in use(token, "another quiet lighthouse").content.decode()
    ann.refresh_from_db()
    assert ann.check_password(NEW_PASSWORD)


def test_it_refuses_the_present_password_and_stays_valid(ann: User, inbox: Inbox) -> None:
    token = asked(inbox)

    assert "That&#x27;s your current password." in use(token, PASSWORD).content.decode()
    assert "Password changed." in use(token).content.decode()


def test_it_signs_nobody_in_and_the_second_factor_is_still_asked_for(ann: User, inbox: Inbox, app: Any) -> None:
    token, client = asked(inbox), Client()

    use(token, client=client)
    answer = client.post("/accounts/login/", {"login": "ann", "password": NEW_PASSWORD})

    assert not is_signed_in(client)
    assert answer["Location"].startswith("/accounts/login/second-factor/")
    assert factors.has_factor(ann)


def test_it_lives_for_an_hour(ann: User, inbox: Inbox) -> None:
    asked(inbox)
    now = timezone.now()

    with transaction.atomic():
        for age, is_valid in ((dt.timedelta(minutes=59), True), (dt.timedelta(minutes=60), False)):
            token = tokens.make(ann, now - age)
            assert (tokens.read_reset(token, now) == ann) is is_valid
        ahead = tokens.make(ann, now + dt.timedelta(days=1))  # By a clock that was ahead.
        assert tokens.read_reset(ahead, now) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda ann: User.objects.filter(pk=ann.pk).update(is_active=False),
        lambda ann: User.objects.filter(pk=ann.pk).update(email="other@example.com"),
        lambda ann: signed_in(),
        lambda ann: (ann.set_unusable_password(), ann.save()),
        lambda ann: ann.delete(),
    ],
    ids=["switched off", "another address", "signed in", "no password", "deleted"],
)
def test_it_is_void_when_its_user_changed(ann: User, inbox: Inbox, change: Callable[[User], Any]) -> None:
    token = asked(inbox)

    change(ann)

    assert "expired or was used already" in use(token).content.decode()


@pytest.mark.parametrize("spoil", [lambda token: token[:-3] + "xx1", lambda token: "", lambda token: "é" * 40])
def test_a_made_up_link_opens_nothing_and_counts_for_its_network(
    ann: User, inbox: Inbox, spoil: Callable[[str], str]
) -> None:
    token = asked(inbox)
    AccessFailureLog.objects.all().delete()

    assert "expired or was used already" in use(spoil(token)).content.decode()

    assert AccessFailureLog.objects.get().username is None
    answers = [Client().post(NEW, {"token": "x"}).status_code for _ in range(FAILURES_PER_NETWORK)]
    assert answers[-1] == 429


def test_a_token_of_another_purpose_is_refused(ann: User) -> None:
    said = {"for": "invite", "id": ann.pk, "at": int(time.time()), "on": tokens._ground(ann)}

    assert tokens.read_reset(signing.dumps(said, salt=tokens.SALT) + "1", timezone.now()) is None


def test_two_at_once_use_it_once(ann: User, inbox: Inbox) -> None:
    token = asked(inbox)
    passwords = [f"{number} quiet purple lighthouses" for number in range(4)]

    def try_it(password: str) -> bool:
        try:
            return "Password changed" in use(token, password).content.decode()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(try_it, passwords))

    assert done.count(True) == 1
    ann.refresh_from_db()
    assert ann.check_password(passwords[done.index(True)])


def test_a_password_that_is_easy_to_guess_is_refused_and_the_link_still_works(ann: User, inbox: Inbox) -> None:
    token = asked(inbox)

    page = use(token, "newsletter").content.decode()

    assert "too short" in page
    assert "newsletter" not in page.partition("<form")[2].partition("id_password")[2].partition(">")[0]
    assert "Password changed" in use(token).content.decode()


def test_who_had_to_change_a_password_of_somebody_else_s_has_done_so(ann: User, inbox: Inbox) -> None:
    leave_notice(ann, SignInNotice.Kind.PASSWORD_SET)

    use(asked(inbox))

    assert not SignInNotice.objects.filter(user=ann).exists()


# --- who gets a link, and what the answer tells


def test_the_answer_is_the_same_whoever_has_the_address_and_so_is_the_work(ann: User, server: SmtpServer) -> None:
    User.objects.create_user("sso", email="sso@customer.example", is_staff=True)
    answers, queries = [], []

    for number, email in enumerate((ADDRESS, "nobody@customer.example", "sso@customer.example")):
        with CaptureQueriesContext(connection) as captured:
            answers.append(ask(email, f"10.0.{number}.1"))
        queries.append([query["sql"].partition(" ")[0] for query in captured])

    assert {(answer.status_code, answer["Location"], answer.content) for answer in answers} == {(302, SENT, b"")}
    assert queries[0] == queries[1] == queries[2]
    assert not Mailing.objects.exists()  # A worker looks who has it.


def test_only_users_who_sign_in_by_a_password_get_a_link(ann: User, inbox: Inbox) -> None:
    User.objects.create_user("sso", email="sso@customer.example", is_staff=True)
    User.objects.create_user("off", email="off@customer.example", password=PASSWORD, is_active=False)

    for email in ("sso@customer.example", "off@customer.example", "nobody@customer.example", "ANN@customer.example"):
        ask(email)
    send_resets()

    assert [message.email for message in Message.objects.all()] == [ADDRESS]
    assert not ResetRequest.objects.exists()
    assert len(inbox()) == 1


def test_each_user_with_the_address_gets_a_link_of_their_own_and_it_names_them(ann: User, inbox: Inbox) -> None:
    User.objects.create_user("second", email=ADDRESS, password=PASSWORD, is_staff=True)

    ask()
    send_resets()

    texts = inbox()
    assert sorted("password of ann at" in text for text in texts) == [False, True]
    assert len({link_in(text) for text in texts}) == 2


def test_a_letter_that_only_looks_like_another_does_not_lead_to_the_link(ann: User, server: SmtpServer) -> None:
    User.objects.filter(pk=ann.pk).update(email="mike@example.org")

    assert mails.users_with("mıke@example.org") == []
    assert [user.pk for user in mails.users_with("Mike@Example.org")] == [ann.pk]


def test_nobody_s_mailbox_is_filled(ann: User, server: SmtpServer) -> None:
    for number in range(12):
        ask(network=f"10.1.{number}.1")
    send_resets()

    assert AccountMail.objects.count() == mails.RESETS_PER_HOUR


def test_asking_is_limited_like_signing_in_and_locks_nobody_out_who_signs_in(
    ann: User, server: SmtpServer, settings: Any
) -> None:
    answers = [ask().status_code for _ in range(settings.AXES_FAILURE_LIMIT + 1)]

    assert answers == [302] * (settings.AXES_FAILURE_LIMIT - 1) + [429] * 2
    assert ask("other@customer.example").status_code == 302
    assert is_signed_in(signed_in())
    assert ADDRESS not in "".join(AccessFailureLog.objects.values_list("username", flat=True))
    for number in range(FAILURES_PER_NETWORK):
        ask(f"{number}@customer.example", "203.0.113.9")
    assert ask("last@customer.example", "203.0.113.9").status_code == 429


def test_where_passwords_are_closed_there_is_no_page(ann: User, server: SmtpServer, settings: Any) -> None:
    token = tokens.make(ann, timezone.now())
    settings.OIDC_ONLY = True

    assert Client().get(FORGOT)["Location"] == "/accounts/login/"
    assert "expired or was used already" in use(token).content.decode()


@pytest.mark.parametrize(
    "spoil",
    [
        {"is_active": False},
        {"tested_at": None},
        {"paused_reason": "refused"},
        {"host": "127.0.0.1", "port": 2525},
        {"host": "LOCALHOST", "port": 2525},
        {"host": "::1", "port": 2525},
    ],
    ids=str,
)
def test_without_a_working_server_other_than_the_test_inbox_it_names_the_administrator(
    ann: User, server: SmtpServer, settings: Any, spoil: dict[str, Any]
) -> None:
    settings.SANDBOX_ENABLED, settings.SANDBOX_PLAIN_PORT = True, 2525
    SmtpServer.objects.update(**spoil)

    answers = [Client().get(FORGOT).content.decode(), ask().content.decode()]

    for page in answers:
        assert "Ask an administrator" in page
        assert "manage.py changepassword NAME" in page
        assert 'name="email"' not in page
    assert not ResetRequest.objects.exists()


def test_a_link_never_goes_to_the_test_inbox_even_if_a_server_is_moved_there(
    ann: User, peer: Peer, server: SmtpServer, settings: Any
) -> None:
    ask()
    send_resets()
    settings.SANDBOX_ENABLED, settings.SANDBOX_PLAIN_PORT = True, peer.port

    run_drain()

    assert peer.bodies == []
    assert IN_TEST_INBOX in Message.objects.get().reason


def test_a_link_that_waited_for_too_long_is_not_sent(ann: User, peer: Peer, server: SmtpServer) -> None:
    ask()
    send_resets()

    run_drain(clock=lambda: timezone.now() + dt.timedelta(hours=2))

    assert peer.bodies == []


# --- nothing holds it


def test_the_link_is_in_the_mail_and_nowhere_else(
    ann: User, inbox: Inbox, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The canary is searched in all tables, logs, task arguments and pages."""
    caplog.set_level(logging.DEBUG)
    sent_tasks: list[object] = []
    monkeypatch.setattr("celery.app.base.Celery.send_task", lambda *args, **kwargs: sent_tasks.append((args, kwargs)))
    token = asked(inbox)
    ask("wrong@customer.example")
    send_resets()
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss", is_staff=True))
    mailing = Mailing.objects.get()
    pages = [boss.get(path).content.decode() for path in pages_about(mailing)]

    held = [database_dump(), caplog.text, json.dumps(sent_tasks, default=str), *pages]

    piece = token.split(":")[0]
    assert len(piece) > 80
    assert "account_url" in mailing.text
    for where in held:
        assert token not in where
        assert piece[-40:] not in where
        assert token[-40:-1] not in where
    assert "Password changed" in use(token).content.decode()


def pages_about(mailing: Mailing) -> list[str]:
    message = Message.objects.get(mailing=mailing)
    return [
        "/admin/",
        "/messages/",
        f"/messages/?q={ADDRESS}",
        "/admin/sandbox/sandboxmail/",
        f"/v/{message.pk}/",
        "/admin/auth/user/",
        f"/admin/auth/user/{AccountMail.objects.get().user_id}/history/",
        "/campaigns/figures/",
    ]


def test_a_server_that_quotes_the_link_has_its_words_forgotten(
    ann: User, transactional_db: None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    running: list[Peer] = []

    def quote(event: str, context: Any) -> bytes | None:
        if event != "dot":
            return None
        content = running[0].bodies[-1][1].replace(b"=\r\n", b"").replace(b"=3D", b"=")
        return b"554 5.7.1 refused for " + content[content.index(b"#") + 1 :].split()[0]

    with running_peer(tmp_path, quote) as peer:
        running.append(peer)
        make_server(peer.port)
        ask()
        send_resets()
        run_drain()
        content = peer.bodies[0][1].replace(b"=\r\n", b"").replace(b"=3D", b"=").decode()

    token = content[content.index("#") + 1 :].split()[0]
    attempt = Attempt.objects.get()
    assert (attempt.code, attempt.stage) == (554, "DOT")
    assert token[:60] not in database_dump() + caplog.text


def test_a_campaign_with_the_same_merge_field_gets_no_link(ann: User, inbox: Inbox) -> None:

    ann.email = "person0.1@customer.example"
    ann.save()
    make_mailing(make_list(1), html="", text="Here: {{ account_url }}!", stream="campaign")

    (text,) = inbox()

    assert "Here: !" in text


@pytest.mark.browser
def test_the_browser_takes_the_token_out_of_the_address(ann: User, live_server: Any, page: Page) -> None:
    token = tokens.make(ann, timezone.now())
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))

    page.goto(f"{NEW}#{token}")
    expect(page.get_by_text("Choose a new password for ann")).to_be_visible()
    page.get_by_label("New password").fill(NEW_PASSWORD)
    page.get_by_role("button", name="Change password").click()

    expect(page.get_by_text("Password changed. Log in with it.")).to_be_visible()
    assert token[:60] not in "".join(asked_for[1:]) + page.url
    page.goto(NEW)
    expect(page.get_by_text("This address is incomplete.")).to_be_visible()
