"""Servers for account mail: an administrator chooses them, and whoever may edit servers cannot move them."""

from dataclasses import asdict
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone

from accounts.by_mail import mails, servers
from accounts.models import AccountServer
from delivery.models import Mailing, Message
from smtpservers.models import SmtpServer
from tests.accounts.by_mail.conftest import Inbox
from tests.brilliance.test_refusals import signed_in
from tests.delivery.making import make_server, run_drain
from tests.peers.peer import Peer

PAGE = "/admin/accounts/accountserver/"
FORGOT = "/accounts/password/forgot/"
# Each of these decides who can read what goes through the server.
MOVES = [{"host": "mail.attacker.example"}, {"port": 2600}, {"use_tls": True}, {"username": "attacker"}]


@pytest.fixture
def ann(db: None) -> User:
    user = User.objects.create_user("ann", "ann@example.com", "a quiet purple lighthouse", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    return user


def choose(server: SmtpServer) -> AccountServer:
    return AccountServer.objects.create(server=server, destination=asdict(server.destination))


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


def test_a_link_on_its_way_does_not_leave_through_a_server_that_was_not_chosen(
    ann: User, server: SmtpServer, peer: Peer
) -> None:
    mails._send_reset(ann, timezone.now())
    choose(make_server(server.port, name="Other", display_order=1))

    run_drain()

    assert peer.bodies == []
    assert servers.NOT_CHOSEN in Message.objects.get().reason


def test_an_administrator_chooses_and_confirms(ann: User, server: SmtpServer, settings: Any) -> None:
    admin = signed_in("admin")
    assert "Every working server may carry invitations" in admin.get(PAGE).content.decode()

    admin.post(f"{PAGE}add/", {"server": server.pk})

    chosen = AccountServer.objects.get()
    assert chosen.holds
    assert admin.get(f"{PAGE}{chosen.pk}/change/").status_code == 200
    SmtpServer.objects.update(host="relay.example.com")
    assert "Changed since." in admin.get(PAGE).content.decode()
    assert servers.allowed(SmtpServer.objects.all()) == []

    admin.post(PAGE, {"action": "confirm", "_selected_action": chosen.pk})

    assert servers.allowed(SmtpServer.objects.all()) == [SmtpServer.objects.get()]


def test_the_test_inbox_cannot_be_chosen(server: SmtpServer, settings: Any) -> None:
    settings.SANDBOX_ENABLED, settings.SANDBOX_PLAIN_PORT = True, server.port

    page = signed_in("admin").post(f"{PAGE}add/", {"server": server.pk}).content.decode()

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
