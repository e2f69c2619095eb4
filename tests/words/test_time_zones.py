"""The time zones that this machine knows."""

import zoneinfo

import pytest

from words import time_zones


def test_places_are_offered_and_offsets_are_not() -> None:
    assert {"Europe/Berlin", "America/Argentina/Buenos_Aires"} < set(time_zones.inhabited())
    assert not {"UTC", "EST", "Etc/GMT+1"} & set(time_zones.inhabited())
    assert set(time_zones.names()) == zoneinfo.available_timezones() - {"Factory", "localtime"}
    assert list(time_zones.inhabited()) == sorted(time_zones.inhabited())


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        ("America/New York", "America/New_York"),
        ("utc", "UTC"),
        ("Mars/Base", None),
        ("Factory", None),
        ("localtime", None),
        ("", None),
    ],
)
def test_a_name_is_known_in_any_case_and_with_spaces(typed: str, name: str | None) -> None:
    assert time_zones.spelled(typed) == name
