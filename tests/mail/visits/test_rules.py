"""The verdict on one visit, rule by rule."""

import pytest

from mail.visits.agents import Manner
from mail.visits.bursts import NOTHING_RECENT, Recent
from mail.visits.names import Family, Kind, Reason, Visitor
from mail.visits.request import RequestFacts
from mail.visits.rules import MessageFacts, classify

ACCEPTED = 1_000_000.0
HUMAN, MACHINE, UNKNOWN = Visitor
OPEN = RequestFacts(Kind.OPEN, Manner.READER, Family.CHROME, False, False, False)
CLICK = OPEN._replace(kind=Kind.CLICK)
MESSAGE = MessageFacts(ACCEPTED)
BEHIND = MessageFacts(ACCEPTED, is_behind_gateway=True)
OPENED = MessageFacts(ACCEPTED, opened_by=frozenset({Family.APPLE_MAIL}))
OPENED_ALIKE = MessageFacts(ACCEPTED, opened_by=frozenset({Family.CHROME}))
RUNNING = MessageFacts(None)


@pytest.mark.parametrize(
    ("request_facts", "seconds", "message", "recent", "visitor", "reason"),
    [
        (CLICK, 300, MESSAGE, NOTHING_RECENT, HUMAN, Reason.PERSON),
        (OPEN, 300, MESSAGE, NOTHING_RECENT, HUMAN, Reason.PERSON),
        (CLICK, 300, None, NOTHING_RECENT, HUMAN, Reason.PERSON),
        # Loaded in advance, or without a name.
        (CLICK._replace(is_prefetch=True), 300, MESSAGE, NOTHING_RECENT, MACHINE, Reason.PREFETCH),
        (OPEN._replace(manner=Manner.PREFETCH), 300, MESSAGE, NOTHING_RECENT, MACHINE, Reason.PREFETCH),
        (CLICK._replace(manner=Manner.NONE), 300, MESSAGE, NOTHING_RECENT, MACHINE, Reason.NO_AGENT),
        # Programs.
        (CLICK._replace(manner=Manner.PROGRAM), 300, MESSAGE, NOTHING_RECENT, MACHINE, Reason.PROGRAM),
        # Apple’s privacy proxy.
        (OPEN._replace(manner=Manner.PRIVACY), 9_000, MESSAGE, NOTHING_RECENT, MACHINE, Reason.APPLE_PRIVACY),
        # Apple Mail itself.
        (OPEN._replace(manner=Manner.APPLE), 60, MESSAGE, NOTHING_RECENT, MACHINE, Reason.AT_ONCE),
        (OPEN._replace(manner=Manner.APPLE), 61, MESSAGE, NOTHING_RECENT, HUMAN, Reason.PERSON),
        (OPEN._replace(manner=Manner.APPLE), 61, None, NOTHING_RECENT, UNKNOWN, Reason.APPLE_MAIL),
        # Proxies of mailbox providers.
        (OPEN._replace(manner=Manner.PROXY), 60, MESSAGE, NOTHING_RECENT, UNKNOWN, Reason.PROXY),
        (OPEN._replace(manner=Manner.PROXY), 61, MESSAGE, NOTHING_RECENT, HUMAN, Reason.PROXY),
        (OPEN._replace(manner=Manner.PROXY), 61, None, NOTHING_RECENT, UNKNOWN, Reason.PROXY),
        # At once.
        (CLICK, 10, MESSAGE, NOTHING_RECENT, MACHINE, Reason.AT_ONCE),
        (CLICK, -5, MESSAGE, NOTHING_RECENT, MACHINE, Reason.AT_ONCE),
        (CLICK, -600, MESSAGE, NOTHING_RECENT, MACHINE, Reason.AT_ONCE),
        (CLICK, -601, MESSAGE, NOTHING_RECENT, HUMAN, Reason.PERSON),  # A clock was set back.
        (OPEN._replace(manner=Manner.APPLE), -601, MESSAGE, NOTHING_RECENT, HUMAN, Reason.PERSON),
        (CLICK, 300, RUNNING, NOTHING_RECENT, MACHINE, Reason.AT_ONCE),
        (CLICK, 10, OPENED, NOTHING_RECENT, UNKNOWN, Reason.AT_ONCE),
        (CLICK, 10, OPENED_ALIKE, NOTHING_RECENT, MACHINE, Reason.AT_ONCE),
        (CLICK, 59, MESSAGE, NOTHING_RECENT, UNKNOWN, Reason.NOT_OPENED),
        (CLICK, 59, OPENED, NOTHING_RECENT, HUMAN, Reason.PERSON),
        # Every link.
        (CLICK, 300, MESSAGE, Recent(is_every_link=True), MACHINE, Reason.EVERY_LINK),
        (CLICK, 300, None, Recent(is_every_link=True), MACHINE, Reason.EVERY_LINK),
        # One network, many messages.
        (CLICK, 300, MESSAGE, Recent(is_gateway=True), MACHINE, Reason.GATEWAY),
        # Known networks.
        (CLICK._replace(is_gateway=True), 300, MESSAGE, NOTHING_RECENT, MACHINE, Reason.GATEWAY),
        (OPEN._replace(is_gateway=True), 300, MESSAGE, NOTHING_RECENT, MACHINE, Reason.GATEWAY),
        # Probes.
        (CLICK._replace(is_probe=True), 300, MESSAGE, NOTHING_RECENT, MACHINE, Reason.PROBE),
        # Behind a gateway.
        (CLICK, 59, BEHIND, NOTHING_RECENT, UNKNOWN, Reason.BEHIND_GATEWAY),
        (CLICK, 60, BEHIND, NOTHING_RECENT, HUMAN, Reason.PERSON),
    ],
)
def test_the_first_rule_that_fits_decides(
    request_facts: RequestFacts,
    seconds: float,
    message: MessageFacts | None,
    recent: Recent,
    visitor: Visitor,
    reason: Reason,
) -> None:
    verdict = classify(request_facts, ACCEPTED + seconds, message, recent)

    assert verdict == (visitor, reason)


def test_only_a_machine_whatever_comes_later_needs_no_second_look() -> None:
    assert classify(CLICK._replace(is_prefetch=True), ACCEPTED, MESSAGE, NOTHING_RECENT).is_final
    assert not classify(CLICK, ACCEPTED + 5, MESSAGE, NOTHING_RECENT).is_final
    assert not classify(CLICK, ACCEPTED + 300, MESSAGE, NOTHING_RECENT).is_final
    assert not classify(CLICK, ACCEPTED + 5, OPENED, NOTHING_RECENT).is_final
