"""When a campaign may begin and send: clocks that jump, windows over midnight, zones nobody knows."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from campaigns.schedule.rules import Hours, groups, instant, is_late, starts_by_zone, zone_of

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
SANTIAGO, LORD_HOWE, APIA = (
    ZoneInfo("America/Santiago"),
    ZoneInfo("Australia/Lord_Howe"),
    ZoneInfo("Pacific/Apia"),
)
NINE, FIVE = dt.time(9), dt.time(17)
SATURDAY, SUNDAY = frozenset([5]), frozenset([6])


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("wall", "zone", "expected"),
    [
        ("2026-11-24T09:00", BERLIN, "2026-11-24T08:00"),
        ("2026-07-01T09:00", BERLIN, "2026-07-01T07:00"),
        (
            "2026-03-29T02:30",
            BERLIN,
            "2026-03-29T01:00",
        ),  # Skipped: at 02:00 it is 03:00.
        ("2026-03-29T02:00", BERLIN, "2026-03-29T01:00"),
        ("2026-03-29T03:00", BERLIN, "2026-03-29T01:00"),
        ("2026-10-25T02:30", BERLIN, "2026-10-25T00:30"),  # Shown twice: the first.
        ("2026-03-08T02:30", NEW_YORK, "2026-03-08T07:00"),
        ("2026-11-01T01:30", NEW_YORK, "2026-11-01T05:30"),
        (
            "2026-09-06T00:00",
            SANTIAGO,
            "2026-09-06T04:00",
        ),  # Midnight itself is skipped.
        ("2026-10-04T02:15", LORD_HOWE, "2026-10-03T15:30"),  # By half an hour.
        ("2011-12-30T12:00", APIA, "2011-12-30T10:00"),  # A whole day is.
    ],
)
def test_a_wall_clock_names_one_instant(wall: str, zone: ZoneInfo, expected: str) -> None:
    assert instant(dt.datetime.fromisoformat(wall), zone) == utc(expected)


WEEKDAYS = frozenset(range(5))


@pytest.mark.parametrize(
    ("hours", "now", "opens", "closes"),
    [
        (Hours(BERLIN, WEEKDAYS, NINE, FIVE), "2026-11-23T07:59", "2026-11-23T08:00", "2026-11-23T16:00"),
        (Hours(BERLIN, WEEKDAYS, NINE, FIVE), "2026-11-23T08:00", "2026-11-23T08:00", "2026-11-23T16:00"),
        (Hours(BERLIN, WEEKDAYS, NINE, FIVE), "2026-11-23T16:00", "2026-11-24T08:00", "2026-11-24T16:00"),
        (Hours(BERLIN, WEEKDAYS, NINE, FIVE), "2026-11-27T18:00", "2026-11-30T08:00", "2026-11-30T16:00"),
        # Over midnight: Saturday's window reaches into Sunday.
        (Hours(BERLIN, SATURDAY, dt.time(22), dt.time(2)), "2026-11-29T00:30", "2026-11-28T21:00", "2026-11-29T01:00"),
        (Hours(BERLIN, SATURDAY, dt.time(22), dt.time(2)), "2026-11-29T01:00", "2026-12-05T21:00", "2026-12-06T01:00"),
        # Whole days that touch are one window.
        (Hours(BERLIN, WEEKDAYS), "2026-11-25T12:00", "2026-11-23T23:00", "2026-11-27T23:00"),
        # The clock is put forward within it, and back.
        (Hours(BERLIN, SUNDAY, dt.time(1), dt.time(4)), "2026-03-29T00:30", "2026-03-29T00:00", "2026-03-29T02:00"),
        (Hours(BERLIN, SUNDAY, dt.time(1), dt.time(4)), "2026-10-25T00:30", "2026-10-24T23:00", "2026-10-25T03:00"),
        # It lies in what is skipped, and comes a week later.
        (
            Hours(BERLIN, SUNDAY, dt.time(2, 10), dt.time(2, 50)),
            "2026-03-28T12:00",
            "2026-04-05T00:10",
            "2026-04-05T00:50",
        ),
    ],
)
def test_a_window_opens_and_closes_by_the_clock_of_its_zone(hours: Hours, now: str, opens: str, closes: str) -> None:
    window = hours.window(utc(now))

    if hours == Hours(BERLIN, WEEKDAYS):  # Its beginning lies in the past, where nobody asks for it to the day.
        assert window.opens_at <= utc(now)
    else:
        assert window.opens_at == utc(opens)
    assert window.closes_at == utc(closes)


def test_hours_that_close_nothing_have_no_end() -> None:
    window = Hours(BERLIN, frozenset(range(7))).window(utc("2026-11-23T12:00"))

    assert (window.opens_at, window.closes_at) == (utc("2026-11-23T12:00"), None)


def test_everybody_gets_it_when_their_own_clock_shows_the_time() -> None:
    starts = starts_by_zone(
        dt.datetime.fromisoformat("2026-11-24T09:00"),
        ["Asia/Tokyo", "", "Mars/Olympus", "America/New_York"],
        BERLIN,
    )

    assert starts == {
        "Asia/Tokyo": utc("2026-11-24T00:00"),
        "": utc("2026-11-24T08:00"),
        "Mars/Olympus": utc("2026-11-24T08:00"),
        "America/New_York": utc("2026-11-24T14:00"),
    }
    assert set(groups(starts, utc("2026-11-24T08:00"))) == {"America/New_York"}


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "x" * 300, "", "\0"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_of(name) is None


def test_a_start_is_late_only_after_the_patience() -> None:
    due, patience = utc("2026-11-23T12:00"), dt.timedelta(minutes=30)

    assert not is_late(due, due + patience, patience)
    assert is_late(due, due + patience + dt.timedelta(seconds=1), patience)


@pytest.mark.parametrize(
    ("hours", "words"),
    [
        (
            Hours(BERLIN, WEEKDAYS, NINE, FIVE),
            "Mon to Fri 09:00 to 17:00, Europe/Berlin",
        ),
        (
            Hours(BERLIN, frozenset([0, 2]), NINE, FIVE),
            "Mon, Wed 09:00 to 17:00, Europe/Berlin",
        ),
        (
            Hours(BERLIN, frozenset(), NINE, FIVE),
            "every day 09:00 to 17:00, Europe/Berlin",
        ),
        (Hours(BERLIN, WEEKDAYS), "Mon to Fri, Europe/Berlin"),
    ],
)
def test_hours_are_told_in_words(hours: Hours, words: str) -> None:
    assert str(hours) == words
