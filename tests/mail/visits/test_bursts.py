"""What the clicks around a click say."""

import random
from collections.abc import Callable

import pytest

from mail.visits import bursts
from mail.visits.bursts import NOTHING_RECENT, Click, Recent, recents
from mail.visits.names import Family

EVERY_LINK, GATEWAY = Recent(is_every_link=True), Recent(is_gateway=True)


def click(at: float, message: int | None = 1, link: int = 1, network: str = "n", links: int = 12) -> Click:
    return Click(at, network, 7, message, link, links, Family.CHROME)


def test_three_links_of_a_message_within_five_seconds_are_a_burst_and_the_first_belongs_to_it() -> None:
    assert recents([click(0, link=1), click(2, link=2), click(5, link=3)]) == [EVERY_LINK] * 3
    assert recents([click(0, link=1), click(2, link=2), click(5.1, link=3)]) == [NOTHING_RECENT] * 3
    assert recents([click(0, link=1), click(2, link=2), click(4, link=1)]) == [NOTHING_RECENT] * 3


def test_most_links_of_a_message_within_a_minute_are_a_burst() -> None:
    spread = [click(20 * number, link=number, links=5) for number in range(3)]

    assert recents(spread) == [EVERY_LINK] * 3
    assert recents([one._replace(links=6) for one in spread]) == [NOTHING_RECENT] * 3
    assert recents([one._replace(links=3) for one in spread[:2]]) == [NOTHING_RECENT] * 2


def test_a_network_that_fetches_links_of_five_messages_within_a_minute_is_a_gateway() -> None:
    five = [click(15 * number, message=number) for number in range(5)]

    assert recents(five) == [GATEWAY] * 5
    assert recents(five[:4]) == [NOTHING_RECENT] * 4
    assert recents([one._replace(network="") for one in five]) == [NOTHING_RECENT] * 5
    assert recents([*five, click(200, message=9)])[-1] == NOTHING_RECENT


def test_without_a_message_a_network_and_program_stand_for_it() -> None:
    burst = [click(number, message=None, link=number) for number in range(3)]
    others = [one._replace(network=f"n{number}") for number, one in enumerate(burst)]
    same_link = [click(number, message=None) for number in range(5)]

    assert recents(burst) == [EVERY_LINK] * 3
    assert recents(others) == [NOTHING_RECENT] * 3
    assert recents(same_link) == [GATEWAY] * 5
    assert recents([one._replace(network="") for one in burst + same_link]) == [NOTHING_RECENT] * 8


@pytest.mark.parametrize("seed", range(40))
def test_the_windows_are_those_that_a_comparison_of_all_clicks_finds(seed: int) -> None:
    dice = random.Random(seed)
    clicks = [
        click(dice.randrange(120), dice.choice([1, 2, 3, 4, 5, 6, 7, None]), dice.randrange(8), dice.choice("ab"), 4)
        for _ in range(dice.randrange(60))
    ]

    assert recents(clicks) == [compared(one, clicks) for one in clicks]


def compared(one: Click, clicks: list[Click]) -> Recent:
    def most(same: Callable[[Click], object], value: Callable[[int, Click], object], seconds: float) -> int:
        group = [(place, other) for place, other in enumerate(clicks) if same(other) == same(one)]
        return max(
            len({value(place, other) for place, other in group if begin.at <= other.at <= begin.at + seconds})
            for _, begin in group
            if begin.at <= one.at <= begin.at + seconds
        )

    if one.message is None:

        def source(other: Click) -> object:
            return other.message, other.network

        def sender(other: Click) -> object:
            return other.message, other.network, other.link

        messages = most(sender, lambda place, _: place, bursts.GATEWAY_SECONDS)
    else:

        def source(other: Click) -> object:
            return other.message

        messages = most(
            lambda other: (other.network, other.message is None), lambda _, other: other.message, bursts.GATEWAY_SECONDS
        )
    return Recent(
        most(source, lambda _, other: other.link, bursts.BURST_SECONDS) >= bursts.BURST_LINKS
        or most(source, lambda _, other: other.link, bursts.MINUTE_SECONDS)
        >= max(bursts.MINUTE_LINKS, bursts.MINUTE_SHARE * one.links),
        messages >= bursts.GATEWAY_MESSAGES,
    )
