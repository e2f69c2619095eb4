"""The forecast as a plain function: who carries how much, what runs dry, what waits, and what it costs to ask."""

import datetime as dt
import time
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from campaigns.forecast.forecast import Forecast, ForecastWork, forecast
from campaigns.forecast.inputs import speed_of
from campaigns.forecast.simulation import ASSUMED, LEAST_USED, ORDER, WEIGHTED, MailingPart, ServerState
from campaigns.schedule.rules import Hours

START = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
BERLIN = ZoneInfo("Europe/Berlin")
OFFICE_HOURS = Hours(BERLIN, frozenset(range(5)), dt.time(9), dt.time(17))


def alpha(**fields: object) -> ServerState:
    return ServerState(1, "Alpha", **({"per_second": 10.0} | fields))  # type: ignore[arg-type]


def beta(**fields: object) -> ServerState:
    return ServerState(2, "Beta", **({"per_second": 5.0} | fields))  # type: ignore[arg-type]


def run(fleet: list[ServerState], *parts: MailingPart) -> Forecast:
    return forecast(fleet, ForecastWork(parts), START)


def carried(found: Forecast) -> dict[str, int]:
    return {line.name: line.messages for line in found.lines}


def seconds(found: Forecast) -> float:
    assert found.duration is not None
    return found.duration.total_seconds()


def test_the_next_server_takes_over_where_a_quota_ends() -> None:
    found = run([alpha(quota=1000, taken=400), beta()], MailingPart(2000, (1, 2)))

    assert carried(found) == {"Alpha": 600, "Beta": 1400}
    assert seconds(found) == pytest.approx(60 + 280, rel=0.01)
    line = found.lines[0]
    assert line.dry_at is not None
    assert (line.dry_at - START).total_seconds() == pytest.approx(60, rel=0.02)
    assert line.again_at == dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
    assert (found.left, found.next_period, found.is_complete) == (0, 0, True)


@pytest.mark.parametrize("servers", [(1,), (1, 2)])
def test_the_servers_carry_all_that_is_sent_though_each_part_leaves_a_fraction_over(servers: tuple[int, ...]) -> None:
    """A step may end a third of a message before the end of a part."""
    later = START + dt.timedelta(hours=4)
    for size in range(30, 60):
        parts = [MailingPart(size // 5, servers), MailingPart(size // 5 + 1, servers)]
        rest = MailingPart(size, servers, starts=((later, size),))
        for speed in (0.7, 3.3, 10.0):
            found = run([alpha(per_second=speed, rests_until=None), beta(per_second=speed / 3)], *parts, rest)
            assert sum(carried(found).values()) == found.total - found.left == sum(p.count for p in (*parts, rest))


def test_what_finds_no_room_waits_for_the_next_period_of_the_servers_own_zone() -> None:
    santiago = ZoneInfo("America/Santiago")
    found = run([alpha(quota=1000, taken=400, month_start_day=28, zone=santiago)], MailingPart(1500, (1,)))

    assert found.next_period == 900
    assert found.finishes_at == dt.datetime(2026, 11, 28, 3, 1, 30, tzinfo=dt.UTC)  # And 90 seconds.


@pytest.mark.parametrize(
    ("strategy", "fleet", "count", "expected", "lasts"),
    [
        (WEIGHTED, [alpha(weight=3), beta(weight=1)], 4000, {"Alpha": 3000, "Beta": 1000}, 300),
        # The fast one waits for the slow one beyond its part of what is shared out at once.
        (WEIGHTED, [alpha(weight=3), beta(weight=1, per_second=1)], 40_000, {"Alpha": 30_000, "Beta": 10_000}, 10_000),
        # For one that its provider slows down nobody waits.
        (WEIGHTED, [alpha(), beta(per_second=1, is_slowed=True)], 11_000, {"Alpha": 10_000, "Beta": 1_000}, 1_000),
        # One runs dry, and the other takes its part.
        (WEIGHTED, [alpha(quota=600), beta()], 2000, {"Alpha": 600, "Beta": 1400}, 280),
        (LEAST_USED, [alpha(quota=1000, taken=400), beta(quota=5000)], 3000, {"Alpha": 167, "Beta": 2833}, 567),
        # Who has no quota comes when the others have no room.
        (LEAST_USED, [alpha(quota=600), beta()], 2000, {"Alpha": 600, "Beta": 1400}, 280),
        (ORDER, [alpha(), beta()], 2000, {"Alpha": 2000}, 200),
    ],
)
def test_the_strategies_share_as_they_promise(
    strategy: str, fleet: list[ServerState], count: int, expected: dict[str, int], lasts: float
) -> None:
    found = run(fleet, MailingPart(count, (1, 2), strategy))

    assert carried(found) == pytest.approx(expected, rel=0.01)
    assert sum(carried(found).values()) == count
    assert seconds(found) == pytest.approx(lasts, rel=0.03)


def test_a_cap_of_the_hour_spreads_the_mail_and_the_next_server_fills_the_gaps() -> None:
    alone = run([alpha(per_hour=500)], MailingPart(5000, (1,)))
    together = run([alpha(per_hour=500), beta()], MailingPart(25_000, (1, 2)))

    assert seconds(alone) == pytest.approx(9 * 3660 + 50, rel=0.01)  # A unit comes back after 61 minutes.
    assert alone.lines[0].capped == "hour"
    assert carried(together)["Alpha"] == pytest.approx(1000, rel=0.01)


def test_what_was_sent_within_the_hour_counts() -> None:
    minute = int((START - dt.timedelta(minutes=20)).timestamp()) // 60
    found = run([alpha(per_hour=500, by_minute={str(minute): 500})], MailingPart(100, (1,)))

    assert found.first_at == START + dt.timedelta(minutes=41)


def test_each_copy_is_a_message_and_a_unit() -> None:
    found = run([alpha(copies=1, quota=1000), beta()], MailingPart(600, (1, 2)))

    assert carried(found) == {"Alpha": 500, "Beta": 100}
    assert found.lines[0].units == 1000
    assert seconds(found) == pytest.approx(100 + 20, rel=0.02)


def test_what_was_queued_before_goes_first() -> None:
    found = run([beta()], MailingPart(1000, (2,), is_ours=False), MailingPart(500, (2,)))

    assert seconds(found) == pytest.approx(300, rel=0.02)
    assert found.first_at == pytest.approx(START + dt.timedelta(seconds=200), abs=dt.timedelta(seconds=3))
    assert (carried(found), found.ahead) == ({"Beta": 500}, 1000)


def test_two_campaigns_on_different_servers_do_not_wait_for_each_other() -> None:
    found = run([alpha(), beta()], MailingPart(1000, (1,), is_ours=False), MailingPart(500, (2,)))

    assert seconds(found) == pytest.approx(100, rel=0.02)


def test_nothing_leaves_outside_the_hours() -> None:
    found = run([beta()], MailingPart(200_000, (2,), hours=OFFICE_HOURS))  # 144,000 in the eight hours of a day.

    # From 13:00 in Berlin, four hours on Monday, and the rest of 128,000 on Tuesday from 09:00 on.
    assert found.finishes_at == pytest.approx(
        dt.datetime(2026, 11, 24, 8, tzinfo=dt.UTC) + dt.timedelta(seconds=128_000 / 5), abs=dt.timedelta(minutes=5)
    )


def test_what_is_left_at_the_last_moment_is_told() -> None:
    last = START + dt.timedelta(minutes=10)
    found = run([beta()], MailingPart(10_000, (2,), not_after=last))

    assert (found.left, found.finishes_at, found.expires_at) == (7000, None, last)
    assert carried(found) == {"Beta": 3000}


def test_who_is_in_a_later_zone_gets_it_later() -> None:
    later = START + dt.timedelta(hours=3)
    found = run([beta()], MailingPart(1000, (2,), starts=((later, 500),)))

    assert found.finishes_at == pytest.approx(later + dt.timedelta(seconds=100), abs=dt.timedelta(seconds=1))


def test_servers_that_never_can_are_named_and_what_nobody_may_carry_is_counted() -> None:
    found = run(
        [alpha(obstacle="is inactive")], MailingPart(100, (1,)), MailingPart(50, (), label="recipients of “Gmail”")
    )

    assert (found.left, found.finishes_at, found.lines) == (150, None, ())
    assert found.idle == (("Alpha", "is inactive"),)
    assert found.blocked == (("recipients of “Gmail”", 50),)


def test_a_rest_is_waited_for() -> None:
    rests_until = START + dt.timedelta(minutes=5)
    found = run([alpha(rests_until=rests_until)], MailingPart(600, (1,)))

    assert (found.first_at, found.finishes_at) == (rests_until, rests_until + dt.timedelta(seconds=60))


def test_nobody_to_write_to_is_no_work() -> None:
    found = run([alpha()])

    assert (found.total, found.left, found.lines, found.finishes_at) == (0, 0, (), None)


@pytest.mark.parametrize("strategy", [ORDER, WEIGHTED, LEAST_USED])
def test_a_thousand_servers_are_foreseen_at_once(strategy: str) -> None:
    fleet = [
        ServerState(number, f"S{number}", 5 + number % 7, quota=5000 + number, weight=1 + number % 5, per_hour=2000)
        for number in range(1000)
    ]
    began = time.thread_time()

    found = run(fleet, MailingPart(3_000_000, tuple(range(1000)), strategy))

    assert sum(carried(found).values()) == 3_000_000
    assert time.thread_time() - began < 8  # Mostly it is one.


def test_a_speed_is_read_from_what_was_accepted_while_it_sent() -> None:
    burst = [START + dt.timedelta(seconds=number / 20) for number in range(201)]
    later = [instant + dt.timedelta(hours=2) for instant in burst]

    assert speed_of([*later, *burst]) == pytest.approx(20)
    assert speed_of(burst[:10]) is None
    assert speed_of([START] * 100) is None


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        forecast([], ForecastWork(()), dt.datetime.fromisoformat("2026-11-23T12:00"))
    assert alpha().speed_from == ASSUMED


@pytest.mark.parametrize("speed", [0.7, 2.0, 3.0, 7.0, 10.0, 13.7])
@pytest.mark.parametrize("people", [9, 50, 51, 97, 1000])
@pytest.mark.parametrize("percent", [10, 30, 48, 50, 52, 70])
@pytest.mark.parametrize("variants", [2, 3])
def test_a_sample_that_is_sent_long_before_the_choice_is_sent_in_time(
    speed: float, people: int, percent: int, variants: int
) -> None:
    sizes = [people * percent // 100 // variants or 1] * variants
    rest = people - sum(sizes)
    choice = START + dt.timedelta(hours=1)

    found = run(
        [alpha(per_second=speed)],
        *(MailingPart(size, (1,)) for size in sizes),
        MailingPart(rest, (1,), starts=((choice, rest),)),
    )

    assert replace(found, waiting=rest, waiting_until=choice).is_sampled_in_time
    assert found.progress[-1][1] == people


def test_a_sample_that_lacks_one_message_is_not_sent_in_time() -> None:
    choice = START + dt.timedelta(seconds=48)

    found = run([alpha(per_second=0.5)], MailingPart(25, (1,)), MailingPart(25, (1,), starts=((choice, 25),)))

    assert not replace(found, waiting=25, waiting_until=choice).is_sampled_in_time
