"""Numbers, durations and instants as people read them."""

import datetime as dt
import zoneinfo

import pytest

from words.durations import about, measured
from words.instants import moment, when
from words.numbers import counted, none_of, some_of

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 11, 9, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("minutes", "words"),
    [
        (0, "less than a minute"),
        (0.49, "less than a minute"),
        (0.51, "about 1 min"),
        (59.4, "about 59 min"),
        (60, "about 1 h 0 min"),
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
        (NOW + dt.timedelta(hours=11), "10 November, 00:00"),  # In Berlin it is the next day.
        (NOW + dt.timedelta(days=60), "8 January 2027, 13:00"),
    ],
)
def test_an_instant_names_its_day_only_where_it_must(instant: dt.datetime, words: str) -> None:
    assert when(instant, NOW, BERLIN) == words
    assert moment(NOW, BERLIN) == "9 November 2026, 13:00"


def test_numbers_agree_with_their_nouns() -> None:
    assert [counted(number, "message") for number in (0, 1, 2000)] == ["0 messages", "1 message", "2,000 messages"]
    assert [counted(number, "person", "people") for number in (1, 2)] == ["1 person", "2 people"]
    assert [some_of(number, 5, "message") for number in (1, 2)] == ["1 of 5 messages is", "2 of 5 messages are"]
    assert [none_of(total, "message") for total in (1, 5)] == ["the message is not", "none of the 5 messages is"]
