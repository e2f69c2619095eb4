"""The checks at the start of a campaign: what became wrong after it was queued sends it back to draft."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User

from campaigns.lifecycle import approvals, states
from campaigns.models import Campaign
from campaigns.preflight.upcoming import senders_by_server, upcoming_servers
from delivery.models import Message
from domains import rounds
from domains.models import SendingDomain
from mail.records.finding import Line
from smtpservers.models import SmtpServer
from tests.campaigns.gate import AUTHOR, ENVELOPE, NOW, know, know_all, serve_https, tried

pytestmark = pytest.mark.django_db
LATER = NOW + dt.timedelta(minutes=30)


@pytest.fixture(autouse=True)
def https(settings: Any) -> None:
    serve_https(settings)


@pytest.fixture
def queued(relayed: Campaign, people: dict[str, User]) -> Campaign:
    assert states.queue_campaign(relayed.pk, people["marketer"], NOW) == []
    relayed.refresh_from_db()
    return relayed


def start(campaign: Campaign, now: dt.datetime = LATER) -> tuple[str, str]:
    """Start what is due; return the campaign's state, and why it went back to draft."""
    states.start_due_campaigns(now)
    campaign.refresh_from_db()
    return campaign.status, campaign.returned_reason


def test_a_sound_campaign_starts(queued: Campaign) -> None:
    assert start(queued) == ("sending", "")
    assert Message.objects.count() == 3


@pytest.mark.parametrize(
    ("domain", "line", "fault", "check_id"),
    [
        (ENVELOPE, Line.SPF, "spf-missing", "D1"),
        (AUTHOR, Line.MX, "domain-missing", "D6"),
        (ENVELOPE, Line.MX, "mx-null", "D7"),
    ],
)
def test_a_record_that_vanished_sends_it_back(
    queued: Campaign, domain: str, line: Line, fault: str, check_id: str
) -> None:
    know(domain, line, "broken", fault, "The record is gone.")

    status, reason = start(queued)

    assert status == "draft"
    assert f"{check_id}: " in reason
    assert "The record is gone." in reason
    assert not Message.objects.filter(mailing__stream="campaign").exists()


@pytest.mark.parametrize(("fault", "check_id"), [("connection", "S1"), ("tls", "S1"), ("sign-in", "S2")])
def test_a_server_that_lets_nobody_in_sends_it_back(
    queued: Campaign, relay: SmtpServer, fault: str, check_id: str
) -> None:
    tried(relay, fault=fault)

    status, reason = start(queued)

    assert status == "draft"
    assert reason.startswith(f"{check_id}: Relay ") or reason.startswith(f"{check_id}: The encrypted")


def test_a_setting_that_breaks_the_message_sends_it_back(queued: Campaign) -> None:
    SmtpServer.objects.update(use_unsubscribe_link=False)

    status, reason = start(queued)

    assert status == "draft"
    assert "M4: " in reason


def test_a_provider_that_forbids_bulk_mail_sends_it_back(queued: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.preflight.checks.servers.BULK_WITHOUT_ASKING", 2)
    SmtpServer.objects.update(preset="workspace")

    assert start(queued)[1].startswith("C2: ")


def test_stale_findings_never_keep_it(queued: Campaign, relay: SmtpServer) -> None:
    tried(relay, fault="sign-in", asked_at=LATER - dt.timedelta(hours=1, seconds=1))
    know(ENVELOPE, Line.SPF, "broken", "spf-missing", asked_at=LATER - dt.timedelta(hours=25, seconds=1))

    assert start(queued) == ("sending", "")


def test_what_was_overridden_before_stays_overridden_at_the_start(relayed: Campaign, people: dict[str, User]) -> None:
    know(ENVELOPE, Line.SPF, "broken", "spf-missing")
    assert states.queue_campaign(relayed.pk, people["marketer"], NOW)
    assert approvals.override(relayed.pk, "D1", "The provider adds it.", people["admin"], NOW) == ""
    assert states.queue_campaign(relayed.pk, people["marketer"], NOW) == []

    assert start(relayed) == ("sending", "")


def test_a_password_without_encryption_cannot_be_overridden(
    relayed: Campaign, relay: SmtpServer, people: dict[str, User]
) -> None:
    tried(relay, is_encrypted=False, is_signed_in=True)

    said = approvals.override(relayed.pk, "S5", "It is our own network.", people["admin"], NOW)

    assert said == "This check can't be overridden: the campaign couldn't be sent at all."
    assert states.queue_campaign(relayed.pk, people["marketer"], NOW)


def test_servers_are_tried_for_campaigns_that_start_soon(queued: Campaign, relay: SmtpServer) -> None:
    Campaign.objects.update(starts_at=NOW + dt.timedelta(minutes=11))
    assert list(upcoming_servers(NOW)) == []

    assert list(upcoming_servers(NOW + dt.timedelta(minutes=1))) == [relay.pk]


def test_dns_is_asked_once_more_for_campaigns_that_start_soon(queued: Campaign) -> None:
    started = NOW + dt.timedelta(minutes=15)
    SendingDomain.objects.update(checked_at=NOW - dt.timedelta(minutes=5), next_check_at=NOW + dt.timedelta(hours=20))
    Campaign.objects.update(starts_at=started)
    assert rounds.ask_about_upcoming(NOW) == 0

    assert rounds.ask_about_upcoming(NOW + dt.timedelta(minutes=6)) == 2

    due = SendingDomain.objects.filter(next_check_at=NOW + dt.timedelta(minutes=6))
    assert set(due.values_list("name", flat=True)) == {AUTHOR, ENVELOPE}
    assert rounds.ask_about_upcoming(NOW + dt.timedelta(minutes=7)) == 0


def test_servers_are_asked_about_the_from_of_campaigns_that_may_leave(queued: Campaign, relay: SmtpServer) -> None:
    Campaign.objects.update(mail_from=f"Sale <sale@{AUTHOR}>")
    assert senders_by_server(NOW) == {relay.pk: [f"Sale <sale@{AUTHOR}>"]}

    Campaign.objects.update(status="finished")

    assert senders_by_server(NOW) == {}


def test_the_check_of_a_campaign_without_findings_starts_with_a_warning(queued: Campaign) -> None:
    know_all(NOW - dt.timedelta(days=9))

    assert start(queued) == ("sending", "")
