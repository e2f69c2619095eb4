"""Max per Month and the period it counts in, as the wire sees them: copies, tests, several workers, changed periods."""

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from delivery.models import Message
from delivery.operators.send_test import SendTestRefused
from smtpservers.models import QuotaPeriod, UsageEntry
from tests.delivery.making import run_drain
from tests.fields.bench import Bench
from tests.harness.children import Child

PEOPLE = tuple(f"person{number}@customer.example" for number in range(5))


def write_usage(bench: Bench, at: dt.datetime, units: int) -> None:
    quarter = at.replace(minute=at.minute - at.minute % 15, second=0, microsecond=0)
    UsageEntry.objects.create(server=bench.server, quarter_at=quarter, units=units)


def test_three_of_five_leave_and_the_rest_waits_and_says_until_when(bench: Bench) -> None:
    bench.save(max_per_month="3")
    mailing = bench.queue(*PEOPLE)

    arrived = bench.drain()

    assert len(arrived) == 3
    assert Message.objects.filter(status="queued").count() == 2
    mailing.refresh_from_db()
    period = QuotaPeriod.objects.get()
    assert mailing.waiting_until == period.ends_at
    assert mailing.waiting_reason == (
        f"No server can send this now: Server 1 has used its quota until {period.ends_at:%d %B %Y %H:%M} UTC."
    )


def test_the_rest_leaves_in_the_next_period(bench: Bench) -> None:
    bench.save(max_per_month="3")
    bench.queue(*PEOPLE)
    bench.drain()
    after = QuotaPeriod.objects.get().ends_at

    arrived = bench.drain(clock=lambda: after)

    assert len(arrived) == 2
    assert list(QuotaPeriod.objects.values_list("used", flat=True)) == [2, 3]


def test_two_workers_and_an_impatient_tester_send_three_of_five(bench: Bench) -> None:
    bench.save(max_per_month="3")
    bench.queue(*PEOPLE)

    drains = [Child(lambda: run_drain(20, idle_seconds=1)) for _ in range(2)]
    refused = 0
    while any(drain.is_running for drain in drains):
        try:
            bench.test()
        except SendTestRefused:
            refused += 1

    assert [drain.wait()[0] for drain in drains] == [0, 0]
    assert len(bench.peer.accepted()) == 3
    period = QuotaPeriod.objects.get()
    assert (period.used, period.reserved) == (3, 0)
    assert refused


def test_copies_and_tests_are_counted(bench: Bench) -> None:
    bench.save(max_per_month="4", mail_cc="boss@shop.example")

    bench.test()
    arrived = bench.campaign(*PEOPLE)

    assert len(bench.peer.accepted()) == 4
    assert QuotaPeriod.objects.get().used == 4
    assert "boss@shop.example" in {mail.rcpt_to for mail in arrived}


def test_a_clear_refusal_gives_the_unit_back(bench: Bench) -> None:
    def refuse_the_first(event: str, context: dict[str, Any]) -> bytes | None:
        is_first = event == "dot" and context["rcpt_to"].startswith("person0")
        return b"554 5.7.1 looks like spam" if is_first else None

    bench.peer = bench.start_peer(refuse_the_first)
    bench.save(max_per_month="4")

    bench.campaign(*PEOPLE)

    assert len(bench.peer.accepted()) == 4
    assert QuotaPeriod.objects.get().used == 4


def test_a_maximum_lowered_below_the_use_stops_at_once_and_a_raised_one_goes_on(bench: Bench) -> None:
    bench.save(max_per_month="10")
    bench.campaign(*PEOPLE)

    bench.edit(bench.server, max_per_month="2")
    stopped = bench.campaign("ann@customer.example")
    bench.edit(bench.server, max_per_month="6")
    resumed = bench.drain()

    assert (len(stopped), len(resumed)) == (0, 1)
    period = QuotaPeriod.objects.get()
    assert (period.quota, period.used) == (6, 6)


@pytest.mark.parametrize("days", [25, 10])
def test_another_start_day_counts_what_was_sent_since_then(bench: Bench, days: int) -> None:
    now = timezone.now()
    bench.save(max_per_month="5", month_start_day=str(now.day))
    write_usage(bench, now - dt.timedelta(days=15), 5)

    start = now - dt.timedelta(days=days)
    bench.edit(bench.server, month_start_day=str(start.day))
    arrived = bench.campaign()

    # Twenty-five days back the five are in the period, ten days back they are not.
    assert len(arrived) == (0 if days == 25 else 1)
    assert QuotaPeriod.objects.get().used == (5 if days == 25 else 1)


def test_another_time_zone_counts_from_its_own_midnight(bench: Bench) -> None:
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    bench.save(max_per_month="5", month_start_day=str(today.day), time_zone="UTC")
    write_usage(bench, today - dt.timedelta(hours=1), 5)  # In Kiritimati, fourteen hours ahead, it was today.

    in_utc = bench.campaign()
    bench.edit(bench.server, time_zone="pacific/kiritimati")
    in_kiritimati = bench.campaign("bob@customer.example", list_name="Others")

    assert (len(in_utc), len(in_kiritimati)) == (1, 0)
    assert QuotaPeriod.objects.get().used == 6


def test_a_period_that_starts_on_the_31st_ends_on_the_last_of_february(bench: Bench) -> None:
    bench.save(max_per_month="2", month_start_day="31")
    bench.queue(*PEOPLE[:4])
    last_of_january = dt.datetime(2026, 1, 31, tzinfo=dt.UTC)
    before_the_end = dt.datetime(2026, 2, 27, 23, 59, 58, tzinfo=dt.UTC)
    end = dt.datetime(2026, 2, 28, tzinfo=dt.UTC)

    arrived = [len(bench.drain(clock=lambda now=now: now)) for now in (last_of_january, before_the_end, end)]

    assert arrived == [2, 0, 2]
