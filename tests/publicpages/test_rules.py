"""Colours that can be read, and counts that several web processes share."""

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from contacts.models import ConsentEvent, ContactList, Subscription
from publicpages.appearance import contrast
from publicpages.models import RequestCount, SignUp
from publicpages.subscriptions import rate_limit, subscribe

NOW = dt.datetime(2026, 11, 30, 23, 59, 59, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("#000000", "#ffffff", 21), ("#ffffff", "#ffffff", 1), ("#767676", "#ffffff", 4.54), ("#777777", "#ffffff", 4.48)],
)
def test_contrast_is_that_of_wcag(one: str, other: str, expected: float) -> None:
    assert contrast.contrast(one, other) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("accent", ["#7e22ce", "#000000", "#0a5c36", "#1f2430", "#0000ff", "#767676"])
def test_every_accent_that_is_taken_can_be_read_in_the_dark_too(accent: str) -> None:
    assert contrast.check_accent(accent.upper()) == accent
    assert contrast.contrast(contrast.for_dark(accent), contrast.DARK_PAPER) >= contrast.LEAST_CONTRAST


@pytest.mark.parametrize("text", ["#777777", "#fff", "", "#12345", "#gggggg", "rebeccapurple", "#000000;}"])
def test_other_colours_are_refused(text: str) -> None:
    with pytest.raises(contrast.ColourInvalid, match=r"choose a darker colour|Write the colour as"):
        contrast.check_accent(text)


@pytest.mark.django_db
def test_a_limit_holds_for_each_purpose_origin_and_window() -> None:
    def take(purpose: str = "network", about: str = "203.0.113.0/24", now: dt.datetime = NOW) -> bool:
        return rate_limit.take(purpose, about, 2, HOUR, now)

    assert [take() for _ in range(3)] == [True, True, False]
    assert take(about="198.51.100.0/24")
    assert take(purpose="address")
    assert take(now=NOW + dt.timedelta(seconds=1))  # The next hour.


@pytest.mark.django_db
def test_counts_of_windows_that_are_over_are_forgotten() -> None:
    rate_limit.take("network", "a", 1, HOUR, NOW)
    rate_limit.take("network", "b", 1, HOUR, NOW + dt.timedelta(days=3))

    rate_limit.delete_past_windows(NOW + dt.timedelta(days=3))

    assert RequestCount.objects.count() == 1


# --- at once


def at_once(number: int, act: Callable[[], Any]) -> list[Any]:
    """Run something in threads that start together."""
    gate = threading.Barrier(number)

    def run(_: int) -> Any:
        try:
            gate.wait(timeout=10)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(run, range(number)))


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_processes_that_count_at_once_grant_the_limit_and_no_more() -> None:
    granted = at_once(8, lambda: [rate_limit.take("network", "a", 5, HOUR, NOW) for _ in range(5)])

    assert sum(map(sum, granted)) == 5


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_clicks_on_a_confirmation_at_once_confirm_it_once() -> None:
    club = ContactList.objects.create(name="Club", opt_in="double", is_public=True)
    choices = [{"list": club.pk, "wording": "Yes."}]
    for number in range(5):
        entry = SignUp.objects.create(
            email=f"ann{number}@example.com", language="en", choices=choices, channel="page", received_at=NOW
        )
        assert at_once(3, lambda: subscribe.process_waiting("The Club", NOW)).count(1) == 1
        link = subscribe.confirm_url(entry.pk).rpartition("/")[2]
        found = subscribe.find(link, NOW)
        assert found is not None

        confirmed = at_once(4, lambda found=found: subscribe.confirm(found, [], "203.0.113.9", NOW))

        assert (confirmed.count(["Club"]), confirmed.count(None)) == (1, 3)
    assert ConsentEvent.objects.filter(method="confirmation").count() == 5
    assert set(Subscription.objects.values_list("status", flat=True)) == {"subscribed"}
