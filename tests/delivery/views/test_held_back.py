"""What a server holds back: shown on its page, and ended by those who look after servers."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from delivery.models import Incident, ProviderHold
from smtpservers.models import RefusedSender, SmtpServer

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def server(make_server: Callable[..., SmtpServer]) -> SmtpServer:
    """A server that Google had enough of, that refuses a sender, and that told how much it takes."""
    now = timezone.now()
    server = make_server(25)
    SmtpServer.objects.filter(pk=server.pk).update(learned_messages_per_connection=20)
    Incident.objects.create(key="x", server=server, kind="malformed", reason="554 5.6.0 Broken", seen_at=now)
    ProviderHold.objects.create(
        server=server, provider="google.com", reason="421 4.7.28 <b>Unusual</b>", placed_at=now, until=now + HOUR
    )
    RefusedSender.objects.create(
        server=server, sender="shop@example.org", version=1, reason="553 not owned", refused_at=now
    )
    return server


def as_user(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


@pytest.mark.parametrize("codename", ["view_smtpserver", "change_smtpserver"])
def test_the_servers_page_says_what_it_holds_back(
    client: Client, make_user: Callable[..., User], server: SmtpServer, codename: str
) -> None:
    as_user(client, make_user("view_smtpserver", codename) if codename != "view_smtpserver" else make_user(codename))

    page = client.get(f"/admin/smtpservers/smtpserver/{server.pk}/change/").content.decode()

    assert "Mail to google.com is on hold until " in page
    assert "It rejects mail from shop@example.org." in page
    assert "A server reply needs your attention." in page
    assert "It accepts only 20 messages per connection" in page
    assert f'href="/servers/{server.pk}/held-back/"' in page


def test_complaints_are_called_so_and_no_reply(
    client: Client, make_user: Callable[..., User], make_server: Callable[..., SmtpServer]
) -> None:
    server = make_server(25)
    reason = "1 person at example.org marked mail as spam; 10 messages were accepted."
    Incident.objects.create(key="x", server=server, kind="complaints", reason=reason, seen_at=timezone.now())
    as_user(client, make_user("view_smtpserver"))

    page = client.get(f"/admin/smtpservers/smtpserver/{server.pk}/change/").content.decode()

    assert reason in page
    assert "A server reply needs your attention." not in page


def test_a_server_that_holds_nothing_back_says_nothing(
    client: Client, make_user: Callable[..., User], make_server: Callable[..., SmtpServer]
) -> None:
    server = make_server(25)
    as_user(client, make_user("view_smtpserver"))

    page = client.get(f"/admin/smtpservers/smtpserver/{server.pk}/change/").content.decode()
    assert "held-back" not in page
    page = client.get(f"/servers/{server.pk}/held-back/").content.decode()
    assert "Nothing is on hold for Relay" in page


def test_an_operator_ends_a_hold_and_has_a_sender_asked_for_again(
    client: Client, make_user: Callable[..., User], server: SmtpServer
) -> None:
    as_user(client, make_user("view_smtpserver", "pause_smtpserver"))
    address = f"/servers/{server.pk}/held-back/"
    page = client.get(address).content.decode()
    assert "421 4.7.28 &lt;b&gt;Unusual&lt;/b&gt;" in page
    assert "554 5.6.0 Broken" in page

    said = client.post(address, {"hold": ProviderHold.objects.get().pk}, follow=True).content.decode()
    assert "Sending to google.com resumed." in said
    said = client.post(address, {"sender": "shop@example.org"}, follow=True).content.decode()
    assert "shop@example.org will be tried again." in said

    assert not ProviderHold.objects.exists()
    assert not RefusedSender.objects.exists()
    assert LogEntry.objects.count() == 2
    said = client.post(address, {"hold": "1"}, follow=True).content.decode()
    assert "already resumed" in said


@pytest.mark.parametrize(
    ("codenames", "gets", "posts"),
    [((), 403, 403), (("send_test",), 403, 403), (("view_smtpserver",), 200, 403)],
)
def test_others_end_nothing(
    client: Client, make_user: Callable[..., User], server: SmtpServer, codenames: Any, gets: int, posts: int
) -> None:
    as_user(client, make_user(*codenames))
    address = f"/servers/{server.pk}/held-back/"

    assert client.get(address).status_code == gets
    assert client.post(address, {"hold": ProviderHold.objects.get().pk}).status_code == posts
    assert ProviderHold.objects.exists()
