"""The verdict on one visit: who it was, and why. The first rule that fits decides.

A verdict is asked for twice: when the request is read from the spool, and once more five minutes after the first visit
of its message. The second answer stands, because what came after a click may give it away.
"""

import math
from typing import NamedTuple

from mail.visits.agents import Manner
from mail.visits.bursts import NOTHING_RECENT, Recent
from mail.visits.names import Family, Kind, Reason, Visitor
from mail.visits.request import RequestFacts

AT_ONCE_SECONDS = 10
SOON_SECONDS = 60
# RFC 5321, section 4.5.3.2.6: how long a server may take to accept a mail, which a gateway may look at meanwhile.
LONGEST_SECONDS = 600


class MessageFacts(NamedTuple):
    """What is known of the message that a personal link belongs to."""

    accepted_at: float | None  # When the recipient's side took it (epoch): the provider's "delivered" where it came,
    # else the end of our attempt. None while the attempt runs: a gateway may look before it says yes.
    is_behind_gateway: bool = False  # By :func:`mail.visits.gateways.is_gateway_provider`.
    opened_by: frozenset[Family] = frozenset()  # Mail programs and proxies that showed it before this visit.


class Verdict(NamedTuple):
    """Who it was."""

    visitor: Visitor
    reason: Reason

    @property
    def is_final(self) -> bool:
        """Tell whether the second look can be spared, because nothing that comes later changes the verdict."""
        return self.visitor is Visitor.MACHINE and self.reason is not Reason.AT_ONCE


def classify(request: RequestFacts, at: float, message: MessageFacts | None, recent: Recent) -> Verdict:
    """Return who made a request.

    :param at: when it came, seconds since the epoch.
    :param message: None at the anonymous level, where a link belongs to no message.
    :param recent: one of :func:`mail.visits.bursts.recents`; ``NOTHING_RECENT`` for an open.
    """
    verdict = _by_name(request) or (
        _of_open(request, at, message) if request.kind is Kind.OPEN else _of_click(request, at, message, recent)
    )
    return verdict or Verdict(Visitor.HUMAN, Reason.PERSON)


def first_look(request: RequestFacts, at: float) -> Verdict:
    """Return what a request says of who made it, before anything else is known."""
    return classify(request, at, None, NOTHING_RECENT)


def _by_name(request: RequestFacts) -> Verdict | None:
    """Judge by what the request says of itself."""
    if request.is_prefetch or request.manner is Manner.PREFETCH:
        return _machine(Reason.PREFETCH)
    if request.manner is Manner.NONE:
        return _machine(Reason.NO_AGENT)
    if request.manner is Manner.PROGRAM:
        return _machine(Reason.PROGRAM)
    return None


def _of_open(request: RequestFacts, at: float, message: MessageFacts | None) -> Verdict | None:
    if request.manner is Manner.PRIVACY:
        return _machine(Reason.APPLE_PRIVACY)
    if request.manner is Manner.APPLE:
        if message is None:
            return _unknown(Reason.APPLE_MAIL)
        return _machine(Reason.AT_ONCE) if _seconds_after(message, at) <= SOON_SECONDS else None
    if request.manner is Manner.PROXY:
        is_late = message is not None and _seconds_after(message, at) > SOON_SECONDS
        return Verdict(Visitor.HUMAN, Reason.PROXY) if is_late else _unknown(Reason.PROXY)
    if request.is_gateway:
        return _machine(Reason.GATEWAY)
    return _machine(Reason.PROBE) if request.is_probe else None


def _of_click(request: RequestFacts, at: float, message: MessageFacts | None, recent: Recent) -> Verdict | None:
    if message is not None and _seconds_after(message, at) <= AT_ONCE_SECONDS:
        if message.opened_by - {request.family}:
            return _unknown(Reason.AT_ONCE)
        return _machine(Reason.AT_ONCE)
    if recent.is_every_link:
        return _machine(Reason.EVERY_LINK)
    if recent.is_gateway or request.is_gateway:
        return _machine(Reason.GATEWAY)
    if request.is_probe:
        return _machine(Reason.PROBE)
    if message is not None and _seconds_after(message, at) < SOON_SECONDS:
        if message.is_behind_gateway:
            return _unknown(Reason.BEHIND_GATEWAY)
        if not message.opened_by:
            return _unknown(Reason.NOT_OPENED)
    return None


def _seconds_after(message: MessageFacts, at: float) -> float:
    if message.accepted_at is None:
        return 0.0
    seconds = at - message.accepted_at
    # A visit so long before shows that a clock was set back. Then the time says nothing.
    return seconds if seconds >= -LONGEST_SECONDS else math.inf


def _machine(reason: Reason) -> Verdict:
    return Verdict(Visitor.MACHINE, reason)


def _unknown(reason: Reason) -> Verdict:
    return Verdict(Visitor.UNKNOWN, reason)
