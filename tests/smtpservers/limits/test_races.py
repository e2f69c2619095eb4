"""Eight processes at the same quotas and caps: not one unit too many at any moment, and every unit in the end."""

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from smtpservers.models import QuotaPeriod, UsageEntry
from tests.delivery.making import make_server
from tests.smtpservers.limits.racing import race

NOON = "2026-01-20T12:00:00+00:00"
# Watches every statement of every process: a grant beyond the quota fails there and then.
GUARDS = {
    "postgresql": (
        "CREATE FUNCTION refuse_overrun() RETURNS trigger AS $$ BEGIN"
        " IF NEW.reserved > OLD.reserved AND NEW.used + NEW.reserved > NEW.quota THEN RAISE 'overrun'; END IF;"
        " RETURN NEW; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER guard BEFORE UPDATE ON smtpservers_quotaperiod FOR EACH ROW EXECUTE FUNCTION refuse_overrun()",
    ),
    "sqlite": (
        "CREATE TRIGGER guard BEFORE UPDATE ON smtpservers_quotaperiod WHEN NEW.reserved > OLD.reserved"
        " AND NEW.used + NEW.reserved > NEW.quota BEGIN SELECT RAISE(ABORT, 'overrun'); END",
    ),
}


@pytest.fixture
def guard(transactional_db: None) -> Iterator[None]:
    with connection.cursor() as cursor:
        for statement in GUARDS[connection.vendor]:
            cursor.execute(statement)
    yield
    with connection.cursor() as cursor:
        is_sqlite = connection.vendor == "sqlite"
        cursor.execute("DROP TRIGGER guard" if is_sqlite else "DROP FUNCTION refuse_overrun CASCADE")


def by_server(grants: list[dict[str, Any]]) -> Counter[int]:
    return sum((Counter({grant["server"]: grant["units"]}) for grant in grants), Counter())


@pytest.mark.usefixtures("guard")
def test_a_hundred_small_quotas_are_used_to_the_last_unit() -> None:
    servers = [make_server(25, f"Server {number}", max_per_month=37).pk for number in range(100)]

    grants = race(servers=servers, starts_at=NOON, wanted=40, returned=20)

    assert by_server(grants) == dict.fromkeys(servers, 37)
    assert set(QuotaPeriod.objects.values_list("used", "reserved")) == {(37, 0)}
    assert sum(UsageEntry.objects.values_list("units", flat=True)) == 3700


@pytest.mark.usefixtures("guard")
def test_each_period_has_its_own_quota_while_one_turns_into_the_next() -> None:
    servers = [make_server(25, f"Server {number}", max_per_month=150).pk for number in range(2)]
    midnight, end = (dt.datetime(2026, 2, 1, 0, minute, tzinfo=dt.UTC) for minute in (0, 2))

    grants = race(
        servers=servers,
        starts_at="2026-01-31T23:58:00+00:00",
        ends_at=end.isoformat(),
        step_seconds=0.15,
        longest_wait_seconds=5,
        wanted=8,
        returned=100,
    )

    rows = QuotaPeriod.objects.order_by("server", "starts_at").values_list("server", "used", "reserved")
    assert [(server, reserved) for server, _, reserved in rows] == [(server, 0) for server in servers for _ in range(2)]
    for (server, used, _), over_at in zip(rows, [midnight, end] * 2, strict=True):
        of_month = [
            grant
            for grant in grants
            if grant["server"] == server and (grant["reserved_at"] < midnight.timestamp()) == (over_at == midnight)
        ]
        # Everybody asks each server within nine looks. What comes back later, nobody may have asked for again.
        late_at = over_at.timestamp() - 9 * (5 + 0.15)
        late = sum(grant["released"] for grant in of_month if grant["settled_at"] >= late_at)
        assert used == sum(grant["units"] for grant in of_month)
        assert 150 - late <= used <= 150


@pytest.mark.usefixtures("guard")
def test_a_quota_lowered_in_mid_race_is_kept_from_then_on() -> None:
    server = make_server(25, max_per_month=5000)

    grants = race(servers=[server.pk], starts_at=NOON, wanted=5, returned=20, lowered_by_one=True)

    row = QuotaPeriod.objects.get()
    assert row.quota is not None
    assert (row.used, row.reserved) == (row.quota, 0)
    assert by_server(grants) == {server.pk: row.quota}
    assert row.quota < 5000


@pytest.mark.django_db(transaction=True)
def test_no_hour_holds_more_than_its_cap_and_each_is_used() -> None:
    hourly = make_server(25, "Hourly", max_per_hour=40).pk
    daily = make_server(25, "Daily", max_per_hour=40, max_per_day=60, max_per_month=1000).pk

    grants = race(
        servers=[hourly, daily],
        starts_at=NOON,
        ends_at="2026-01-20T14:10:00+00:00",
        step_seconds=12,
        wanted=9,
        returned=100,
    )

    assert _fullest(grants, hourly, 3600) <= 40
    assert _fullest(grants, daily, 3600) <= 40
    # In two hours and some minutes there is room for forty at least twice; in the day, for sixty once.
    assert by_server(grants)[hourly] >= 2 * 40
    assert by_server(grants)[daily] == 60


def _fullest(grants: list[dict[str, Any]], server: int, seconds: int) -> int:
    """Return the most that any window held, wherever it begins."""
    own = sorted((grant["accepted_at"], grant["units"]) for grant in grants if grant["server"] == server)
    return max(sum(units for at, units in own if first <= at < first + seconds) for first, _ in own)
