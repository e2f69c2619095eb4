"""What rooms add to lower rooms: once, under a key of its own, and from every start of the application."""

import pytest
from django.apps import apps

from campaigns.reports.report import LATE_OUTCOMES
from contacts.privacy.erasure import PERSONAL_DATA
from contacts.segments.query import CONDITION_KINDS
from registry import Registry


def test_a_contribution_may_be_added_again_and_no_other_under_its_key() -> None:
    names: Registry[list[int]] = Registry()
    mine = [1]

    names.register("mine", mine)
    names.register("mine", mine)

    assert list(names.items()) == [("mine", mine)]
    with pytest.raises(ValueError, match="mine is registered already"):
        names.register("mine", [1])


def test_a_second_start_adds_nothing() -> None:
    before = [list(registry) for registry in (LATE_OUTCOMES, PERSONAL_DATA, CONDITION_KINDS)]

    for room in ("delivery", "campaigns", "feedback", "publicpages"):
        apps.get_app_config(room).ready()

    assert [list(registry) for registry in (LATE_OUTCOMES, PERSONAL_DATA, CONDITION_KINDS)] == before


def test_what_rooms_hold_about_people_is_erased_from_the_highest_room_down() -> None:
    assert list(PERSONAL_DATA) == ["delivery", "feedback", "publicpages"]
