"""When periods begin and end, and units that are never granted twice."""

import datetime as dt
import threading
import zoneinfo
from zoneinfo import ZoneInfo

import pytest
from django.db import connections

from smtpservers.limits import reservations
from smtpservers.limits.quota_period import period
from smtpservers.models import QuotaPeriod, SmtpServer, UsageEntry
from tests.delivery.making import make_server

UTC = dt.UTC


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.mark.parametrize(
    ("now", "day", "zone", "starts_at", "ends_at"),
    [
        ("2026-11-23T03:00:00Z", 1, "UTC", "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
        ("2026-02-15T12:00:00Z", 31, "UTC", "2026-01-31T00:00:00Z", "2026-02-28T00:00:00Z"),
        ("2026-02-28T00:00:00Z", 31, "UTC", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("2026-03-30T23:59:59Z", 31, "UTC", "2026-02-28T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("2028-02-29T10:00:00Z", 30, "UTC", "2028-02-29T00:00:00Z", "2028-03-30T00:00:00Z"),
        ("2026-01-01T04:59:59Z", 1, "America/New_York", "2025-12-01T05:00:00Z", "2026-01-01T05:00:00Z"),
        ("2026-01-01T05:00:00Z", 1, "America/New_York", "2026-01-01T05:00:00Z", "2026-02-01T05:00:00Z"),
        ("2026-12-31T23:30:00Z", 1, "Asia/Tokyo", "2026-12-31T15:00:00Z", "2027-01-31T15:00:00Z"),
        ("2026-03-20T00:00:00Z", 8, "America/New_York", "2026-03-08T05:00:00Z", "2026-04-08T04:00:00Z"),
        ("2026-01-10T00:00:00Z", 15, "UTC", "2025-12-15T00:00:00Z", "2026-01-15T00:00:00Z"),
        # The clock jumps over this midnight: the period begins with the first instant of the date.
        ("2026-09-06T12:00:00Z", 6, "America/Santiago", "2026-09-06T04:00:00Z", "2026-10-06T03:00:00Z"),
    ],
)
def test_a_period_runs_from_anchor_to_anchor(now: str, day: int, zone: str, starts_at: str, ends_at: str) -> None:
    assert period(instant(now), day, ZoneInfo(zone)) == (instant(starts_at), instant(ends_at))


def test_periods_of_every_zone_follow_each_other_without_gap() -> None:
    for name in sorted(zoneinfo.available_timezones()):
        zone = ZoneInfo(name)
        for day in (1, 29, 31):
            _, end = period(dt.datetime(2020, 1, 15, tzinfo=UTC), day, zone)
            while end.year < 2030:
                start, following = period(end, day, zone)
                assert start == end, f"{name}, day {day}: a gap or an overlap at {end}"
                assert period(end - dt.timedelta(seconds=1), day, zone)[1] == end, f"{name}, day {day}, {end}"
                end = following


def test_a_naive_instant_and_a_day_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        period(dt.datetime(2026, 1, 1), 1, UTC)  # noqa: DTZ001  # That is the case.
    with pytest.raises(ValueError, match="from 1 to 31, not 0"):
        period(dt.datetime(2026, 1, 1, tzinfo=UTC), 0, UTC)


NOW = dt.datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.django_db
def test_the_last_unit_of_the_month_is_granted_once() -> None:
    server = make_server(25, max_per_month=3)

    first, second, third = (reservations.reserve(server, 2, NOW) for _ in range(3))

    assert first is not None
    assert second is not None
    assert (first.units, second.units, third) == (2, 1, None)


@pytest.mark.django_db
def test_a_unit_belongs_to_the_period_it_was_reserved_in() -> None:
    server = make_server(25, max_per_month=3)
    january = reservations.reserve(server, 3, NOW)
    february = reservations.reserve(server, 3, NOW + dt.timedelta(seconds=1))

    assert january is not None
    assert february is not None
    assert january.ends_at == NOW + dt.timedelta(seconds=1)
    reservations.settle(january.period_id, used=2, released=1, now=NOW)

    rows = list(QuotaPeriod.objects.order_by("starts_at").values_list("used", "reserved"))
    assert rows == [(2, 0), (0, 3)]


@pytest.mark.django_db
def test_lowering_the_maximum_below_the_use_leaves_no_room() -> None:
    server = make_server(25, max_per_month=100)
    reservation = reservations.reserve(server, 60, NOW)
    assert reservation is not None
    reservations.settle(reservation.period_id, used=60, released=0, now=NOW)
    reservations.write_ledger(server.pk, [NOW] * 60)

    server.max_per_month = 50
    server.save()
    refitted = reservations.refit_period(server, NOW)

    assert (refitted.used, refitted.room) == (60, 0)
    assert reservations.reserve(server, 1, NOW) is None


@pytest.mark.django_db
def test_changing_the_start_day_recounts_from_the_ledger() -> None:
    now = dt.datetime(2026, 3, 20, 12, 0, tzinfo=UTC)
    server = make_server(25, max_per_month=100)
    reservation = reservations.reserve(server, 40, now)
    assert reservation is not None
    reservations.settle(reservation.period_id, used=30, released=0, now=now)  # Ten are still on their way.
    reservations.write_ledger(server.pk, [dt.datetime(2026, 3, 2, tzinfo=UTC)] * 10)
    reservations.write_ledger(server.pk, [dt.datetime(2026, 3, 18, 7, 31, tzinfo=UTC)] * 20)

    server.month_start_day = 15
    server.save()
    refitted = reservations.refit_period(server, now)

    assert refitted.starts_at == dt.datetime(2026, 3, 15, tzinfo=UTC)
    assert (refitted.used, refitted.reserved) == (20, 10)
    server.month_start_day = 1
    server.save()
    assert reservations.refit_period(server, now).used == 30


@pytest.mark.django_db
def test_the_ledger_has_a_row_for_each_quarter_of_an_hour() -> None:
    server = make_server(25)
    instants = [
        instant(f"2026-03-15T10:{clock}Z") for clock in ("00:00", "14:59.999999", "15:00", "29:59", "30:00", "59:59")
    ]

    reservations.write_ledger(server.pk, instants)
    reservations.write_ledger(server.pk, instants[:1])

    ledger = UsageEntry.objects.order_by("quarter_at").values_list("quarter_at", "units")
    quarters = [("10:00", 3), ("10:15", 2), ("10:30", 1), ("10:45", 1)]
    assert list(ledger) == [(instant(f"2026-03-15T{clock}Z"), units) for clock, units in quarters]


@pytest.mark.django_db(transaction=True)
def test_two_threads_that_make_the_same_period_make_one() -> None:
    server = make_server(25)
    rows: list[int] = []

    def make() -> None:
        rows.append(reservations.current_period(SmtpServer.objects.get(pk=server.pk), NOW).pk)
        connections.close_all()

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(rows) == 4
    assert len(set(rows)) == 1
