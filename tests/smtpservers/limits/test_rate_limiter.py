"""What a bucket grants, however it is asked, and how a server is slowed and recovers."""

import datetime as dt
import itertools
import threading
from dataclasses import dataclass
from math import ceil

import pytest
from django.db import connections
from hypothesis import example, given
from hypothesis import strategies as st

from smtpservers.limits import throttling
from smtpservers.limits.rate_limiter import BURST_SECONDS, RECOVERY_EVERY, Allowance, Bucket, effective, factor_at
from smtpservers.models import SmtpServer
from tests.delivery.making import make_server

NOW = dt.datetime(2026, 1, 31, 23, 59, 59, tzinfo=dt.UTC)
HAIR = 1e-6  # What rounding may move an instant by.
# Sleeps between questions: none, a late event loop's, and those of a lane that has nothing to send.
PAUSES = st.one_of(st.just(0.0), st.floats(0, 0.05), st.floats(0, 3), st.sampled_from([1.0, 30.0, 60.0, 90.0]))


@dataclass
class Limits:
    max_connections: int = 10
    rate_limit: int | None = None
    rate_unit: str = "second"
    slow_factor: float = 1.0
    slowed_at: dt.datetime | None = None
    learned_rate: float | None = None


def most_within(grants: list[float], seconds: float) -> int:
    """Return how many grants the fullest window holds, the instant it begins with counted and its last one not."""
    most = first = 0
    for last, instant in enumerate(grants):
        while instant - grants[first] >= seconds - HAIR:
            first += 1
        most = max(most, last - first + 1)
    return most


@given(
    limit=st.integers(1, 500),
    unit=st.sampled_from(["second", "minute"]),
    pauses=st.lists(PAUSES, max_size=30),
    started=st.floats(0, 1e7),
)
@example(limit=14, unit="second", pauses=[0.0], started=0.0)
@example(limit=1, unit="minute", pauses=[59.9, 0.2, 59.9, 0.2], started=0.0)
def test_no_window_holds_more_than_the_limit(limit: int, unit: str, pauses: list[float], started: float) -> None:
    bucket, now, grants = (
        Bucket(effective(Limits(rate_limit=limit, rate_unit=unit), NOW).per_second, started),
        started,
        [],
    )

    for pause in pauses:
        now += pause
        for _ in range(40):  # As fast as it can, for as long as it lasts.
            if bucket.take(now):
                grants.append(now)
            else:
                now += bucket.wait(now) / 2

    assert most_within(grants, {"second": 1, "minute": 60}[unit]) <= limit


@given(
    rates=st.lists(st.one_of(st.floats(0.01, 300), st.none()), min_size=2, max_size=8),
    pauses=st.lists(PAUSES, min_size=1, max_size=8),
)
def test_changing_the_rate_grants_no_more_than_the_fastest_would(
    rates: list[float | None], pauses: list[float]
) -> None:
    fastest = max((rate for rate in rates if rate), default=1.0)
    bucket, now, grants = Bucket(fastest, 0.0), 0.0, []

    for rate, pause in zip(rates, itertools.cycle(pauses), strict=False):
        bucket.set_rate(rate, now)
        now += pause
        if rate is None:
            assert bucket.take(now)  # Unlimited, and not counted below.
            continue
        for _ in range(50):
            if bucket.take(now):
                grants.append(now)
            now += bucket.wait(now) / 3

    for seconds in (1, 60):
        assert most_within(grants, seconds) <= ceil((seconds + BURST_SECONDS) * fastest)


@given(rate=st.floats(0.01, 5000), now=st.floats(0, 1e8), idle=st.floats(0, 100))
def test_who_waits_as_long_as_told_is_granted_one(rate: float, now: float, idle: float) -> None:
    bucket = Bucket(rate, now, idle=idle)

    for _ in range(20):
        now += bucket.wait(now)
        assert bucket.wait(now) == 0
        assert bucket.take(now)


@given(handed_over=st.lists(st.floats(0.001, 2), min_size=1, max_size=6))
def test_lanes_that_change_hands_keep_the_limit_together(handed_over: list[float]) -> None:
    rate, now, grants = effective(Limits(rate_limit=10), NOW).per_second, 0.0, []

    for held in handed_over:
        bucket, end = Bucket(rate, now), now + held
        while now < end:
            if bucket.take(now):
                grants.append(now)
            now += bucket.wait(now) or 0.01

    assert most_within(grants, 1) <= 10


def test_a_steady_sender_gets_its_rate_though_it_wakes_late() -> None:
    bucket, now, granted = Bucket(effective(Limits(rate_limit=100), NOW).per_second, 0.0), 0.0, 0

    while now < 60:
        granted += bucket.take(now)
        if (wait := bucket.wait(now)) > 0:
            now += wait + 0.01

    assert 0.97 * 6000 < granted <= 6000


def test_a_new_bucket_is_empty_and_time_that_nobody_sent_in_counts() -> None:
    assert Bucket(1 / 60, 1000.0).wait(1000.0) == pytest.approx(60)
    assert Bucket(1 / 60, 1000.0, idle=45).wait(1000.0) == pytest.approx(15)
    assert Bucket(None, 1000.0).take(1000.0)
    after_long = Bucket(10, 1000.0, idle=3600)
    assert [after_long.take(1000.0) for _ in range(3)] == [True, False, False]


def test_a_rate_that_grants_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="a rate of 0 messages a second grants nothing"):
        Bucket(0, 1.0)


@pytest.mark.parametrize(
    ("limits", "connections", "per_second"),
    [
        (Limits(), 10, None),
        (Limits(rate_limit=0), 10, None),
        (Limits(rate_limit=14), 10, 14 / 1.025),
        (Limits(rate_limit=30, rate_unit="minute"), 10, 30 / 60.025),
        (Limits(slow_factor=0.5, slowed_at=NOW), 5, None),
        (Limits(slow_factor=0.5, slowed_at=NOW, rate_limit=14), 5, 7 / 1.025),
        (Limits(slow_factor=0.5, slowed_at=NOW, learned_rate=80.0), 5, 40.0),
        (Limits(slow_factor=0.5, slowed_at=NOW - RECOVERY_EVERY * 2, learned_rate=80.0), 7, 56.0),
        (Limits(slow_factor=0.5, slowed_at=NOW - RECOVERY_EVERY * 5, learned_rate=80.0), 10, None),
        (Limits(max_connections=1, slow_factor=0.25, slowed_at=NOW), 1, None),
    ],
)
def test_what_a_lane_may_do(limits: Limits, connections: int, per_second: float | None) -> None:
    assert effective(limits, NOW) == Allowance(connections, pytest.approx(per_second) if per_second else None)


def test_a_server_recovers_a_tenth_for_each_ten_clean_minutes() -> None:
    minutes = [-5, 0, 9, 10, 25, 50, 5000]

    factors = [factor_at(0.5, NOW, NOW + dt.timedelta(minutes=minute)) for minute in minutes]

    assert factors == pytest.approx([0.5, 0.5, 0.5, 0.6, 0.7, 1, 1])


@pytest.mark.django_db
def test_each_slowing_halves_once_and_is_taken_of_what_has_recovered() -> None:
    server = make_server(25, max_connections=8)

    at_once = [throttling.slow_down(server.pk, NOW, sent_per_second=lambda: 200.0) for _ in range(3)]
    later = throttling.slow_down(server.pk, NOW + throttling.SETTLING, sent_per_second=lambda: 90.0)

    server.refresh_from_db()
    assert (at_once, later) == ([True, False, False], True)
    # The rate it first complained of stays what the factor is taken of.
    assert effective(server, NOW + throttling.SETTLING) == Allowance(2, 50.0)
    assert effective(server, NOW + dt.timedelta(days=1)) == Allowance(8, None)


@pytest.mark.django_db(transaction=True)
def test_workers_that_hear_the_same_complaint_slow_the_server_once() -> None:
    server = make_server(25)
    begin, slowed = threading.Barrier(8), []

    def hear() -> None:
        begin.wait(20)
        slowed.append(throttling.slow_down(server.pk, NOW))
        connections.close_all()

    workers = [threading.Thread(target=hear) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)

    server.refresh_from_db()
    assert (sorted(slowed), server.slow_factor) == ([False] * 7 + [True], 0.5)


@pytest.mark.django_db
def test_a_server_is_never_slowed_to_nothing_and_a_person_may_end_it() -> None:
    server = make_server(25, max_connections=3)
    for number in range(20):
        assert throttling.slow_down(server.pk, NOW + number * throttling.SETTLING, sent_per_second=lambda: 64.0)

    server.refresh_from_db()
    assert effective(server, NOW) == Allowance(1, 1.0)
    assert throttling.reset(server.pk)
    assert not throttling.reset(server.pk)
    assert effective(SmtpServer.objects.get(), NOW) == Allowance(3, None)
    assert not throttling.slow_down(server.pk + 1, NOW)
