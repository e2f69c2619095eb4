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


def test_the_reader_beside_a_scanner_is_spared_unless_the_reader_is_hasty_too() -> None:
    scanner = [click(number, link=number, network="cloud") for number in range(1, 4)]
    reader = [click(2, link=9, network="home")._replace(is_opened_here=True)]
    hasty = [click(2 + number, link=number, network="home")._replace(is_opened_here=True) for number in range(3)]

    assert recents(scanner + reader) == [EVERY_LINK] * 3 + [NOTHING_RECENT]
    assert recents(hasty) == [EVERY_LINK] * 3


def test_half_of_an_unopened_message_within_five_minutes_is_every_link() -> None:
    slow = [click(61 * number, link=number, links=10) for number in range(5)]

    assert recents(slow) == [EVERY_LINK] * 5
    assert recents([one._replace(links=11) for one in slow]) == [NOTHING_RECENT] * 5
    assert recents([one._replace(is_opened=True) for one in slow]) == [NOTHING_RECENT] * 5


def test_messages_that_were_opened_before_make_no_gateway() -> None:
    office = [click(number, message=number)._replace(is_opened=True) for number in range(9)]

    assert recents(office) == [NOTHING_RECENT] * 9


@pytest.mark.parametrize("seed", range(40))
def test_the_windows_are_those_that_a_comparison_of_all_clicks_finds(seed: int) -> None:
    dice = random.Random(seed)
    clicks = [
        click(
            dice.randrange(400), dice.choice([1, 2, 3, 4, 5, 6, 7, None]), dice.randrange(12), dice.choice("ab"), 12
        )._replace(is_opened=dice.random() < 0.2, is_opened_here=dice.random() < 0.2)
        for _ in range(dice.randrange(100))
    ]

    assert recents(clicks) == [compared(one, clicks) for one in clicks]


def compared(one: Click, clicks: list[Click]) -> Recent:
    def most(group: list[Click], value: Callable[[Click], object], seconds: float) -> int:
        """Count in each span that holds the click and begins with one of the group."""
        spans = [begin.at for begin in group if begin.at <= one.at <= begin.at + seconds and one in group]
        return max((len({value(each) for each in group if at <= each.at <= at + seconds}) for at in spans), default=0)

    alike = [each for each in clicks if each.message == one.message]
    here = [each for each in alike if each.network == one.network]
    elsewhere = [each for each in alike if not each.is_opened_here] if one.message else []
    unread = [each for each in alike if not each.is_opened] if one.message else []
    if one.message:
        of_network = [each for each in clicks if each.network == one.network and each.message and not each.is_opened]
        messages = most(of_network, lambda each: each.message, bursts.GATEWAY_SECONDS)
    else:
        messages = most([each for each in here if each.link == one.link], id, bursts.GATEWAY_SECONDS)
    links = [
        max(most(group, lambda each: each.link, seconds) for group in (here, elsewhere))
        for seconds in (bursts.BURST_SECONDS, bursts.MINUTE_SECONDS)
    ]
    slowly = most(unread, lambda each: each.link, bursts.SLOW_SECONDS)
    return Recent(
        links[0] >= bursts.BURST_LINKS
        or links[1] >= max(bursts.MINUTE_LINKS, bursts.MINUTE_SHARE * one.links)
        or slowly >= max(bursts.SLOW_LINKS, bursts.SLOW_SHARE * one.links),
        messages >= bursts.GATEWAY_MESSAGES,
    )
