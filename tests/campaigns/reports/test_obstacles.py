"""What holds up all mail is said on Home and on a campaign's page, in the words of readiness."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from campaigns.reports import report as campaign_report
from delivery.models import Installation, Mailing, MailingOutcome, Message
from delivery.operators import restored_copy
from delivery.outbox import leases
from tests.campaigns.conftest import client_of, seen
from tests.delivery.making import make_list, make_mailing, make_server

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign() -> Campaign:
    """Return a campaign that is being sent for an hour."""
    mailing = make_mailing(make_list(3))
    Mailing.objects.update(created_at=timezone.now() - dt.timedelta(hours=1))
    return Campaign.objects.create(name="Winter", subject="Winter", text="x", status="sending", mailing=mailing)


def home(client: Client) -> str:
    return client.get("/admin/").content.decode()


def progress(client: Client, campaign: Campaign) -> str:
    return client.get(f"/campaigns/{campaign.pk}/").content.decode()


def test_the_only_worker_was_stopped_and_both_pages_say_since_when(campaign: Campaign, people: dict[str, User]) -> None:
    at = timezone.localtime(seen(ago=3 * 60))
    marketer = client_of(people["marketer"])

    said = f"No sending worker has been seen since {at:%H:%M}. Mail waits, and goes on by itself as soon as one runs."
    assert said in home(marketer)
    page = progress(marketer, campaign)
    assert said in page
    assert "waits" in page
    assert "Delivery forecast" not in page
    assert "until" not in page.partition("Time left")[2].partition("</dd>")[0]


def test_nothing_is_said_when_nothing_is_wrong(campaign: Campaign, people: dict[str, User]) -> None:
    seen()
    marketer = client_of(people["marketer"])

    assert "has been seen" not in home(marketer)
    assert "has been seen" not in progress(marketer, campaign)


def test_a_broken_lane_is_told_by_server_and_folder_to_those_who_see_servers(
    campaign: Campaign, people: dict[str, User]
) -> None:
    seen()
    server = make_server(25, "Alpha")
    assert leases.acquire(server.pk)
    leases.broke_off(server.pk, OSError(28, "No space left on device", "/srv/data/journal"), timezone.now())

    for page in (home(client_of(people["admin"])), progress(client_of(people["admin"]), campaign)):
        assert "The work for Alpha broke off on " in page
        assert "No space left on device (/srv/data/journal)" in page
    page = progress(client_of(people["marketer"]), campaign)
    assert "The work for a server broke off." in page
    assert "/srv/data" not in page


def test_a_campaign_that_stands_still_always_says_why(campaign: Campaign, people: dict[str, User]) -> None:
    seen()

    page = progress(client_of(people["viewer"]), campaign)

    assert "No worker has picked it up in the last minutes. It continues automatically once one does." in page


def test_a_campaign_that_has_just_begun_is_given_a_moment(campaign: Campaign, people: dict[str, User]) -> None:
    seen()
    Mailing.objects.update(created_at=timezone.now())

    assert "No worker has picked it up" not in progress(client_of(people["viewer"]), campaign)


def test_a_held_copy_shows_no_pace_of_what_its_original_sent(campaign: Campaign) -> None:
    now = timezone.now()
    seen()
    for minutes in range(1, 10):
        at = (now - dt.timedelta(minutes=minutes)).replace(second=0, microsecond=0)
        MailingOutcome.objects.create(
            mailing=campaign.mailing,
            server_name="A",
            minute_at=at,
            first_at=at,
            outcome="accepted",
            number=18,
        )
    before = campaign_report.report(campaign, now, with_replies=False)
    Installation.objects.update_or_create(
        pk=1, defaults={"identity": "x", "raised_at": now, "held_because": "copied", "held_since": now}
    )

    held = campaign_report.report(campaign, now, with_replies=False)

    assert before.rate > 0
    assert (held.rate, held.time_left) == (0, "waiting")


def test_what_was_never_begun_here_is_not_said_to_be_sent_in_full(campaign: Campaign, people: dict[str, User]) -> None:
    seen()
    Message.objects.update(status="unconfirmed", reason=restored_copy.REASON)
    admin = client_of(people["admin"])
    message = Message.objects.first()
    assert message is not None

    for page in (progress(admin, campaign), admin.get(f"/campaigns/recipients/{message.pk}/").content.decode()):
        assert "It may have been sent before this database was restored or copied," in page
        assert "reply was lost" not in page

    Message.objects.filter(pk=message.pk).update(reason="Sent in full, the answer was lost: timeout.")
    cache.clear()

    assert "reply was lost, or this database was restored or copied" in progress(admin, campaign)
    page = admin.get(f"/campaigns/recipients/{message.pk}/").content.decode()
    assert "reply was lost. It may have arrived" in page


def test_a_finished_campaign_names_no_obstacle(campaign: Campaign, people: dict[str, User]) -> None:
    Campaign.objects.update(status="finished")

    assert "sending worker" not in progress(client_of(people["viewer"]), campaign)


@pytest.mark.parametrize(
    ("waiting_reason", "words"),
    [
        ("", "under a minute (done"),
        ("No server can send this now: Alpha is paused until someone resumes it.", "waiting"),
    ],
)
def test_what_waits_for_an_administrator_is_not_about_to_be_done(
    campaign: Campaign, waiting_reason: str, words: str
) -> None:
    """However many were accepted a moment ago."""
    now = seen()
    minute = now.replace(second=0, microsecond=0)
    assert campaign.mailing is not None
    MailingOutcome.objects.create(
        mailing=campaign.mailing, server_name="Alpha", minute_at=minute, outcome="accepted", number=500, first_at=minute
    )
    Mailing.objects.update(waiting_reason=waiting_reason)

    report = campaign_report.report(campaign, now, with_replies=True)

    assert report.rate > 0
    assert report.time_left.partition(" about ")[0] == words
