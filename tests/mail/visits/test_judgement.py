"""Several visits judged together."""

import random

import pytest

from mail.visits.agents import Manner
from mail.visits.judgement import VisitFacts, judge
from mail.visits.names import Family, Kind, Reason, Visitor
from mail.visits.request import RequestFacts
from mail.visits.rules import MessageFacts, Verdict

CHROME = RequestFacts(Kind.CLICK, Manner.READER, Family.CHROME, False, False, False)
PROXY = RequestFacts(Kind.OPEN, Manner.PROXY, Family.GMAIL, False, False, False)
APPLE = PROXY._replace(manner=Manner.APPLE, family=Family.APPLE_MAIL)
PRIVACY = PROXY._replace(manner=Manner.PRIVACY, family=Family.APPLE_PRIVACY)
BROWSER = PROXY._replace(manner=Manner.READER, family=Family.CHROME)
PERSON = Verdict(Visitor.HUMAN, Reason.PERSON)
MESSAGES = {number: MessageFacts(0) for number in range(1, 30)}


def visit(
    at: float, request: RequestFacts, link: int = 1, message: int | None = 1, network: str = "home"
) -> VisitFacts:
    return VisitFacts(at, network, 7, message, link if request.kind is Kind.CLICK else None, 12, request)


def scan(at: float, network: str = "cloud", message: int | None = 1) -> list[VisitFacts]:
    return [visit(at + number, CHROME, number, message, network) for number in range(1, 5)]


def reasons(visits: list[VisitFacts]) -> list[tuple[Visitor, Reason]]:
    return [tuple(verdict) for verdict in judge(visits, MESSAGES)]


def test_the_open_of_a_scanner_is_judged_like_its_clicks() -> None:
    visits = [visit(99, BROWSER, network="cloud"), *scan(100), visit(130, BROWSER, network="home")]

    found = reasons(visits)

    assert found[:5] == [(Visitor.MACHINE, Reason.EVERY_LINK)] * 5
    assert found[5] == PERSON


def test_what_is_asked_for_beside_a_probe_is_the_machines() -> None:
    probe = visit(100, CHROME._replace(is_probe=True), network="cloud")

    found = reasons([probe, visit(100.1, CHROME, network="cloud"), visit(101, CHROME, network="home")])

    assert found == [(Visitor.MACHINE, Reason.PROBE), (Visitor.MACHINE, Reason.PROBE), PERSON]


def test_a_look_in_advance_by_the_readers_own_program_does_not_condemn_the_click() -> None:
    found = reasons([visit(100, CHROME._replace(is_prefetch=True)), visit(101, CHROME)])

    assert found == [(Visitor.MACHINE, Reason.PREFETCH), PERSON]


def test_the_reader_who_opens_and_clicks_beside_a_scanner_is_a_person() -> None:
    visits = [*scan(100), visit(104, BROWSER), visit(106, CHROME)]

    assert reasons(visits)[4:] == [PERSON, PERSON]
    assert reasons([*scan(100), visit(106, CHROME, network="another cloud")])[4] == (
        Visitor.MACHINE,
        Reason.EVERY_LINK,
    )


def test_half_of_an_unopened_mail_within_five_minutes_is_a_slow_scanner() -> None:
    slow = [visit(100 + 40 * number, CHROME, number) for number in range(1, 7)]

    assert reasons(slow) == [(Visitor.MACHINE, Reason.EVERY_LINK)] * 6
    assert reasons([visit(90, APPLE), *slow])[1:] == [PERSON] * 6


def test_colleagues_who_opened_before_they_click_are_no_gateway() -> None:
    clicks = [visit(100 + number, CHROME, 1, number, "office") for number in range(1, 9)]
    opens = [visit(80 + number, APPLE, 1, number, "office") for number in range(1, 9)]

    assert reasons(clicks) == [(Visitor.MACHINE, Reason.GATEWAY)] * 8
    assert reasons(opens + clicks)[8:] == [PERSON] * 8


def test_an_open_in_doubt_is_a_persons_once_a_person_clicks() -> None:
    found = reasons([visit(20, PROXY), visit(30, APPLE), visit(31, PRIVACY), visit(90, CHROME)])

    assert found == [
        (Visitor.HUMAN, Reason.CLICKED),
        (Visitor.HUMAN, Reason.CLICKED),
        (Visitor.MACHINE, Reason.APPLE_PRIVACY),
        PERSON,
    ]
    assert reasons([visit(20, PROXY), visit(90, CHROME, message=2)])[0] == (Visitor.UNKNOWN, Reason.PROXY)


def test_what_was_known_of_opens_before_counts_too() -> None:
    known = {1: MessageFacts(0, opened_by=frozenset({Family.APPLE_MAIL}))}

    assert judge([visit(40, CHROME)], known) == [PERSON]
    assert judge([visit(40, CHROME)], MESSAGES) == [Verdict(Visitor.UNKNOWN, Reason.NOT_OPENED)]


def test_without_messages_a_scanner_is_known_by_its_network_and_program() -> None:
    found = reasons([*scan(100, message=None), visit(102, CHROME, message=None, network="home")])

    assert found == [*[(Visitor.MACHINE, Reason.EVERY_LINK)] * 4, PERSON]


@pytest.mark.parametrize("seed", range(10))
def test_the_order_in_which_visits_are_named_makes_no_difference(seed: int) -> None:
    dice = random.Random(seed)
    visits = [
        visit(
            dice.uniform(0, 400),
            dice.choice([CHROME, CHROME, PROXY, APPLE, PRIVACY, BROWSER]),
            dice.randrange(12),
            dice.choice([1, 2, 3, None]),
            dice.choice("abc"),
        )
        for _ in range(60)
    ]
    shuffled = dice.sample(range(60), 60)

    verdicts = judge([visits[number] for number in shuffled], MESSAGES)

    assert verdicts == [judge(visits, MESSAGES)[number] for number in shuffled]
