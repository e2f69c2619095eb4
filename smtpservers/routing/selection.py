"""Selection: the servers for a mailing's next messages, how many each gets, and why; or why there is none, until when.

Three strategies. *Display order*: the first server that may and can send gets everything, the rest are fail-over.
*Weighted share*: each gets messages in proportion to its weight. *Least used share of quota*: each gets what brings all
of them to the same used percentage; servers without a quota are used when the others have no room. A server that is
throttled or on probation gets only what it can take in a moment, so that the others do not wait for it.
"""

import datetime as dt
from collections.abc import Collection, Container, Mapping, Sequence
from types import MappingProxyType

from smtpservers.limits.refused_senders import sender_of
from smtpservers.routing.candidates import Candidate, refusing
from smtpservers.routing.rules import DEFAULT, RoutingRule
from smtpservers.routing.strategies import Able, Choice
from words.texts import text as _

NOBODY: Mapping[int, str] = MappingProxyType({})


def able(
    candidates: Sequence[Candidate],
    now: dt.datetime,
    *,
    rule: RoutingRule = DEFAULT,
    mail_from: str = "",
    named: Collection[int] = (),
    avoid: Container[int] = (),
    only: int | None = None,
    even_inactive: bool = False,
    barred: Mapping[int, str] = NOBODY,
) -> Able:
    """Return the candidates that may and can send, and the obstacles of the others.

    :param rule: the routing rule that decides; ``only`` overrides it.
    :param mail_from: a From that overrides the server's own; empty: none.
    :param named: the servers that a campaign names; empty: all that the rule allows.
    :param avoid: servers that refused this very message.
    :param only: the one server that a person asked for.
    :param even_inactive: whether an inactive or paused server is fine, as for a test.
    :param barred: servers that this mail can't use though the rule allows them, and why, as the end of "Alpha …".
    """
    considered = _considered(candidates, rule, named, only)
    servers: list[Candidate] = []
    obstacles: list[tuple[Candidate, str]] = []
    free_at: list[dt.datetime] = []
    before_first = 0
    for candidate in considered:
        if candidate.server_id in avoid:
            obstacle = _("didn't accept this message")
        elif candidate.server_id in barred:
            obstacle = barred[candidate.server_id]
        elif not candidate.may_send_from(mail_from):
            obstacle = _("doesn't send for %(mail_from)s", mail_from=mail_from)
        elif (
            candidate.refused
            and not even_inactive
            and (address := sender_of(mail_from) or candidate.sender) in candidate.refused
        ):
            obstacle = refusing(address)
            if (when := candidate.refused[address]) is not None:
                free_at.append(when)
        else:
            obstacle = "" if even_inactive and candidate.room != 0 else candidate.obstacle(now)
            if obstacle and (when := candidate.free_at(now)) is not None:
                free_at.append(when)
            obstacle = obstacle or candidate.unsigned(mail_from)
        if obstacle:
            obstacles.append((candidate, obstacle))
        else:
            before_first = before_first if servers else len(obstacles)
            servers.append(candidate)
    return Able(
        rule,
        tuple(servers),
        tuple(obstacles),
        before_first,
        min(free_at, default=None),
        is_by_hand=only is not None,
        is_named=bool(named),
        nobody="" if considered else _nobody(candidates, rule, named),
    )


def choose(
    candidates: Sequence[Candidate],
    now: dt.datetime,
    *,
    rule: RoutingRule = DEFAULT,
    mail_from: str = "",
    named: Collection[int] = (),
    avoid: Container[int] = (),
    only: int | None = None,
    even_inactive: bool = False,
    spot: float = 0.0,
) -> Choice:
    """Return the server for a single message; parameters as in :func:`able`."""
    found = able(
        candidates,
        now,
        rule=rule,
        mail_from=mail_from,
        named=named,
        avoid=avoid,
        only=only,
        even_inactive=even_inactive,
    )
    return found.choice(spot)


def spot_of(number: int) -> float:
    """Return a position between 0 and 1 for the ``number``-th item; any run of numbers is spread evenly."""
    return number * 0.6180339887498949 % 1.0  # Multiples of the golden ratio leave the smallest gaps (Weyl).


def _considered(
    candidates: Sequence[Candidate], rule: RoutingRule, named: Collection[int], only: int | None
) -> Sequence[Candidate]:
    if only is not None:
        return [candidate for candidate in candidates if candidate.server_id == only]
    if not rule.server_ids and not named:
        return candidates
    allowed = rule.server_ids & frozenset(named) if rule.server_ids and named else rule.server_ids or frozenset(named)
    return [candidate for candidate in candidates if candidate.server_id in allowed]


def _nobody(candidates: Sequence[Candidate], rule: RoutingRule, named: Collection[int]) -> str:
    known = {candidate.server_id for candidate in candidates}
    if not known:
        return _("No servers yet. Add one to start sending.")
    if named and known.isdisjoint(named):
        return _("All servers of this campaign were deleted. Duplicate the campaign and choose others.")
    if rule.server_ids and known.isdisjoint(rule.server_ids):
        return _("All servers of the routing rule “%(name)s” were deleted. Choose others there.", name=rule.name)
    if rule.server_ids and named:
        return _("The routing rule “%(name)s” allows none of the campaign's servers.", name=rule.name)
    return _("The chosen server was deleted.")
