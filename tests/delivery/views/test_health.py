"""The health of all servers on one page: the worst first, with their last replies, holds and incidents."""

import datetime as dt
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from delivery.models import Incident, Message, ProviderHold
from smtpservers.models import RefusedSender, SmtpServer
from tests.delivery.making import make_attempt, make_list, make_mailing

HEALTH = "/servers/health/"


def troubled(make_server: Callable[..., SmtpServer], name: str, **fields: Any) -> SmtpServer:
    """Make a server with one of each trouble."""
    now = timezone.now()
    server = make_server(25, name=name, **fields)
    message = Message.objects.first() or make_mailing(make_list(1)).messages.get()
    make_attempt(
        message=message,
        number=server.pk,
        server=server,
        server_name=name,
        outcome="deferred",
        reply=f"451 {name} <later>",
        started_at=now,
        finished_at=now,
        lane_token=uuid.uuid4(),
    )
    Incident.objects.create(key=name, server=server, kind="malformed", reason=f"554 {name} broken", seen_at=now)
    ProviderHold.objects.create(
        server=server, provider="google.com", reason="421 4.7.28", placed_at=now, until=now + dt.timedelta(hours=1)
    )
    RefusedSender.objects.create(server=server, sender="a@b.example", version=1, reason="553 no", refused_at=now)
    return server


def test_each_server_shows_its_state_replies_holds_and_incidents_and_the_worst_is_first(
    client: Client, make_user: Callable[..., User], make_server: Callable[..., SmtpServer]
) -> None:
    make_server(25, name="Well", last_success_at=timezone.now())
    make_server(25, name="Off", is_active=False)
    troubled(make_server, "Ill", paused_reason="535 wrong password")
    client.force_login(make_user("view_smtpserver"))

    page = client.get(HEALTH).content.decode()

    assert re.findall(r'/change/">([^<]+)</a>', page.partition('class="held-page"')[2]) == ["Ill", "Well", "Off"]
    for words in (
        "Paused</span>",
        "535 wrong password",
        "451 Ill &lt;later&gt;",
        "554 Ill broken",
        "Mail to google.com is on hold until ",
        "Mail from a@b.example is rejected.",
        "Never",
        "Just now",
    ):
        assert words in page
    assert "<form" not in page.partition('class="held-page"')[2].partition("</main>")[0]


def test_ten_servers_cost_no_more_queries_than_one(
    client: Client,
    make_user: Callable[..., User],
    make_server: Callable[..., SmtpServer],
    django_assert_max_num_queries: Callable[..., Any],
) -> None:
    for number in range(10):
        troubled(make_server, f"Server {number}")
    client.force_login(make_user("view_smtpserver"))

    with django_assert_max_num_queries(15):
        assert client.get(HEALTH).content.decode().count("Mail to google.com") == 10


@pytest.mark.parametrize("codename", ["view_fleet", "send_test", "pause_smtpserver"])
def test_replies_are_for_those_who_may_see_servers(
    client: Client, make_user: Callable[..., User], codename: str
) -> None:
    client.force_login(make_user(codename))

    assert client.get(HEALTH).status_code == 403


def test_last_replies_are_refusals_and_lost_lines_and_no_message_that_was_never_begun(
    client: Client, make_user: Callable[..., User], make_server: Callable[..., SmtpServer]
) -> None:
    server, now = make_server(25), timezone.now()
    message = make_mailing(make_list(1)).messages.get()
    tries = [
        ("deferred", "The line was lost before the message was handed over: the server was silent for 5 s."),
        *[("not_sent", "Given back before it was begun.")] * 3,
    ]
    for number, (outcome, reply) in enumerate(tries):
        make_attempt(
            message=message,
            number=number,
            server=server,
            server_name=server.name,
            outcome=outcome,
            reply=reply,
            started_at=now,
            finished_at=now,
            lane_token=uuid.uuid4(),
        )
    client.force_login(make_user("view_smtpserver"))

    for address in (HEALTH, f"/admin/smtpservers/smtpserver/{server.pk}/change/"):
        page = client.get(address).content.decode()
        assert "the server was silent for 5 s." in page
        assert "Given back" not in page
