"""Who gets how much where several servers share, and the words for it."""

import datetime as dt
from collections import Counter
from dataclasses import replace

import pytest

from smtpservers.routing.candidates import Candidate
from smtpservers.routing.rules import DEFAULT, RoutingRule
from smtpservers.routing.selection import able, choose, spot_of

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
DECEMBER = dt.datetime(2026, 12, 1, tzinfo=dt.UTC)
LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ALPHA = Candidate(1, "Alpha", True, LONG_AGO, "", None, None, None, "shop.example", weight=3)
BETA = replace(ALPHA, server_id=2, name="Beta", weight=1)
FULL = replace(ALPHA, server_id=3, name="Full", room=0, full_until=DECEMBER, quota=10, taken=10)
WEIGHTED = replace(DEFAULT, strategy="weighted")
LEAST_USED = replace(DEFAULT, strategy="least_used")


def limited(server_id: int, name: str, taken: int, quota: int) -> Candidate:
    return Candidate(server_id, name, True, LONG_AGO, "", None, quota - taken, DECEMBER, "", quota=quota, taken=taken)


def amounts(rule: RoutingRule, servers: list[Candidate], count: int, **keywords: object) -> dict[str, int | None]:
    given = {"sent": {}, "promised": {}} | keywords
    return {part.server.name: part.at_most for part in able(servers, NOW, rule=rule).portions(count, **given)}  # type: ignore[arg-type]


def test_in_display_order_the_first_that_can_gets_everything() -> None:
    assert amounts(DEFAULT, [FULL, ALPHA, BETA], 1000) == {"Alpha": None}


def test_by_weight_each_gets_its_part_of_the_whole() -> None:
    assert amounts(WEIGHTED, [ALPHA, BETA], 2000) == {"Alpha": 1500, "Beta": 500}


def test_by_weight_who_is_behind_catches_up() -> None:
    assert amounts(WEIGHTED, [ALPHA, BETA], 1000, sent={1: 900, 2: 100}) == {"Alpha": 600, "Beta": 400}
    assert amounts(WEIGHTED, [ALPHA, BETA], 100, sent={1: 900}) == {"Beta": 250}


def test_what_is_too_much_for_one_at_once_is_shared_by_the_others() -> None:
    slow, gamma = replace(ALPHA, at_once=100), replace(BETA, server_id=4, name="Gamma")

    assert amounts(WEIGHTED, [slow, BETA, gamma], 1000) == {"Alpha": 100, "Beta": 450, "Gamma": 450}
    assert amounts(WEIGHTED, [slow, BETA, gamma], 1000, promised={1: 40}) == {"Alpha": 60, "Beta": 470, "Gamma": 470}
    # With that much for the others it becomes too much for Beta, too.
    assert amounts(WEIGHTED, [slow, replace(BETA, at_once=210), gamma], 1000) == {
        "Alpha": 100,
        "Beta": 210,
        "Gamma": 690,
    }
    # Nobody else is there to take it.
    assert amounts(WEIGHTED, [slow, replace(BETA, at_once=1)], 1000) == {"Alpha": 750, "Beta": 250}
    small, large = limited(1, "Small", 0, 1000), limited(2, "Large", 2000, 4000)
    assert amounts(LEAST_USED, [replace(small, at_once=30), large], 100) == {"Small": 30, "Large": 70}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10])
def test_by_weight_nothing_is_left_over_and_nothing_given_twice(count: int) -> None:
    for mailing in range(50):
        given = amounts(WEIGHTED, [ALPHA, BETA, replace(BETA, server_id=4, name="Gamma")], count, spot=spot_of(mailing))
        assert sum(most or 0 for most in given.values()) == count


def test_by_weight_single_messages_come_out_as_promised() -> None:
    chosen = Counter(choose([ALPHA, BETA], NOW, rule=WEIGHTED, spot=spot_of(number)).server for number in range(2000))

    assert abs(chosen[ALPHA] / 2000 - 0.75) < 0.02
    odd = Counter(
        choose([ALPHA, BETA], NOW, rule=WEIGHTED, spot=spot_of(number)).server for number in range(1, 4001, 2)
    )
    assert abs(odd[ALPHA] / 2000 - 0.75) < 0.02


def test_the_least_used_quota_fills_first_until_all_are_alike() -> None:
    small, large = limited(1, "Small", 0, 1000), limited(2, "Large", 2000, 4000)

    assert amounts(LEAST_USED, [small, large], 100) == {"Small": 100}
    assert amounts(LEAST_USED, [small, large], 1500) == {"Small": 700, "Large": 800}


def test_the_least_used_leaves_what_others_of_the_plan_were_promised() -> None:
    small, large = limited(1, "Small", 0, 1000), limited(2, "Large", 0, 1000)

    assert amounts(LEAST_USED, [small, large], 100, promised={1: 100}) == {"Large": 100}


def test_the_least_used_tells_the_reservation_where_to_stop() -> None:
    portions = able([limited(1, "Small", 100, 1000), limited(2, "Large", 100, 1000)], NOW, rule=LEAST_USED).portions(
        200, {}, {}
    )

    assert [(part.at_most, part.leave) for part in portions] == [(100, 800), (100, 800)]


@pytest.mark.parametrize(
    ("rule", "servers", "expected"),
    [
        (DEFAULT, [limited(1, "Small", 921, 1000), BETA], {"Small": 79, "Beta": 921}),
        (WEIGHTED, [ALPHA, BETA], {"Alpha": 750, "Beta": 250}),
        # What finds no room with one is shared by the others as they share all.
        (
            WEIGHTED,
            [replace(BETA, server_id=3, name="Small", room=79), ALPHA, BETA],
            {"Small": 79, "Alpha": 690, "Beta": 231},
        ),
        (WEIGHTED, [replace(ALPHA, room=79), replace(BETA, room=200)], {"Alpha": 79, "Beta": 200}),
        # A cap of the hour ends a server's part before its quota does.
        (
            LEAST_USED,
            [replace(limited(1, "Capped", 0, 4000), room=100), limited(2, "Wide", 0, 1000)],
            {"Capped": 100, "Wide": 900},
        ),
        (LEAST_USED, [replace(limited(1, "Capped", 0, 4000), room=100), BETA], {"Capped": 100, "Beta": 900}),
    ],
)
def test_in_the_end_nobody_has_sent_more_than_it_has_room_for(
    rule: RoutingRule, servers: list[Candidate], expected: dict[str, int]
) -> None:
    spread = able(servers, NOW, rule=rule).spread(1000)

    assert {portion.server.name: number for portion, number in spread} == expected


def test_who_takes_over_in_the_end_says_who_had_no_more_room() -> None:
    capped = replace(limited(1, "Capped", 0, 4000), room=100)

    spread = able([capped, BETA], NOW, rule=LEAST_USED).spread(1000)

    assert spread[1][0].reason == "Beta, because Capped has no room left."


def test_a_server_without_a_quota_comes_when_the_others_have_no_room() -> None:
    small = limited(1, "Small", 990, 1000)

    assert amounts(LEAST_USED, [BETA, small], 10) == {"Small": 10}
    assert amounts(LEAST_USED, [BETA, small], 25) == {"Small": 10, "Beta": 15}


def test_of_many_servers_those_come_first_to_which_most_is_due() -> None:
    servers = [limited(number, f"S{number}", number * 10, 1000) for number in range(1, 30)]
    portions = able(servers, NOW, rule=LEAST_USED).portions(20_000, {}, {}, most_servers=3)

    assert [part.server.name for part in portions] == ["S1", "S2", "S3"]


def words(rule: RoutingRule, servers: list[Candidate], count: int = 1000) -> list[str]:
    return [part.reason for part in able(servers, NOW, rule=rule).portions(count, {}, {})]


def test_each_strategy_says_why_in_plain_words() -> None:
    until = "Full has used its quota until 01 December 2026 00:00 UTC"
    gmail = RoutingRule(7, "Gmail", recipient_domains=("gmail.com",))

    assert words(DEFAULT, [FULL, ALPHA]) == [f"Alpha, because {until}."]
    assert words(WEIGHTED, [ALPHA, BETA, FULL]) == [
        f"Alpha gets 75% by weight, and {until}.",
        f"Beta gets 25% by weight, and {until}.",
    ]
    assert words(LEAST_USED, [limited(1, "Small", 300, 1000), BETA], 800) == [
        "Small has used 30% of its quota.",
        "Beta has no quota, and servers with a quota have no room left.",
    ]
    assert words(gmail, [ALPHA]) == ["Rule “Gmail”: Alpha is first in the display order."]
    assert able([ALPHA], NOW, only=1).choice().reason == "Alpha was chosen by hand."
    assert able([FULL, BETA], NOW, named=[2]).choice().reason == (
        "Beta is first in the display order among the campaign's servers."
    )


def test_a_name_that_belongs_to_no_server_any_more_stops_the_mail() -> None:
    rule = RoutingRule(7, "Gmail", server_ids=frozenset({9}))

    assert choose([ALPHA], NOW, rule=rule).reason == (
        "All servers of the routing rule “Gmail” were deleted. Choose others there."
    )
    assert choose([ALPHA], NOW, named=[9]).reason == (
        "All servers of this campaign were deleted. Duplicate the campaign and choose others."
    )
    assert choose([ALPHA, BETA], NOW, rule=replace(rule, server_ids=frozenset({1})), named=[2]).reason == (
        "The routing rule “Gmail” allows none of the campaign's servers."
    )


def test_a_rule_does_not_bind_who_was_asked_for_by_hand() -> None:
    rule = RoutingRule(7, "Gmail", server_ids=frozenset({1}))

    assert able([ALPHA, BETA], NOW, rule=rule, only=2).choice().server == BETA
