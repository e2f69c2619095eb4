"""What takes long to count is kept for a while, for the same audience alone."""

import datetime as dt
import time

import pytest

from campaigns import headcounts
from contacts import reaching
from contacts.models import ContactList
from contacts.reaching import Audience

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


def test_a_long_count_is_kept_for_the_same_audience_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Audience] = []

    def long(audience: Audience, now: dt.datetime) -> int:
        asked.append(audience)
        clock[0] += 5.0
        return len(asked)

    clock = [0.0]
    monkeypatch.setattr(headcounts, "count", long)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    one, other = Audience(lists=(1,)), Audience(lists=(1,), excluded_lists=(2,))

    found = [headcounts.headcount(each, NOW) for each in (one, one, other, one, other)]

    assert found == [1, 1, 2, 1, 2]
    assert headcounts.counted_once("people", one, lambda: "routed", also="rules") == "routed"


def test_a_short_count_is_always_fresh(news: ContactList) -> None:
    audience = Audience(lists=(news.pk,))
    before = headcounts.headcount(audience, NOW).reached

    news.subscriptions.all().delete()

    assert (before, headcounts.headcount(audience, NOW).reached) == (3, 0)
    assert reaching.count(audience, NOW).reached == 0
