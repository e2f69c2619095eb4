"""What takes long to count is counted by a worker alone, and kept for a while for the same audience."""

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from campaigns.audience import headcounts
from campaigns.audience.headcounts import Headcounts, NotCounted, headcount, patiently
from campaigns.models import Headcount
from contacts.models import Contact, ContactList, Segment
from contacts.segments.audience import Audience
from delivery import clock

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
EVERYBODY = {"match": "all", "conditions": []}


@pytest.fixture
def audience(news: ContactList, monkeypatch: pytest.MonkeyPatch) -> Audience:
    """Three people, who are many here."""
    monkeypatch.setattr(headcounts, "LARGE", 2)
    return Audience(lists=(news.pk,))


def test_a_large_audience_is_counted_by_a_worker_alone(audience: Audience) -> None:
    with pytest.raises(NotCounted, match="people of a large audience"):
        headcount(audience, NOW)

    with patiently():
        counted = headcount(audience, NOW)

    assert counted.reached == 3
    assert headcount(audience, NOW) == counted


def test_a_number_is_kept_for_the_same_question_alone(
    audience: Audience, news: ContactList, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Audience(lists=(news.pk,), excluded_lists=(news.pk,))
    with patiently():
        headcount(audience, NOW)
    news.subscriptions.all().delete()
    monkeypatch.setattr(headcounts, "LARGE", -1)  # Also an empty list is large.

    assert headcount(audience, NOW).reached == 3
    for what, whom, also in (("people", other, ""), ("zones", audience, ""), ("people", audience, "rules")):
        with pytest.raises(NotCounted):
            Headcounts(whom).once(what, NOW, lambda: 0, also=also)


@pytest.mark.parametrize("off", [-dt.timedelta(minutes=10, seconds=1), dt.timedelta(minutes=11), dt.timedelta(days=1)])
def test_a_number_that_is_old_or_of_a_wrong_clock_counts_for_nothing(audience: Audience, off: dt.timedelta) -> None:
    with patiently():
        headcount(audience, NOW)
    Headcount.objects.update(counted_at=clock.now() + off)

    with pytest.raises(NotCounted):
        headcount(audience, NOW)


def test_one_request_counts_a_number_once_for_each_instant(
    news: ContactList, django_assert_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    headcounts_of_request = Headcounts(Audience(lists=(news.pk,)))
    headcounts_of_request.people(NOW)
    Contact.objects.filter(first_name="Ann").update(paused_until=NOW + dt.timedelta(hours=1))

    with django_assert_num_queries(0):
        again = headcounts_of_request.people(NOW).reached
    later = [headcounts_of_request.people(NOW + dt.timedelta(hours=hours)).reached for hours in (0.5, 2)]

    assert (again, later) == (3, [2, 3])
    assert headcounts_of_request.once("people", NOW, lambda: 7, also="others") == 7


def test_a_small_audience_is_always_fresh(news: ContactList) -> None:
    audience = Audience(lists=(news.pk,))
    before = headcount(audience, NOW).reached

    news.subscriptions.all().delete()

    assert (before, headcount(audience, NOW).reached) == (3, 0)
    assert not Headcount.objects.exists()


@pytest.mark.parametrize(
    ("parts", "most", "is_large"),
    [
        (("lists",), 3, False),
        (("lists",), 2, True),
        (("excluded_lists",), 2, True),
        (("lists", "excluded_lists"), 2, True),
        (("segments",), 5, False),  # Every contact is looked at, on a list or not.
        (("segments",), 2, True),
        (("excluded_segments",), 2, True),
        ((), 0, False),
    ],
)
def test_an_audience_is_as_large_as_what_must_be_looked_through(
    news: ContactList, monkeypatch: pytest.MonkeyPatch, parts: tuple[str, ...], most: int, is_large: bool
) -> None:
    monkeypatch.setattr(headcounts, "LARGE", most)
    segment = Segment.objects.create(name="All", conditions=EVERYBODY)
    chosen = {part: (news.pk,) if part.endswith("lists") else (segment.conditions,) for part in parts}

    assert Headcounts(Audience(**chosen)).is_large == is_large
