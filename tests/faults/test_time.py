"""The clock turns over, jumps, or is wrong: each unit belongs to one period, and lanes follow the database's clock."""

import datetime as dt
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from delivery.models import Attempt, Lane, Message
from delivery.outbox import leases
from delivery.outcomes import recovery
from smtpservers.limits.reservations import refit_period
from smtpservers.models import QuotaPeriod
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.conversation import Reply, Script, late
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)

# Midnight in Tokyo on the first of a month, which is the day before in UTC.
TURN = dt.datetime(2026, 3, 31, 15, 0, tzinfo=dt.UTC)


class Clock:
    """A clock that goes on from an instant, and can be put elsewhere."""

    def __init__(self, start: dt.datetime) -> None:
        self._offset = start - timezone.now()

    def __call__(self) -> dt.datetime:
        return timezone.now() + self._offset

    def jump(self, by: dt.timedelta) -> None:
        self._offset += by


def at_dot(number: int, act: Callable[[], object]) -> Script:
    """Do ``act`` once, before the answer to the message of that number; take a little time for each from then on."""
    seen = itertools.count(1)

    def script(event: str, context: dict[str, Any]) -> Reply:
        if event != "dot" or (count := next(seen)) < number:
            return None
        if count == number:
            act()
        return late(0.01, b"250 2.0.0 queued")  # So that there is a middle to act in.

    return script


def test_each_message_of_a_month_that_ends_belongs_to_one_month(tmp_path: Path) -> None:
    clock = Clock(TURN - dt.timedelta(hours=1))
    with running_peer(tmp_path, at_dot(60, lambda: clock.jump(dt.timedelta(hours=1)))) as peer:
        server = make_server(peer.port, max_per_month=150, month_start_day=1, time_zone="Asia/Tokyo", max_connections=4)
        mailing = make_mailing(make_list(400), clock())

        run_drain(clock=clock, seconds=20)

        before, after = QuotaPeriod.objects.filter(server=server).order_by("starts_at")
        assert before.ends_at == after.starts_at == TURN
        assert max(before.used, after.used) <= 150
        assert before.used > 0
        assert after.used > 0
        assert before.reserved == after.reserved == 0
        assert before.used + after.used == len(peer.accepted()) == Message.objects.filter(status="accepted").count()
        for period in (before, after):
            assert Attempt.objects.filter(batch__period=period, outcome="accepted").count() == period.used
        recipients = [event["rcpt_to"] for event in peer.accepted()]
        assert len(recipients) == len(set(recipients))
        assert mailing.messages.filter(status="queued").count() == 400 - len(recipients)


def test_what_was_reserved_in_a_month_is_not_begun_in_the_next(tmp_path: Path) -> None:
    clock = Clock(TURN - dt.timedelta(hours=1))
    with running_peer(tmp_path, at_dot(1, lambda: clock.jump(dt.timedelta(hours=1)))) as peer:
        server = make_server(peer.port, max_per_month=150, time_zone="Asia/Tokyo", max_connections=1)
        make_mailing(make_list(10), clock())

        run_drain(clock=clock, seconds=20)

        before, after = QuotaPeriod.objects.filter(server=server).order_by("starts_at")
        assert before.used <= 2  # The one at whose dot the month ended, and one whose envelope was ahead.
        assert (before.used + after.used, before.reserved, after.reserved) == (10, 0, 0)
        assert len(peer.accepted()) == 10


def test_a_clock_that_jumps_resets_no_quota_twice(tmp_path: Path) -> None:
    clock = Clock(TURN - dt.timedelta(days=10))
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, max_per_month=5, time_zone="Asia/Tokyo")
        make_mailing(make_list(30), clock())
        jumps = [dt.timedelta(hours=1), dt.timedelta(hours=-1), dt.timedelta(days=-1), dt.timedelta(days=40)]

        sent = [run_drain(clock=clock, seconds=5)]
        for jump in [*jumps, -jumps[-1], jumps[-1]]:
            clock.jump(jump)
            sent.append(run_drain(clock=clock, seconds=5))

        assert sent == [5, 0, 0, 0, 5, 0, 0]
        assert len(peer.accepted()) == 10
        assert list(QuotaPeriod.objects.filter(server=server).values_list("used", flat=True)) == [5, 5]


@pytest.mark.parametrize("minutes", [10, -10])
def test_a_worker_whose_clock_is_wrong_takes_nobodys_lane(tmp_path: Path, minutes: int) -> None:
    clock = Clock(timezone.now() + dt.timedelta(minutes=minutes))
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        make_mailing(make_list(3), min(clock(), timezone.now()))
        lease = leases.acquire(server.pk)
        assert lease is not None

        assert run_drain(clock=clock, seconds=2) == 0
        assert recovery.sweep(clock()) == 0

        assert Lane.objects.get().token == lease.token
        assert leases.renew([lease]) == []
        assert peer.journal.events() == []
        leases.release(lease)
        assert run_drain(clock=clock) == 3
        assert len(peer.accepted()) == 3


def test_a_quota_lowered_below_its_use_leaves_nothing_and_is_never_negative(tmp_path: Path) -> None:
    def lower() -> None:
        try:
            server.max_per_month = 10
            server.save()
            refit_period(server, timezone.now())
        finally:
            connection.close()  # This thread's own.

    with running_peer(tmp_path, at_dot(20, lower)) as peer:
        server = make_server(peer.port, max_per_month=500, max_connections=2)
        mailing = make_mailing(make_list(300))

        run_drain(seconds=8)

        accepted = len(peer.accepted())
        period = QuotaPeriod.objects.get()
        assert accepted < 300
        assert (period.quota, period.used, period.reserved) == (10, accepted, 0)
        assert period.room == 0
        assert run_drain(seconds=2) == 0
        mailing.refresh_from_db()
        assert "has used its quota until" in mailing.waiting_reason


def test_the_last_day_of_a_short_month_stands_in_for_the_31st(tmp_path: Path) -> None:
    clock = Clock(dt.datetime(2027, 2, 27, 23, 0, tzinfo=dt.UTC))
    with running_peer(tmp_path, at_dot(20, lambda: clock.jump(dt.timedelta(hours=1)))) as peer:
        make_server(peer.port, max_per_month=40, month_start_day=31, max_connections=4)
        make_mailing(make_list(200), clock())

        run_drain(clock=clock, seconds=20)

        first, second = QuotaPeriod.objects.order_by("starts_at")
        assert (first.ends_at, second.starts_at) == (second.starts_at, dt.datetime(2027, 2, 28, tzinfo=dt.UTC))
        assert second.ends_at == dt.datetime(2027, 3, 31, tzinfo=dt.UTC)
        assert second.used == 40
        assert 20 <= first.used <= 40
        assert first.used + second.used == len(peer.accepted())
