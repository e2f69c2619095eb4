"""The listener tells that it runs, and Home tells when it has stopped without saying so."""

import datetime as dt
import time
from pathlib import Path

import pytest

from delivery.models import WorkerSeen
from feedback.listener import heartbeat
from smtpservers.models import SmtpServer
from tests.brilliance.web.test_dashboard import attention_of, dashboard
from tests.feedback.listener.conftest import running

NOW = dt.datetime(2026, 11, 30, 23, 59, 30, tzinfo=dt.UTC)


def test_a_running_listener_is_seen_and_one_that_ends_in_order_is_not_missed(
    server: SmtpServer, tmp_path: Path
) -> None:
    seen = WorkerSeen.objects.filter(name__startswith="intake ")
    with running(tmp_path):
        ends_at = time.monotonic() + 20
        while not seen.exists():
            assert time.monotonic() < ends_at
            time.sleep(0.01)

    assert not seen.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ago", "is_missed"),
    [
        (dt.timedelta(minutes=1), False),
        (dt.timedelta(seconds=61), True),
        (dt.timedelta(hours=24), False),
        (None, False),
    ],
)
def test_a_listener_is_missed_for_a_day(ago: dt.timedelta | None, is_missed: bool) -> None:
    if ago is not None:
        WorkerSeen.objects.create(name="intake here", seen_at=NOW - ago)
    WorkerSeen.objects.create(name="deliver here", seen_at=NOW - dt.timedelta(hours=1))

    assert (heartbeat.missed_since(NOW) is not None) == is_missed


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "is_told"), [(0, False), (5, True)])
def test_home_tells_that_the_listener_has_stopped(minutes: int, is_told: bool) -> None:
    seen_at = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=minutes)
    WorkerSeen.objects.create(name="intake here", seen_at=seen_at)

    rows = [text for text, _ in attention_of(dashboard("ops")) if "mail listener" in text]

    assert len(rows) == is_told
    assert all(row.startswith("The mail listener has been silent since ") for row in rows)
