"""Which server is chosen, and why."""

import datetime as dt
from dataclasses import replace

import pytest

from smtpservers.models import RecentUse
from smtpservers.routing.candidates import Candidate, fleet
from smtpservers.routing.selection import choose
from tests.delivery.making import make_server

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(minutes=5)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ALPHA = Candidate(1, "Alpha", True, LONG_AGO, "", None, None, None, "shop.example")
BETA = replace(ALPHA, server_id=2, name="Beta")


def test_the_first_in_display_order_is_chosen() -> None:
    choice = choose([ALPHA, BETA], NOW)

    assert choice.server == ALPHA
    assert choice.reason == "Alpha is first in the display order."


@pytest.mark.parametrize(
    ("changes", "why", "until"),
    [
        ({"is_active": False}, "Alpha is inactive", None),
        ({"room": 0, "full_until": LATER}, "Alpha has used its quota until 23 November 2026 12:05 UTC", LATER),
        (
            {"paused_reason": "127.0.0.1: 535 wrong", "paused_until": LATER},
            "Alpha is paused until 23 November 2026 12:05 UTC",
            LATER,
        ),
        ({"paused_reason": "535 wrong"}, "Alpha is paused until someone resumes it", None),
        ({"domain": "other.example"}, "Alpha doesn't send for News <a@shop.example>", None),
    ],
)
def test_the_next_takes_over_and_the_reason_names_no_host(
    changes: dict[str, object], why: str, until: dt.datetime | None
) -> None:
    alpha = replace(ALPHA, **changes)  # type: ignore[arg-type]

    choice = choose([alpha, BETA], NOW, mail_from="News <a@shop.example>")
    alone = choose([alpha], NOW, mail_from="News <a@shop.example>")

    assert choice.server == BETA
    assert choice.reason == f"Beta, because {why}."
    assert (alone.server, alone.until) == (None, until)
    assert alone.reason == f"No server can send this now: {why}."


@pytest.mark.parametrize(
    ("mail_from", "domain_name", "own", "is_served"),
    [
        ("News <news@shop.wire.example>", "mx.wire.example", "news@shop.wire.example", True),  # Its own.
        ("News <NEWS@Shop.Wire.Example>", "mx.other.example", "news@shop.wire.example", True),
        ("News <a@wire.example>", "mx.wire.example", "news@shop.wire.example", True),  # Above.
        ("News <a@deep.shop.wire.example>", "", "news@shop.wire.example", True),  # Below.
        ("News <a@shop.example>", "mail.shop.example", "news@other.example", True),  # Above, by its name alone.
        ("News <a@shop.example.co.uk>", "mail.example.co.uk", "news@other.example", True),
        ("News <a@other.example>", "mail.example.co.uk", "news@other.example", True),  # Of its Mail From alone.
        ("News <a@shop.example.com.lb>", "mail.example.com.lb", "news@other.example", True),
        ("News <a@else.com.lb>", "mail.example.com.lb", "news@other.example", False),
        ("News <a@else.github.io>", "example.github.io", "news@other.example", False),
        ("News <a@else.co.uk>", "mail.example.co.uk", "news@other.example", False),
        ("News <a@wire.example.net>", "mx.wire.example", "news@wire.example", False),
        ("nobody", "mx.wire.example", "news@wire.example", False),
        ("News <a@shop.example>", "", "", False),
    ],
)
def test_a_server_sends_for_its_own_from_and_for_the_organisations_it_names(
    mail_from: str, domain_name: str, own: str, is_served: bool
) -> None:
    alpha = replace(ALPHA, domain=domain_name, sender=own)

    assert alpha.may_send_from(mail_from) is is_served
    assert bool(choose([alpha], NOW, mail_from=mail_from).server) is is_served


def test_what_is_switched_off_is_named_after_what_is_full() -> None:
    off = [replace(ALPHA, server_id=number, name=f"Off {number}", is_active=False) for number in range(10, 13)]
    full = replace(ALPHA, room=0, full_until=LATER)

    choice = choose([*off, full], NOW)

    assert choice.reason == (
        "No server can send this now: Alpha has used its quota until 23 November 2026 12:05 UTC, Off 10 is"
        " inactive, Off 11 is inactive, and 1 more can't send either."
    )


def test_a_pause_that_is_over_is_no_obstacle() -> None:
    assert choose([replace(ALPHA, paused_reason="x", paused_until=NOW)], NOW).server is not None


def test_a_server_that_refused_the_message_is_avoided() -> None:
    assert choose([ALPHA, BETA], NOW, avoid={1}).server == BETA


@pytest.mark.parametrize(
    ("mail_from", "may"),
    [("a@shop.example", True), ("a@news.shop.example", True), ("a@example", False), ("a@workshop.example", False)],
)
def test_a_server_sends_for_its_own_domain(mail_from: str, may: bool) -> None:
    assert ALPHA.may_send_from(mail_from) is may


@pytest.mark.django_db
def test_a_thousand_servers_are_a_few_queries(django_assert_max_num_queries) -> None:  # type: ignore[no-untyped-def]
    for number in range(30):
        make_server(25, f"Server {number}", display_order=1000 - number)

    with django_assert_max_num_queries(2):
        found = fleet(NOW)

    assert [candidate.name for candidate in found[:2]] == ["Server 29", "Server 28"]


def test_without_any_server_the_reason_says_what_to_do() -> None:
    assert choose([], NOW).reason == "No servers yet. Add one to start sending."


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("minutes_ago", "units", "room"),
    [(1, 4, 6), (1, 10, 0), (90, 10, 10), (90, 4, 6)],  # The last one may be told too small, and is not full.
)
def test_the_plan_sees_no_server_as_full_for_what_left_its_hour(minutes_ago: int, units: int, room: int) -> None:
    server = make_server(25, max_per_hour=10)
    minute = int(NOW.timestamp()) // 60 - minutes_ago
    RecentUse.objects.create(server=server, by_minute={str(minute): units})

    [candidate] = fleet(NOW)

    assert candidate.room == room
    assert (candidate.obstacle(NOW) == "") is (room > 0)
