"""Numbers, durations and instants as people read them."""

import datetime as dt
import zoneinfo

import pytest

from words.durations import about, measured
from words.instants import ago, ahead, on_clock, stamp, when
from words.numbers import counted, percent, percentage
from words.texts import utc

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 11, 9, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "under a minute"),
        (0.49, "under a minute"),
        (0.51, "1 min"),
        (59.4, "59 min"),
        (60, "about 1 h"),
        (182, "about 3 h 2 min"),
        (48 * 60 - 1, "about 47 h 59 min"),
        (48 * 60, "about 2 days"),
        (9 * 1440, "about 9 days"),
    ],
)
def test_an_estimate_is_no_finer_than_it_is_known(minutes: float, words: str) -> None:
    assert about(dt.timedelta(minutes=minutes)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 seconds"),
        (1, "1 second"),
        (60, "1 minute"),
        (61, "61 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (3600, "1 hour"),
        (5400, "90 minutes"),
        (86_400, "1 day"),
        (3 * 86_400, "3 days"),
    ],
)
def test_a_measured_length_is_told_in_its_largest_whole_unit(seconds: int, words: str) -> None:
    assert measured(dt.timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        (NOW, "13:00"),
        (NOW + dt.timedelta(hours=11), "10 Nov, 00:00"),  # In Berlin it is the next day.
        (NOW + dt.timedelta(days=60), "8 Jan 2027, 13:00"),
    ],
)
def test_an_instant_names_its_day_only_where_it_must(instant: dt.datetime, words: str) -> None:
    assert when(instant, NOW, BERLIN) == words


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        (dt.timedelta(seconds=59), "Just now"),
        (dt.timedelta(seconds=-5), "Just now"),  # Clocks differ.
        (dt.timedelta(seconds=60), "1 min ago"),
        (dt.timedelta(minutes=59, seconds=59), "59 min ago"),
        (dt.timedelta(hours=1), "1 h ago"),
        (dt.timedelta(hours=23, minutes=59), "23 h ago"),
        (dt.timedelta(hours=24), "8 Nov, 13:00"),
        (dt.timedelta(days=365), "9 Nov 2025, 13:00"),
    ],
)
def test_what_happened_within_a_day_is_told_from_now(passed: dt.timedelta, words: str) -> None:
    assert ago(NOW - passed, NOW, BERLIN) == words


def test_a_stamp_names_the_year_on_the_clock_of_the_zone() -> None:
    new_year = dt.datetime(2026, 12, 31, 23, 30, tzinfo=dt.UTC)

    assert stamp(new_year, NOW, BERLIN) == "1 Jan 2027, 00:30"
    assert stamp(new_year, NOW, dt.UTC) == "31 Dec, 23:30"


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [
        *((0, 0, "0%"), (0, 500, "0%"), (1, 500, "<1%"), (5, 500, "1%"), (499, 500, "99%"), (500, 500, "100%")),
        *((7, 9, "78%"), (1, 8, "13%"), (3, 8, "38%"), (12, 9, "133%"), (2_999_999, 3_000_000, "99%")),
    ],
)
def test_a_part_is_rounded_half_up_and_only_the_whole_is_a_hundred_percent(part: int, whole: int, words: str) -> None:
    assert percent(part, whole) == words
    assert words == "<1%" or percentage(part, whole) == int(words.removesuffix("%"))


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 9, "0.0%"), (1, 2000, "<0.1%"), (1, 800, "0.1%"), (7, 9, "77.8%"), (2999, 3000, "99.9%"), (9, 9, "100.0%")],
)
def test_small_differences_have_a_decimal_place(part: int, whole: int, words: str) -> None:
    assert percent(part, whole, 1) == words


def test_numbers_agree_with_their_nouns() -> None:
    assert [counted(number, "message") for number in (0, 1, 2000)] == ["0 messages", "1 message", "2,000 messages"]
    assert [counted(number, "person", "people") for number in (1, 2)] == ["1 person", "2 people"]


def test_instants_in_a_stored_text_are_shown_on_the_clock_of_the_reader() -> None:
    stored = f"Alpha is paused until {utc(NOW + dt.timedelta(hours=3))}, Beta until {utc(NOW.replace(year=2027))}."

    assert stored == "Alpha is paused until 09 November 2026 15:00 UTC, Beta until 09 November 2027 12:00 UTC."
    assert on_clock(stored, NOW, BERLIN) == "Alpha is paused until 9 Nov, 16:00, Beta until 9 Nov 2027, 13:00."
    for wrong in (
        "Until 31 June 2026 10:00 UTC.",
        "Until 31 December 9999 23:30 UTC.",
        "Until 01 June 2026 99:00 UTC.",
    ):
        assert on_clock(wrong, NOW, BERLIN) == wrong


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(40, "9 Nov, 14:05:40"), (119, "9 Nov, 14:06:59"), (120, "9 Nov, 14:07"), (-3, "9 Nov, 14:04:57")],
)
def test_a_short_wait_shows_its_seconds(seconds: int, shown: str) -> None:
    now = dt.datetime(2026, 11, 9, 14, 5, tzinfo=dt.UTC)

    assert ahead(now + dt.timedelta(seconds=seconds), now, dt.UTC) == shown
