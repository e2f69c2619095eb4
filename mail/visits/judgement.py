"""All visits of some messages and networks judged together: both looks at them go through here."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from mail.visits.agents import Manner
from mail.visits.bursts import NOTHING_RECENT, Click, recents
from mail.visits.names import Family, Kind, Reason, Visitor
from mail.visits.request import RequestFacts
from mail.visits.rules import MessageFacts, Verdict, classify

COMPANY_SECONDS = 60
_SHOWS_MAIL = {Manner.PRIVACY, Manner.APPLE, Manner.PROXY, Manner.READER}  # Programs in which mail can be read.
SAYS_NOTHING = {Reason.PREFETCH, Reason.NO_AGENT, Reason.PROGRAM}  # Opens for these reasons show a mail to nobody.
_HASTE = {Reason.EVERY_LINK, Reason.GATEWAY, Reason.PROBE}  # What gives away everything that its network asks for.

_NEIGHBOUR = MessageFacts(None)


class VisitFacts(NamedTuple):
    """One request for a pixel or a link."""

    at: float  # Seconds since the epoch.
    network: str  # The keyed hash of the source network, empty if it is unknown.
    mailing: int
    message: int | None  # None at the anonymous level.
    link: Hashable  # None for an open.
    links: int  # How many different links that are counted the message has.
    request: RequestFacts


def judge(visits: Sequence[VisitFacts], messages: Mapping[int, MessageFacts]) -> list[Verdict]:
    """Return who made each visit, in their order.

    Three steps: each visit by the rules, then what a scanner's network asked for besides, then opens that a click
    proves. It takes time n log n.

    :param visits: those to judge, with all others of the same messages and networks within five minutes that are
        known.
    :param messages: by the numbers that visits name. ``opened_by`` holds the programs of earlier opens that are not
        among the visits; those among them are added here. A message that is missing is there for its neighbours only,
        and the verdicts on its own visits mean nothing.
    """
    # Times may be whole seconds: an open comes before a click of the same one.
    order = sorted(
        range(len(visits)), key=lambda number: (visits[number].at, visits[number].request.kind is Kind.CLICK)
    )
    opened_by: dict[int, dict[Family, set[str]]] = defaultdict(lambda: defaultdict(set))  # From which networks.
    clicks: list[int] = []
    facts_of_clicks: list[Click] = []
    facts: dict[int, MessageFacts | None] = {}
    for number in order:
        visit = visits[number]
        opens = opened_by[visit.message] if visit.message is not None else {}
        facts[number] = _facts(visit, messages, opens)
        if visit.request.kind is Kind.CLICK:
            clicks.append(number)
            facts_of_clicks.append(_click(visit, facts[number], opens))
        elif visit.message is not None and visit.request.manner in _SHOWS_MAIL:
            opens[visit.request.family].add(visit.network)
    recent = dict(zip(clicks, recents(facts_of_clicks), strict=True))
    verdicts = {
        number: classify(visit.request, visit.at, facts[number], recent.get(number, NOTHING_RECENT))
        for number, visit in enumerate(visits)
    }
    verdicts.update(_company(visits, order, verdicts))
    verdicts.update(_proved(visits, order, verdicts))
    return [verdicts[number] for number in range(len(visits))]


def _facts(
    visit: VisitFacts, messages: Mapping[int, MessageFacts], opens: Mapping[Family, set[str]]
) -> MessageFacts | None:
    if visit.message is None:
        return None
    known = messages.get(visit.message, _NEIGHBOUR)
    return known._replace(opened_by=known.opened_by | opens.keys())


def _click(visit: VisitFacts, facts: MessageFacts | None, opens: Mapping[Family, set[str]]) -> Click:
    family = visit.request.family
    return Click(
        visit.at,
        visit.network,
        visit.mailing,
        visit.message,
        visit.link,
        visit.links,
        family,
        is_opened=facts is not None and bool(facts.opened_by - {family}),
        is_opened_here=bool(visit.network) and any(visit.network in networks for networks in opens.values()),
    )


def _company(
    visits: Sequence[VisitFacts], order: Sequence[int], verdicts: Mapping[int, Verdict]
) -> Iterator[tuple[int, Verdict]]:
    """Yield what a network asked for of one message within a minute of a scanner's click from there."""
    for sequence in (order, order[::-1]):
        last: dict[tuple[int | None, int, str], tuple[float, Verdict]] = {}
        for number in sequence:
            visit, verdict = visits[number], verdicts[number]
            if not visit.network:
                continue
            source = (visit.message, visit.mailing, visit.network)
            if verdict.reason in _HASTE:
                last[source] = (visit.at, verdict)
            elif source in last and verdict.visitor is not Visitor.MACHINE:
                at, its = last[source]
                if abs(visit.at - at) <= COMPANY_SECONDS:
                    yield number, its


def _proved(
    visits: Sequence[VisitFacts], order: Sequence[int], verdicts: Mapping[int, Verdict]
) -> Iterator[tuple[int, Verdict]]:
    """Yield opens in doubt that a person's click on the same message follows."""
    clicked: set[int] = set()
    for number in reversed(order):
        visit, (visitor, reason) = visits[number], verdicts[number]
        if visit.message is None:
            continue
        if visit.request.kind is Kind.CLICK:
            if visitor is Visitor.HUMAN:
                clicked.add(visit.message)
        elif visit.message in clicked and (visitor is Visitor.UNKNOWN or reason is Reason.AT_ONCE):
            yield number, Verdict(Visitor.HUMAN, Reason.CLICKED)
