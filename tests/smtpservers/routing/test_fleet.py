"""One reading of the fleet answers like the single questions, with fewer queries."""

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from django.db import connection

from smtpservers.models import QuotaPeriod, RecentUse, RefusedSender, Route, SmtpServer
from smtpservers.routing.candidates import fleet, is_sender_served
from smtpservers.routing.fleet import Fleet
from tests.smtpservers.routing.test_selection import make_server

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def servers(db: None) -> dict[str, SmtpServer]:
    """Servers with every limit that a candidate knows; each is named after it."""
    found = {
        "plain": make_server(25, "plain", display_order=5),
        "used": make_server(25, "used", display_order=4, max_per_month=1_000),
        "full": make_server(25, "full", display_order=3, full_until=NOW + HOUR),
        "capped": make_server(25, "capped", display_order=2, max_per_hour=10, max_per_day=50),
        "throttled": make_server(25, "throttled", display_order=1, slow_factor=0.5, slowed_at=NOW, rate_limit=10),
        "failing": make_server(25, "failing", display_order=6, failures=3),
        "off": make_server(25, "off", display_order=0, is_active=False, mail_from="news@off.example"),
    }
    for starts_at, used in ((NOW - 48 * HOUR, 900), (NOW - HOUR, 400)):  # The first one is over.
        QuotaPeriod.objects.create(
            server=found["used"], quota=1_000, used=used, reserved=5, starts_at=starts_at, ends_at=starts_at + 24 * HOUR
        )
    minute = int(NOW.timestamp()) // 60
    RecentUse.objects.create(server=found["capped"], by_minute={str(minute): 7}, by_quarter={str(minute // 15): 9})
    RefusedSender.objects.create(
        server=found["plain"], sender="news@example.com", version=found["plain"].version, refused_at=NOW, until=None
    )
    return found


def test_the_candidates_are_those_of_the_worker(servers: dict[str, SmtpServer]) -> None:
    candidates = Fleet(NOW).candidates

    assert candidates == fleet(NOW)
    assert [each.name for each in candidates] == ["off", "throttled", "capped", "full", "used", "plain", "failing"]
    room = {each.name: each.room for each in candidates}
    assert room == {"off": None, "throttled": None, "capped": 3, "full": 0, "used": 595, "plain": None, "failing": None}
    assert {each.name: each.at_once for each in candidates if each.at_once} == {"throttled": 49, "failing": 1}
    assert [each.refused for each in candidates if each.refused] == [{"news@example.com": None}]


def test_a_reading_takes_three_queries_whatever_is_asked_of_it(
    servers: dict[str, SmtpServer], django_assert_max_num_queries: Callable[[int], AbstractContextManager[object]]
) -> None:
    reading = Fleet(NOW)

    with django_assert_max_num_queries(4):  # And one for the units that capped servers have reserved.
        for _ in range(3):
            assert reading.rules
            assert reading.candidates
            assert reading.carriers("", ())
            assert reading.is_sender_served("news@off.example", ())
            assert reading.is_any_active([servers["plain"].pk])


def test_carriers_are_active_named_allowed_and_send_for_the_from(servers: dict[str, SmtpServer]) -> None:
    some = [servers["plain"].pk, servers["used"].pk, servers["off"].pk]

    def names(mail_from: str = "", named: list[int] | None = None) -> list[str]:
        return [server.name for server in Fleet(NOW).carriers(mail_from, named or [])]

    assert names() == ["throttled", "capped", "full", "used", "plain", "failing"]  # A full one sends later.
    assert names(named=some) == ["used", "plain"]
    assert names("news@off.example") == []
    Route.objects.update(server_ids=[servers["failing"].pk, servers["used"].pk])
    assert names() == ["used", "failing"]


@pytest.mark.parametrize("mail_from", ["news@off.example", "news@example.com", "news@nobody.example"])
@pytest.mark.parametrize("named", [(), ("off",), ("plain", "used"), ("plain", "off")])
def test_a_sender_is_served_as_single_messages_are(
    servers: dict[str, SmtpServer], mail_from: str, named: tuple[str, ...]
) -> None:
    ids = [servers[name].pk for name in named]

    assert Fleet(NOW).is_sender_served(mail_from, ids) is is_sender_served(mail_from, ids)


def test_without_any_server_every_sender_is_served(db: None) -> None:
    assert Fleet(NOW).is_sender_served("news@example.com", ())
    assert Fleet(NOW).carriers("", ()) == []
    assert not Fleet(NOW).is_any_active([1])


@pytest.mark.postgres
def test_a_query_of_tables_without_statistics_is_not_compiled_first(servers: dict[str, SmtpServer]) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL jit_above_cost = 0")
        cursor.execute("EXPLAIN (ANALYZE) SELECT name || host FROM smtpservers_smtpserver WHERE port > 1 ORDER BY name")
        plan = [row[0] for row in cursor.fetchall()]

    assert not any("JIT" in line for line in plan), plan
