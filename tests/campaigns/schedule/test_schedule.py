"""A campaign that begins later, in certain hours, by each recipient's clock, or too late."""

import datetime as dt
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import User

from campaigns.lifecycle import states
from campaigns.models import Campaign
from campaigns.schedule import schedule as campaign_schedule
from campaigns.schedule.schedule import Schedule
from contacts.models import Contact, ContactList
from delivery.models import Mailing, Message
from delivery.outbox import mailings as outbox
from delivery.outbox import plan
from smtpservers.models import SmtpServer
from tests.campaigns.lifecycle.test_states import make_campaign, make_list

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)  # A Monday; 13:00 in Berlin.
MINUTE, HOUR = dt.timedelta(minutes=1), dt.timedelta(hours=1)


def wall(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def utc(text: str) -> dt.datetime:
    return wall(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def actor() -> User:
    return User.objects.create_user("ann")


@pytest.fixture
def people() -> ContactList:
    people = make_list("News", "ann@example.com", "bea@example.com", "cleo@example.com")
    for email, zone in (("ann@example.com", "Asia/Tokyo"), ("bea@example.com", "America/New_York")):
        Contact.objects.filter(email_key=email).update(time_zone=zone)
    return people


@pytest.fixture
def campaign(people: ContactList, settings: Any) -> Campaign:
    settings.POSTAL_ADDRESS = "1 Main Street, Springfield"  # One of them lives in the United States.
    SmtpServer.objects.create(
        name="Alpha", host="localhost", mail_from="Shop <news@example.com>", handles_email_validation=True
    )
    return make_campaign(people)


def queue(campaign: Campaign, actor: User, schedule: Schedule, now: dt.datetime = NOW) -> list[str]:
    assert campaign_schedule.set_schedule(campaign.pk, schedule, now) == []
    found = states.queue_campaign(campaign.pk, actor, now)
    campaign.refresh_from_db()
    return found


def tick(campaign: Campaign, now: dt.datetime) -> None:
    """Do what the worker does every two seconds."""
    states.start_due_campaigns(now)
    campaign_schedule.keep_hours(now)
    campaign.refresh_from_db()


def is_planned(now: dt.datetime) -> bool:
    return bool(plan.plan(now))


def statuses(campaign: Campaign) -> Counter[str]:
    return Counter(Message.objects.filter(mailing=campaign.mailing_id).values_list("status", flat=True))


def test_it_begins_when_the_clock_of_its_zone_shows_the_time(campaign: Campaign, actor: User) -> None:
    queue(campaign, actor, Schedule("at", wall("2026-11-24T09:00"), "America/New_York"))
    assert campaign.starts_at == utc("2026-11-24T14:00")

    tick(campaign, utc("2026-11-24T13:59"))
    assert campaign.status == "scheduled"
    tick(campaign, utc("2026-11-24T14:00"))
    assert campaign.status == "sending"


def test_it_is_sent_in_its_hours_alone(campaign: Campaign, actor: User) -> None:
    hours = Schedule(time_zone="Europe/Berlin", days=(0, 1, 2, 3, 4), opens=dt.time(9), closes=dt.time(17))
    queue(campaign, actor, hours, now=utc("2026-11-23T06:30"))
    assert campaign.starts_at == utc("2026-11-23T08:00")

    tick(campaign, utc("2026-11-23T08:00"))
    assert is_planned(utc("2026-11-23T08:00"))
    # Also where nobody keeps the hours any more.
    assert is_planned(utc("2026-11-23T15:59:59"))
    assert not is_planned(utc("2026-11-23T16:00"))
    tick(campaign, utc("2026-11-23T16:00"))
    mailing = Mailing.objects.get(pk=campaign.mailing_id)
    assert mailing.waiting_reason == "Outside its sending hours (Mon to Fri 09:00 to 17:00, Europe/Berlin)."
    assert mailing.waiting_until == utc("2026-11-24T08:00")
    assert not is_planned(utc("2026-11-24T07:59:59"))
    assert is_planned(utc("2026-11-24T08:00"))
    assert campaign.status == "sending"


def test_a_pause_keeps_its_own_reason_when_the_hours_end(campaign: Campaign, actor: User) -> None:
    queue(campaign, actor, Schedule(time_zone="UTC", opens=dt.time(11), closes=dt.time(13)))
    tick(campaign, NOW)
    Mailing.objects.update(state="paused", waiting_reason="Too many bounces.")
    states.follow_pauses()

    tick(campaign, NOW + HOUR)

    assert campaign.status == "paused"
    assert Mailing.objects.get().waiting_reason == "Too many bounces."
    assert states.resume(campaign.pk)
    tick(campaign, NOW + HOUR)
    assert Mailing.objects.get().waiting_reason.startswith("Outside its sending hours")
    assert not is_planned(NOW + HOUR)


def test_everybody_gets_it_by_their_own_clock(campaign: Campaign, actor: User) -> None:
    queue(campaign, actor, Schedule("local", wall("2026-11-24T09:00"), "Europe/Berlin"))
    assert campaign.starts_at == utc("2026-11-24T00:00")  # In Tokyo.

    tick(campaign, utc("2026-11-24T00:00"))

    assert outbox.later_starts(campaign.mailing_id or 0) == [(utc("2026-11-24T08:00"), 1), (utc("2026-11-24T14:00"), 1)]
    tick(campaign, utc("2026-11-24T14:00"))
    assert outbox.later_starts(campaign.mailing_id or 0) == []


def test_what_is_left_when_it_must_end_expires_and_says_why(campaign: Campaign, actor: User) -> None:
    queue(campaign, actor, Schedule(time_zone="Europe/Berlin", not_after=wall("2026-11-23T14:00")))
    tick(campaign, NOW)

    assert not is_planned(NOW + HOUR)
    tick(campaign, NOW + HOUR)

    assert statuses(campaign) == {"expired": 3}
    reasons = set(Message.objects.values_list("reason", flat=True))
    assert reasons == {"Not sent: sending stopped at 23 Nov 2026, 14:00 (Berlin)."}

    # By hand it may be sent all the same.
    assert states.retry_failed(campaign.pk, NOW + 2 * HOUR) == 3
    tick(campaign, NOW + 2 * HOUR)
    assert statuses(campaign) == {"queued": 3}
    assert is_planned(NOW + 2 * HOUR)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        (Schedule("at", wall("2026-11-23T11:00"), "UTC"), "The start time is in the past: 23 Nov, 11:00."),
        (Schedule("at", None, "UTC"), "The schedule has no date."),
        (Schedule("local", wall("2026-11-22T09:00"), "UTC"), "The start time is over in every recipient's time zone."),
        (Schedule(not_after=wall("2026-11-23T11:00"), time_zone="UTC"), "start after the time at which sending stops"),
        (
            Schedule("at", wall("2026-11-25T09:00"), "UTC", not_after=wall("2026-11-25T08:00")),
            "start after the time at which sending stops",
        ),
    ],
)
def test_a_time_that_cannot_be_kept_is_refused(campaign: Campaign, actor: User, schedule: Schedule, words: str) -> None:
    [refusal] = queue(campaign, actor, schedule)

    assert words in refusal
    assert campaign.status == "draft"


# --- missed


def missed(campaign: Campaign, actor: User) -> None:
    queue(campaign, actor, Schedule("at", wall("2026-11-23T13:00"), "UTC"))
    tick(campaign, NOW + HOUR + 31 * MINUTE)


def test_a_campaign_that_missed_its_time_asks_instead_of_starting(campaign: Campaign, actor: User) -> None:
    missed(campaign, actor)

    assert (campaign.status, campaign.is_overdue, campaign.mailing_id) == ("scheduled", True, None)
    tick(campaign, NOW + 3 * HOUR)
    assert campaign.status == "scheduled"

    assert campaign_schedule.start_anyway(campaign.pk, NOW + 3 * HOUR) == []
    assert campaign_schedule.start_anyway(campaign.pk, NOW + 3 * HOUR) != []
    tick(campaign, NOW + 3 * HOUR)
    assert (campaign.status, campaign.is_overdue) == ("sending", False)


def test_a_missed_campaign_becomes_a_draft_again(campaign: Campaign, actor: User) -> None:
    missed(campaign, actor)

    assert campaign_schedule.take_back(campaign.pk)
    assert not campaign_schedule.take_back(campaign.pk)

    campaign.refresh_from_db()
    assert (campaign.status, campaign.is_overdue, campaign.starts_at) == ("draft", False, None)


def test_a_few_minutes_are_no_reason_to_ask(campaign: Campaign, actor: User) -> None:
    queue(campaign, actor, Schedule("at", wall("2026-11-23T13:00"), "UTC"))

    tick(campaign, NOW + HOUR + 30 * MINUTE)

    assert campaign.status == "sending"


def test_one_that_was_half_begun_goes_on_however_late(campaign: Campaign, actor: User) -> None:
    queue(campaign, actor, Schedule())
    states._freeze(campaign, NOW)

    tick(campaign, NOW + 5 * HOUR)

    assert campaign.status == "sending"


def test_one_whose_end_has_passed_is_not_started_anyway(campaign: Campaign, actor: User) -> None:
    queue(campaign, actor, Schedule(time_zone="UTC", not_after=wall("2026-11-23T12:10")))
    tick(campaign, NOW + 15 * MINUTE)

    assert campaign.is_overdue
    [refusal] = campaign_schedule.start_anyway(campaign.pk, NOW + 15 * MINUTE)
    assert "is over" in refusal
