"""Every reason for which routing refuses a server: the waiting campaign names it, and the forecast agrees."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.conf import settings
from django.contrib.auth.models import User

from campaigns.forecast.inputs import forecast_campaign
from campaigns.lifecycle import states
from campaigns.models import Campaign
from delivery.models import Mailing
from delivery.outbox import plan
from smtpservers.limits import refused_senders
from smtpservers.models import QuotaPeriod, SmtpServer

NOW = dt.datetime(2026, 11, 30, 12, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(minutes=30)


def set_to(**fields: object) -> Callable[[SmtpServer], object]:
    return lambda server: SmtpServer.objects.filter(pk=server.pk).update(**fields)


def use_up(server: SmtpServer) -> None:
    QuotaPeriod.objects.create(
        server=server, starts_at=NOW - dt.timedelta(days=1), ends_at=LATER, quota=10, used=10, reserved=0
    )
    SmtpServer.objects.filter(pk=server.pk).update(max_per_month=10)


def refuse_for(lasts: dt.timedelta | None) -> Callable[[SmtpServer], object]:
    return lambda server: refused_senders.refuse(server.pk, "", "553 No", NOW, lasts=lasts)


def send_as_another(server: SmtpServer) -> None:
    Campaign.objects.update(mail_from="news@other.example")
    Mailing.objects.update(mail_from="news@other.example")


def lead_to_test_inbox(server: SmtpServer) -> None:
    SmtpServer.objects.filter(pk=server.pk).update(host="127.0.0.1", port=settings.SANDBOX_PLAIN_PORT)


def have_begun_for_test_inbox(server: SmtpServer) -> None:
    Mailing.objects.update(is_for_test_inbox=True)
    SmtpServer.objects.exclude(pk=server.pk).update(host="127.0.0.1", port=settings.SANDBOX_PLAIN_PORT)


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (set_to(is_active=False), "is inactive"),
        (set_to(tested_at=None), "is untested"),
        (set_to(paused_reason="535 wrong"), "is paused until someone resumes it"),
        (refuse_for(None), "rejects mail from news@example.com"),
        (set_to(dkim="brilliance"), "has no DKIM key for example.com that DNS confirms"),
        (lead_to_test_inbox, "sends to the Test inbox and this campaign to real mailboxes"),
        (have_begun_for_test_inbox, "sends to real mailboxes and this campaign to the Test inbox"),
    ],
)
def test_a_server_that_needs_a_person_is_named_by_the_campaign_and_its_forecast(
    campaign: Campaign, server: SmtpServer, people: dict[str, User], happens: Callable[[SmtpServer], object], why: str
) -> None:
    mailing = start(campaign, server, people["marketer"])

    happens(server)

    assert plan.plan(NOW) == []
    mailing.refresh_from_db()
    assert f"Alpha {why}" in mailing.waiting_reason
    expected = forecast_campaign(Campaign.objects.get(), NOW)
    assert (expected.lines, expected.left) == ((), 3)
    assert [str(obstacle).startswith(why) for name, obstacle in expected.idle if name == "Alpha"] == [True]


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (set_to(paused_reason="lost", paused_until=LATER), "is paused until 30 November 2026 12:30 UTC"),
        (use_up, "has used its quota until 30 November 2026 12:30 UTC"),
        (set_to(full_until=LATER), "has reached its provider's limit until 30 November 2026 12:30 UTC"),
        (refuse_for(LATER - NOW), "rejects mail from news@example.com"),
    ],
)
def test_a_server_that_is_free_later_is_named_with_the_time_and_forecast_from_then(
    campaign: Campaign, server: SmtpServer, people: dict[str, User], happens: Callable[[SmtpServer], object], why: str
) -> None:
    mailing = start(campaign, server, people["marketer"])

    happens(server)

    assert plan.plan(NOW) == []
    mailing.refresh_from_db()
    assert f"Alpha {why}" in mailing.waiting_reason
    assert mailing.waiting_until == LATER
    first_at = forecast_campaign(Campaign.objects.get(), NOW).first_at
    assert first_at is None or first_at >= LATER


def test_a_server_that_does_not_send_for_the_from_is_named(
    campaign: Campaign, server: SmtpServer, people: dict[str, User]
) -> None:
    mailing = start(campaign, server, people["marketer"])

    send_as_another(server)

    assert plan.plan(NOW) == []
    mailing.refresh_from_db()
    assert "Alpha doesn't send for news@other.example" in mailing.waiting_reason
    expected = forecast_campaign(Campaign.objects.get(), NOW)
    assert (expected.lines, expected.blocked) == ((), (("", 3),))


def start(campaign: Campaign, server: SmtpServer, actor: User) -> Mailing:
    """Start the campaign with an inactive server beside the one that may send it."""
    SmtpServer.objects.create(
        name="Off", host=server.host, port=server.port, use_tls=False, mail_from=server.mail_from, is_active=False
    )
    assert states.queue_campaign(campaign.pk, actor, NOW) == []
    assert states.start_due_campaigns(NOW) == 1
    assert len(plan.plan(NOW)) == 1
    return Mailing.objects.get()
