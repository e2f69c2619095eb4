"""The caps of the hour and the day: what any window holds, when there is room again, and clocks that jump."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpservers.limits import reservations, sliding_window
from smtpservers.limits.sliding_window import DAY, HOUR, SlidingWindow
from smtpservers.models import QuotaPeriod, RecentUse, SmtpServer
from smtpservers.routing.candidates import fleet
from smtpservers.routing.selection import choose
from tests.delivery.making import make_server

NOON = dt.datetime(2026, 3, 10, 12, 0, tzinfo=dt.UTC)
DEEDS = st.lists(
    st.tuples(st.integers(0, 1500), st.integers(0, 4), st.integers(1, 6), st.booleans()), min_size=5, max_size=80
)


@given(deeds=DEEDS, window=st.sampled_from([HOUR, DAY]), pace=st.sampled_from([1, 24]))
def test_no_window_of_the_server_holds_more_than_the_cap(
    deeds: list[tuple[int, int, int, bool]], window: SlidingWindow, pace: int
) -> None:
    """Workers reserve, are slow, and settle in any order; the server takes a unit just before it is settled or just
    after it was reserved.
    """
    cap, now, buckets = 10, NOON, {}
    under_way: list[tuple[int, dt.datetime, bool]] = []
    taken: list[tuple[dt.datetime, int]] = []

    for seconds, which, wanted, is_early in deeds:
        now += dt.timedelta(seconds=seconds * pace)
        if which < len(under_way):
            units, reserved_at, took_early = under_way.pop(which)
            taken.append((reserved_at if took_early else now, units))
            buckets = sliding_window.add(buckets, window, now, units)
            continue
        room = cap - sliding_window.total(buckets, window, now) - sum(units for units, *_ in under_way)
        if room > 0:
            under_way.append((min(room, wanted), now, is_early))

    length = dt.timedelta(seconds=window.seconds)
    for start, _ in taken:
        assert sum(units for at, units in taken if start <= at < start + length) <= cap


@given(
    settled=st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 9)), min_size=1, max_size=12),
    reserved=st.integers(0, 9),
)
def test_there_is_room_when_it_was_said_and_not_before(settled: list[tuple[int, int]], reserved: int) -> None:
    buckets: dict[str, int] = {}
    for seconds, units in sorted(settled):
        now = NOON + dt.timedelta(seconds=seconds)
        buckets = sliding_window.add(buckets, HOUR, now, units)
    cap = sliding_window.total(buckets, HOUR, now)

    at = sliding_window.free_at(buckets, HOUR, now, cap + reserved, reserved)

    assert sliding_window.total(buckets, HOUR, at) < cap
    assert sliding_window.total(buckets, HOUR, at - dt.timedelta(seconds=1)) == cap


def test_what_is_reserved_alone_fills_a_window_until_it_would_have_left() -> None:
    assert sliding_window.free_at({}, HOUR, NOON, 3, 3) == NOON + dt.timedelta(minutes=61)


def use(server: SmtpServer, units: int, now: dt.datetime) -> bool:
    reservation = reservations.reserve(server, units, now)
    if reservation is None:
        return False
    reservations.settle(reservation.period_id, used=reservation.units, released=0, now=now)
    reservations.write_ledger(server.pk, [now] * reservation.units)
    return True


@pytest.mark.django_db
def test_the_smallest_of_quota_day_and_hour_is_granted() -> None:
    server = make_server(25, max_per_month=12, max_per_day=10, max_per_hour=6)

    granted = [
        reservation and reservation.units
        for hours in (0, 2, 4, 26)
        for reservation in [reservations.reserve(server, 9, NOON + dt.timedelta(hours=hours))]
        if reservation is None
        or reservations.settle(
            reservation.period_id, used=reservation.units, released=0, now=NOON + dt.timedelta(hours=hours)
        )
        is None
    ]

    assert granted == [6, 4, None, 2]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "jump",
    [dt.timedelta(hours=1), dt.timedelta(days=40), dt.timedelta(hours=-1), dt.timedelta(days=-1)],
    ids=["an hour ahead", "forty days ahead", "an hour back", "a day back"],
)
def test_a_clock_that_jumps_and_comes_back_grants_nothing_twice_and_blocks_nothing_for_ever(jump: dt.timedelta) -> None:
    server = make_server(25, max_per_hour=5, max_per_month=100)
    use(server, 3, NOON)

    use(server, 9, NOON + jump)  # It may be a full window there; it must not be one more than that.
    while use(server, 9, NOON):
        pass
    blocked = [use(server, 9, NOON + dt.timedelta(minutes=minutes)) for minutes in (1, 30)]
    free_again = use(server, 9, NOON + dt.timedelta(hours=2, minutes=2))

    periods = QuotaPeriod.objects.order_by("starts_at").values_list("starts_at", "used")
    assert blocked == [False, False]
    assert free_again
    assert len({starts_at for starts_at, _ in periods}) == len(periods)
    assert sum(used for _, used in periods) == sum(server.usage.values_list("units", flat=True))


@pytest.mark.django_db
def test_a_server_that_says_it_is_full_gets_nothing_until_then_and_says_so() -> None:
    server = make_server(25, "Alpha", max_per_month=100)
    make_server(25, "Beta")
    until = NOON + dt.timedelta(hours=3)

    first = reservations.note_full(server.pk, "454 4.7.0 Daily message quota exceeded", until, NOON)
    again = reservations.note_full(
        server.pk, "454 again", until + dt.timedelta(minutes=1), NOON + dt.timedelta(minutes=1)
    )

    assert (first, again) == (True, False)
    assert reservations.reserve(server, 1, until - dt.timedelta(seconds=1)) is None
    choice = choose(fleet(NOON), NOON)
    assert choice.reason == ("Beta, because Alpha has reached its provider's limit until 10 March 2026 15:00 UTC.")
    assert reservations.reserve(server, 1, until) is not None
    assert choose(fleet(until), until).reason == "Alpha is first in the display order."
    assert not reservations.note_full(server.pk, "454 of yesterday", NOON, until)


@pytest.mark.django_db
def test_a_full_server_with_caps_gets_nothing_either() -> None:
    server = make_server(25, max_per_hour=5)

    reservations.note_full(server.pk, "454 daily", NOON + dt.timedelta(hours=1), NOON)

    assert reservations.reserve(server, 1, NOON) is None
    assert reservations.reopen(server.pk)
    assert reservations.reserve(server, 1, NOON) is not None


@pytest.mark.django_db
def test_the_longest_of_several_limits_is_what_a_server_waits_for() -> None:
    server = make_server(25, "Alpha", max_per_month=5, max_per_day=5, max_per_hour=5)
    use(server, 5, NOON)

    reasons = []
    for changes in ({}, {"max_per_month": None}, {"max_per_month": None, "max_per_day": None}):
        for name, value in changes.items():
            setattr(server, name, value)
        server.save()
        reservations.refit_period(server, NOON)
        reasons.append(choose(fleet(NOON), NOON).reason.partition("Alpha ")[2])

    assert reasons == [
        "has used its quota until 01 April 2026 00:00 UTC.",
        "has sent its 5 of this day until 11 March 2026 12:15 UTC.",
        "has sent its 5 of this hour until 10 March 2026 13:01 UTC.",
    ]


@pytest.mark.django_db
def test_a_cap_set_in_mid_flight_counts_what_is_on_its_way_in_the_period_before() -> None:
    midnight = dt.datetime(2026, 4, 1, tzinfo=dt.UTC)
    server = make_server(25)
    march = reservations.reserve(server, 4, midnight - dt.timedelta(seconds=1))
    april = reservations.reserve(server, 3, midnight)
    assert march is not None
    assert april is not None

    server.max_per_hour = 10
    server.save()
    reservations.refit_period(server, midnight)
    third = reservations.reserve(server, 9, midnight)
    reservations.settle(march.period_id, used=4, released=0, now=midnight)

    assert third is not None
    assert third.units == 3
    assert RecentUse.objects.get().by_minute == {str(int(midnight.timestamp()) // 60): 4}
    assert reservations.reserve(server, 1, midnight) is None


@pytest.mark.django_db
def test_a_worker_that_read_the_server_before_an_edit_finds_the_edited_period() -> None:
    now = dt.datetime(2026, 3, 20, 12, 0, tzinfo=dt.UTC)
    server = make_server(25, max_per_month=100)
    use(server, 90, now)
    stale = SmtpServer.objects.get(pk=server.pk)

    server.month_start_day, server.max_per_month = 15, 95
    server.save()
    reservations.refit_period(server, now)
    granted = [reservations.reserve(worker, 9, now) for worker in (stale, server)]

    assert [reservation and reservation.units for reservation in granted] == [5, None]
    assert QuotaPeriod.objects.count() == 1
    # Also where the next period is made by the one that did not read again.
    after = reservations.current_period(stale, dt.datetime(2026, 4, 15, tzinfo=dt.UTC))
    assert (after.quota, after.starts_at.day) == (95, 15)


@pytest.mark.django_db
def test_a_start_day_changed_to_and_fro_keeps_one_account() -> None:
    now = dt.datetime(2026, 3, 20, 12, 0, tzinfo=dt.UTC)
    server = make_server(25, max_per_month=100)
    use(server, 10, dt.datetime(2026, 3, 2, tzinfo=dt.UTC))
    use(server, 20, now)
    on_its_way = reservations.reserve(server, 5, now)
    assert on_its_way is not None

    for day, used in ((15, 20), (31, 30), (15, 20), (1, 30)):
        server.month_start_day = day
        server.save()
        refitted = reservations.refit_period(server, now)
        assert (refitted.used, refitted.reserved, refitted.room) == (used, 5, 95 - used)

    reservations.settle(on_its_way.period_id, used=5, released=0, now=now)
    assert QuotaPeriod.objects.get().used == 35


@pytest.mark.django_db
def test_a_server_that_is_gone_grants_nothing_and_its_units_are_settled_with_it() -> None:
    server = make_server(25, max_per_hour=5)
    reservation = reservations.reserve(server, 3, NOON)
    assert reservation is not None
    gone = SmtpServer.objects.get(pk=server.pk)

    server.delete()

    reservations.settle(reservation.period_id, used=3, released=0, now=NOON)
    assert reservations.reserve(gone, 1, NOON) is None
