"""Servers for account mail: an administrator chooses them, and whoever may edit servers cannot move them."""

import logging
import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from accounts.by_mail import mails, servers
from accounts.models import AccountServer, destination_of
from delivery.models import Mailing, Message
from encryption.secret_field import Secret
from oauth.models import OAuthAccount
from smtpservers.models import SmtpServer
from tests.accounts.by_mail.conftest import Inbox
from tests.accounts.sign_in.test_signing_in import database_dump
from tests.brilliance.test_refusals import signed_in
from tests.delivery.making import make_server, run_drain
from tests.oauth.making import make_account
from tests.peers.peer import Peer

PAGE = "/admin/accounts/accountserver/"
FORGOT = "/accounts/password/forgot/"
# Each of these decides who can read what goes through the server, or a bounce of it.
MOVES: list[dict[str, Any]] = [
    {"host": "mail.attacker.example"},
    {"port": 2600},
    {"use_tls": True},
    {"trusted_certificate": "another"},
    {"username": "attacker"},
    {"preset": "postmark"},
    {"mail_from": "attacker@shop.example"},
    {"use_return_path": True, "return_path": "bounces@attacker.example"},
]
CANARY = "canary-of-the-secret"


@pytest.fixture
def ann(db: None) -> User:
    user = User.objects.create_user("ann", "ann@example.com", "a quiet purple lighthouse", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    return user


def option(page: str, server: SmtpServer) -> str:
    """Return the value of the server in the form that adds one."""
    found = re.search(rf'value="({server.pk}\.\w+)"', page)
    assert found is not None
    return found[1]


def confirm(admin: Client, page: str) -> str:
    """Confirm everything that the page of the list shows; return the next page."""
    shown = re.findall(r'name="shown" value="([^"]+)"', page)
    chosen = [each.split(".")[0] for each in shown]
    sent = {"action": "confirm", "_selected_action": chosen, "shown": shown}
    return admin.post(PAGE, sent, follow=True).content.decode()


def choose(server: SmtpServer) -> AccountServer:
    return AccountServer.objects.create(server=server, destination=destination_of(server))


def test_once_one_is_chosen_no_other_carries_a_link(ann: User, server: SmtpServer, inbox: Inbox) -> None:
    other = make_server(server.port, name="Other", display_order=1)
    assert servers.allowed([server, other]) == [server, other]
    choose(server)

    mails._send_reset(ann, timezone.now())

    assert Mailing.objects.get().server_ids == [server.pk]
    assert len(inbox()) == 1


@pytest.mark.parametrize("move", MOVES, ids=str)
def test_a_server_that_was_moved_carries_none_and_no_other_steps_in(
    ann: User, server: SmtpServer, move: dict[str, Any]
) -> None:
    make_server(server.port, name="Other", display_order=1)
    choose(server)
    assert mails.can_be_sent(timezone.now())

    SmtpServer.objects.filter(pk=server.pk).update(**move)

    assert not mails.can_be_sent(timezone.now())
    assert "Ask an administrator" in Client().get(FORGOT).content.decode()


def test_a_server_that_signs_in_as_another_mailbox_carries_none(ann: User, server: SmtpServer) -> None:
    server.oauth_account = make_account()
    server.save()
    chosen = choose(server)
    assert mails.can_be_sent(timezone.now())

    OAuthAccount.objects.update(mailbox="attacker@shop.example")

    assert not mails.can_be_sent(timezone.now())
    assert servers.changes(AccountServer.objects.get(pk=chosen.pk)) == "OAuth account"


def test_a_link_on_its_way_does_not_leave_through_a_server_that_was_not_chosen(
    ann: User, server: SmtpServer, peer: Peer
) -> None:
    mails._send_reset(ann, timezone.now())
    choose(make_server(server.port, name="Other", display_order=1))

    run_drain()

    assert peer.bodies == []
    assert servers.NOT_CHOSEN in Message.objects.get().reason


@pytest.mark.parametrize("name", ["password", "api_key"])
def test_another_secret_needs_confirming_because_it_may_be_of_another_account(server: SmtpServer, name: str) -> None:
    server.username, server.preset = "resend", "resend"
    setattr(server, name, "ours")
    server.save()
    choose(server)
    server.refresh_from_db()
    assert servers.allowed([server]) == [server]

    setattr(server, name, "the attacker's")
    server.save()

    assert servers.allowed([server]) == []
    assert servers.changes(AccountServer.objects.get()) == "password or API key"


def test_a_choice_outlives_the_key_of_stored_secrets(server: SmtpServer, settings: Any) -> None:
    server.password, server.username = "ours", "apikey"
    server.save()
    choose(server)

    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEYS]
    call_command("rotate_secrets")
    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]

    server.refresh_from_db()
    assert servers.allowed([server]) == [server]


def test_the_secret_is_in_no_row_page_or_log(server: SmtpServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    server.password, server.username = CANARY, "apikey"
    server.save()
    admin = signed_in("admin")
    pages = [admin.get(f"{PAGE}add/").content.decode()]

    admin.post(f"{PAGE}add/", {"server": option(pages[0], server)})
    pages += [admin.get(PAGE).content.decode()]
    pages += [confirm(admin, pages[-1])]

    assert AccountServer.objects.get().holds
    assert "Password or API key: <span>Set" in pages[0]
    assert CANARY not in "".join(pages) + database_dump() + caplog.text


def test_an_administrator_chooses_and_confirms(ann: User, server: SmtpServer, settings: Any) -> None:
    admin = signed_in("admin")
    assert "Every working server may carry invitations" in admin.get(PAGE).content.decode()

    admin.post(f"{PAGE}add/", {"server": option(admin.get(f"{PAGE}add/").content.decode(), server)})

    chosen = AccountServer.objects.get()
    assert chosen.holds
    assert admin.get(f"{PAGE}{chosen.pk}/change/").status_code == 200
    SmtpServer.objects.update(host="relay.example.com", mail_from="other@example.com")
    page = admin.get(PAGE).content.decode()
    assert "Changed since: server, From." in page
    assert "From: <span>other@example.com" in page
    assert servers.allowed(SmtpServer.objects.all()) == []

    confirm(admin, page)

    assert servers.allowed(SmtpServer.objects.all()) == [SmtpServer.objects.get()]


@pytest.mark.parametrize("move", [*MOVES, {"password": Secret("another")}], ids=str)
def test_what_was_changed_since_the_page_was_opened_is_neither_confirmed_nor_added(
    server: SmtpServer, move: dict[str, Any]
) -> None:
    admin, other = signed_in("admin"), make_server(server.port, name="Other", password="ours", username="apikey")
    chosen = choose(make_server(server.port, name="Chosen", password="ours", username="apikey"))
    form, page = admin.get(f"{PAGE}add/").content.decode(), admin.get(PAGE).content.decode()
    SmtpServer.objects.update(**move)

    refused = [
        admin.post(f"{PAGE}add/", {"server": option(form, other)}).content.decode(),
        confirm(admin, page),
        admin.post(PAGE, {"action": "confirm", "_selected_action": chosen.pk}, follow=True).content.decode(),
        admin.post(f"{PAGE}add/", {"server": other.pk}).content.decode(),
    ]

    assert [str(servers.STALE) in page for page in refused] == [True] * 4
    assert [each.holds for each in AccountServer.objects.all()] == [False]


def test_the_test_inbox_cannot_be_chosen(server: SmtpServer, settings: Any) -> None:
    settings.SANDBOX_ENABLED, settings.SANDBOX_PLAIN_PORT = True, server.port
    admin = signed_in("admin")
    sent = {"server": option(admin.get(f"{PAGE}add/").content.decode(), server)}

    page = admin.post(f"{PAGE}add/", sent).content.decode()

    assert "leads to the Test inbox" in page
    assert not AccountServer.objects.exists()


def test_who_may_edit_servers_neither_chooses_nor_deletes_a_chosen_one(server: SmtpServer) -> None:
    other = make_server(server.port, name="Other", display_order=1)
    choose(server)
    ops = signed_in("ops")

    assert [ops.get(page).status_code for page in (PAGE, f"{PAGE}add/")] == [403, 403]
    ops.post(f"{PAGE}add/", {"server": other.pk})
    page = ops.post(f"/admin/smtpservers/smtpserver/{server.pk}/delete/", {"post": "yes"}).content.decode()

    assert "account mail, under Settings" in page
    assert AccountServer.objects.get().server == server


def test_taking_the_last_one_away_says_what_follows(server: SmtpServer) -> None:
    chosen = choose(server)

    page = signed_in("admin").get(f"{PAGE}{chosen.pk}/delete/").content.decode()

    assert "Then every working server may carry them" in page


@pytest.mark.django_db(transaction=True)
def test_the_database_keeps_a_chosen_server() -> None:
    server = make_server(2600)
    choose(server)

    with pytest.raises(IntegrityError):
        server.delete()

    assert AccountServer.objects.exists()
