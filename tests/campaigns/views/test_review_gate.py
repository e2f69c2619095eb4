"""The review page of a campaign to real mailboxes: what it shows, what it costs, and that it connects to nobody."""

import datetime as dt
import socket
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Campaign, CheckOverride
from domains.models import DnsFinding, SendingDomain
from mail.records.finding import Line
from smtpservers.models import ServerSession, SmtpServer
from tests.campaigns.conftest import client_of
from tests.campaigns.gate import AUTHOR, ENVELOPE, know, know_all, serve_https, tried
from tests.harness.forms import opened

pytestmark = pytest.mark.django_db
MOST_QUERIES = 45  # Of the page with session, user and sidebar.


@pytest.fixture
def fresh(relayed: Campaign, relay: SmtpServer, settings: Any) -> Campaign:
    """Findings of the present, which the page compares with its own clock."""
    serve_https(settings)
    settings.SECURE_SSL_REDIRECT = settings.SESSION_COOKIE_SECURE = False
    know_all(timezone.now())
    tried(relay, asked_at=timezone.now())
    return relayed


def broken(domain: str, line: Line, fault: str, sentence: str) -> None:
    know(domain, line, "broken", fault, sentence, asked_at=timezone.now())


def page(client: Client, campaign: Campaign) -> str:
    response = client.get(f"/campaigns/{campaign.pk}/review/")
    assert response.status_code == 200
    return response.content.decode()


def test_findings_stand_where_they_are_put_right(marketer: Client, fresh: Campaign, relay: SmtpServer) -> None:
    broken(ENVELOPE, Line.SPF, "spf-missing", "There is no <SPF> record.")
    tried(relay, asked_at=timezone.now(), fault="sign-in", sentence="The account news@gatehouse.net was rejected.")

    html = page(marketer, fresh)

    assert "Not ready yet: 2 items to fix" in html
    assert html.index("Fix before sending") < html.index("In your DNS") < html.index("On the servers")
    assert html.index("On the servers") < html.index("Warnings") < html.index("Postal address")
    assert "There is no &lt;SPF&gt; record." in html
    assert "https://support.google.com/a/answer/81126" in html
    assert "Relay rejects our sign-in." in html
    assert "The account news@gatehouse.net" not in html  # Marketers see no settings of servers.


def test_administrators_see_why_a_server_lets_nobody_in(
    people: dict[str, User], fresh: Campaign, relay: SmtpServer
) -> None:
    tried(relay, asked_at=timezone.now(), fault="sign-in", sentence="The account news@gatehouse.net was rejected.")

    assert "The account news@gatehouse.net was rejected." in page(client_of(people["admin"]), fresh)


def test_a_row_is_overridden_once_by_an_administrator_with_a_reason(
    marketer: Client, people: dict[str, User], fresh: Campaign
) -> None:
    broken(ENVELOPE, Line.SPF, "spf-missing", "There is no SPF record.")
    broken(AUTHOR, Line.MX, "soa-missing", "There is no SOA record.")
    address = f"/campaigns/{fresh.pk}/override/"
    admin = client_of(people["admin"])

    assert marketer.post(address, {"check": "D1", "reason": "x"}).status_code == 403
    admin.post(address, {"check": "D1", "reason": " "})
    assert not CheckOverride.objects.exists()
    admin.post(address, {"check": "D1", "reason": "The provider adds it."})

    html = page(admin, fresh)
    assert CheckOverride.objects.get().sentence == "There is no SPF record."
    assert "Check D1 overridden" in html
    assert "Override “Sender&#x27;s domain” (D6)" in html
    assert "Override “SPF record” (D1)" not in html
    assert "Not ready yet: 1 item to fix" in html
    assert html.index("Warnings") < html.index("There is no SPF record.")


def test_a_changed_schedule_names_the_checks_that_count_again(
    marketer: Client, people: dict[str, User], fresh: Campaign
) -> None:
    broken(ENVELOPE, Line.SPF, "spf-missing", "There is no SPF record.")
    admin = client_of(people["admin"])
    admin.post(f"/campaigns/{fresh.pk}/override/", {"check": "D1", "reason": "The provider adds it."})
    again = "these checks count again: SPF record (D1)."
    form = opened(page(marketer, fresh).encode(), "schedule_form")

    marketer.post(f"/campaigns/{fresh.pk}/schedule/", form)
    unchanged = page(marketer, fresh)
    marketer.post(f"/campaigns/{fresh.pk}/schedule/", form | {"days": ["0"]})
    changed = page(marketer, fresh)

    assert "Schedule saved." in unchanged
    assert "Check D1 overridden" in unchanged
    assert "count again" not in unchanged
    assert again in changed
    assert "Check D1 overridden" not in changed
    assert "count again" not in page(marketer, fresh)


def test_the_page_connects_to_nobody(marketer: Client, fresh: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    DnsFinding.objects.all().delete()
    ServerSession.objects.all().delete()
    reached: list[object] = []

    def refuse(self: socket.socket, address: object) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            reached.append(address)
            raise OSError("no connections here")

    monkeypatch.setattr("delivery.hints.ring", lambda task: True)  # The broker may be a server of its own.
    monkeypatch.setattr(socket, "getaddrinfo", lambda *names, **options: reached.append(names) or [])
    monkeypatch.setattr(socket.socket, "connect", refuse)

    html = page(marketer, fresh)

    assert "DNS not known" in html
    assert "Server not tried" in html
    assert reached == []


def test_it_takes_as_many_queries_for_ten_servers_as_for_two(marketer: Client, fresh: Campaign) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(marketer, fresh)
        return len(captured.captured_queries)

    def more(names: range) -> None:
        for number in names:
            server = SmtpServer.objects.create(
                name=f"Relay {number}",
                host=f"smtp{number}.relay-company.net",
                mail_from=f"Shop <news@{AUTHOR}>",
                tested_at=timezone.now(),
            )
            tried(server, asked_at=timezone.now())

    more(range(1))
    queries()
    few = queries()
    more(range(1, 9))

    assert queries() == few
    assert few <= MOST_QUERIES


def test_opening_it_has_untried_servers_tried_and_asking_again_asks_all(
    marketer: Client, fresh: Campaign, relay: SmtpServer
) -> None:
    page(marketer, fresh)
    assert not ServerSession.objects.exclude(wanted_at=None).exists()
    tried(relay, asked_at=timezone.now() - dt.timedelta(hours=2))
    html = page(marketer, fresh)
    assert ServerSession.objects.exclude(wanted_at=None).exists()
    assert "DNS and servers are being asked." in html
    ServerSession.objects.update(wanted_at=None, asked_at=timezone.now())

    response = marketer.post(f"/campaigns/{fresh.pk}/ask-again/", follow=True)

    assert "DNS and servers are being asked" in response.content.decode()
    assert ServerSession.objects.exclude(wanted_at=None).count() == 1
    assert SendingDomain.objects.filter(next_check_at__lte=timezone.now()).count() == 2


def test_a_campaign_on_this_machine_has_nobody_to_ask(marketer: Client, campaign: Campaign, server: SmtpServer) -> None:
    html = page(marketer, campaign)

    assert "Ask again" not in html
    assert not ServerSession.objects.exists()
