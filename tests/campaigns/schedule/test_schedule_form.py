"""What is typed into the form of a schedule is a clock on the wall, and the chosen zone says on which."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from campaigns.schedule import schedule

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("site", "zone", "typed", "starts_at"),
    [
        # The site's clocks skip or repeat the time; another zone was chosen, whose clocks show it once.
        ("Europe/Berlin", "UTC", "2027-03-28T02:30", "2027-03-28T02:30"),
        ("Europe/Berlin", "America/New_York", "2027-03-28T02:30", "2027-03-28T06:30"),
        ("Europe/Berlin", "UTC", "2027-10-31T02:30", "2027-10-31T02:30"),
        ("America/New_York", "Europe/Berlin", "2027-03-14T02:30", "2027-03-14T01:30"),
        ("Australia/Lord_Howe", "Europe/Berlin", "2027-10-03T02:15", "2027-10-03T00:15"),
        # The chosen zone's own: the instant of the jump, and the first of the two.
        ("UTC", "Europe/Berlin", "2027-03-28T02:30", "2027-03-28T01:00"),
        ("Europe/Berlin", "", "2027-03-28T02:30", "2027-03-28T01:00"),
        ("Europe/Berlin", "Europe/Berlin", "2027-10-31T02:30", "2027-10-31T00:30"),
    ],
)
def test_the_form_asks_the_chosen_clock_and_not_the_sites(
    campaign: Campaign, marketer: Client, settings: Any, site: str, zone: str, typed: str, starts_at: str
) -> None:
    settings.TIME_ZONE = site
    form = {"start": "at", "wall": typed, "time_zone": zone, "not_after": typed.replace("T02", "T05")}

    answer = marketer.post(f"/campaigns/{campaign.pk}/schedule/", form)

    assert answer.status_code == 302
    campaign.refresh_from_db()
    assert campaign.start_wall == typed
    assert schedule.begins_at(campaign, NOW) == dt.datetime.fromisoformat(f"{starts_at}Z")
    assert campaign.not_after is not None
    page = marketer.get(f"/campaigns/{campaign.pk}/review/").content.decode()
    assert f'value="{typed}"' in page
    assert f'value="{form["not_after"]}"' in page


@pytest.mark.parametrize(
    "late",
    [
        {"start": "at", "start_wall": "2026-11-23T11:58", "time_zone": "UTC"},
        {"status": "scheduled", "starts_at": NOW - dt.timedelta(minutes=2)},
    ],
)
def test_what_should_have_begun_begins_now_and_not_in_the_past(campaign: Campaign, late: dict[str, Any]) -> None:
    for name, value in late.items():
        setattr(campaign, name, value)

    assert schedule.begins_at(campaign, NOW) == NOW


@pytest.mark.parametrize("typed", ["", "tomorrow", "2027-02-30T10:00", "2027-03-28T25:00"])
def test_a_time_that_no_clock_shows_is_refused(campaign: Campaign, marketer: Client, typed: str) -> None:
    answer = marketer.post(f"/campaigns/{campaign.pk}/schedule/", {"start": "at", "wall": typed, "time_zone": "UTC"})

    assert answer.status_code == 422
    campaign.refresh_from_db()
    assert campaign.start_wall == ""


def typed_ago(zone: str, ago: dt.timedelta) -> str:
    """What the clocks of the zone showed so long ago."""
    return f"{timezone.now().astimezone(ZoneInfo(zone)) - ago:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("start", ["at", "local"])
@pytest.mark.parametrize("typed", ["1900-01-01T00:00", "2020-02-29T10:00", "2025-11-30T10:00"])
def test_a_start_in_the_past_is_refused_beside_its_field(
    campaign: Campaign, marketer: Client, start: str, typed: str
) -> None:
    form = {"start": start, "wall": typed, "time_zone": "Asia/Tokyo"}

    answer = marketer.post(f"/campaigns/{campaign.pk}/schedule/", form)

    assert answer.status_code == 422
    assert "This time is " in answer.content.decode()
    assert "Choose a later date and time." in answer.content.decode()
    campaign.refresh_from_db()
    assert (campaign.start, campaign.start_wall) == ("now", "")


@pytest.mark.parametrize(
    ("zone", "minutes", "status"),
    [("Asia/Tokyo", 3, 302), ("America/New_York", 3, 302), ("Asia/Tokyo", 8, 422), ("America/New_York", 8, 422)],
)
def test_a_few_minutes_are_forgiven_by_the_clock_of_the_chosen_zone(
    campaign: Campaign, marketer: Client, settings: Any, zone: str, minutes: int, status: int
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    form = {"start": "at", "wall": typed_ago(zone, dt.timedelta(minutes=minutes)), "time_zone": zone}

    answer = marketer.post(f"/campaigns/{campaign.pk}/schedule/", form)

    assert answer.status_code == status


def test_a_local_start_may_be_over_somewhere_but_not_everywhere(campaign: Campaign, marketer: Client) -> None:
    wall = typed_ago("UTC", dt.timedelta(hours=1))
    form = {"start": "local", "wall": wall, "time_zone": "UTC"}

    assert marketer.post(f"/campaigns/{campaign.pk}/schedule/", form).status_code == 302


@pytest.mark.parametrize("field", ["wall", "not_after"])
@pytest.mark.parametrize("typed", ["0001-01-01T00:00", "9999-12-31T23:59", "3000-01-01T00:00"])
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_the_ends_of_the_calendar_are_refused_and_break_no_page(
    campaign: Campaign, marketer: Client, field: str, typed: str, zone: str
) -> None:
    form = {"start": "at", "wall": "2999-12-31T23:59", "time_zone": zone} | {field: typed}

    answer = marketer.post(f"/campaigns/{campaign.pk}/schedule/", form)

    assert answer.status_code == 422
    assert "Choose a year from 1900 to 2999." in answer.content.decode()


@pytest.mark.parametrize("start", ["at", "local"])
def test_the_last_start_that_can_be_chosen_is_shown(campaign: Campaign, marketer: Client, start: str) -> None:
    form = {"start": start, "wall": "2999-12-31T23:59", "time_zone": "America/New_York"}

    assert marketer.post(f"/campaigns/{campaign.pk}/schedule/", form, follow=True).status_code == 200
