"""Scorecards: what became of the messages of each server, From domain and mailbox provider, by UTC day.

The counts are written in the transaction of what they count, so that each message counts once. Attempts are counted by
the errand that keeps the tallies; what comes back later adds to the day of its attempt.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from django.db import connection

from delivery.models import Attempt, ScoreCount
from mail.addresses import AddressInvalid, domain_of, parse_mailbox
from mail.replies.rules import RULES, Action

ACCEPTED, DELIVERED = "accepted", "delivered"
# The names of feedback's kinds for answers in the session, so that both count alike.
HARD, SOFT, CONTENT, SERVER = "hard", "soft", "content", "server"
COMPLAINT = "complaint"
# Of the rate of complaints. Below either of the first two it says nothing.
LEAST_COMPLAINTS, LEAST_ACCEPTED = 3, 1_000
WARN_PER_MILLE, STOP_PER_MILLE = 1, 3
MOST_PROVIDERS = 300  # Of a day; later ones count together.
_RULES = {rule.name: rule for rule in RULES}


class ScoreKey(NamedTuple):
    """What one count is about."""

    day: dt.date
    server_id: int
    from_domain: str
    provider: str
    kind: str


def kind_of(outcome: str, rule: str) -> str:
    """Return the kind under which an attempt counts; empty if it does not."""
    if outcome == Attempt.Outcome.ACCEPTED:
        return ACCEPTED
    known = _RULES.get(rule)
    if outcome == Attempt.Outcome.BOUNCED:
        return HARD if known is not None and known.action is Action.SUPPRESS else SOFT
    if outcome == Attempt.Outcome.FAILED and known is not None:
        return CONTENT if known.stops_campaign else SERVER
    return ""


def domain_of_from(header_from: str) -> str:
    """Return the domain of a From header in lower case; empty if it has none."""
    try:
        return domain_of(parse_mailbox(header_from).address)
    except AddressInvalid:
        return ""


def add(counts: Counter[ScoreKey]) -> None:
    """Add to the counts, in the caller's transaction."""
    counts = _fold(counts)
    adapt = connection.ops.adapt_datefield_value
    # Sorted, so that two workers cannot deadlock.
    values = [
        [adapt(key.day), key.server_id, key.from_domain[:255], key.provider[:255], key.kind, number]
        for key, number in sorted(counts.items())
    ]
    if not values:
        return
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO delivery_scorecount AS c (day, server_id, from_domain, provider, kind, number)"
            " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (server_id, day, from_domain, provider, kind)"
            " DO UPDATE SET number = c.number + excluded.number",
            values,
        )


def _fold(counts: Counter[ScoreKey]) -> Counter[ScoreKey]:
    """Count all providers beyond ``MOST_PROVIDERS`` of a day together, so that there are few rows."""
    known = {day: _providers(day) for day in {key.day for key in counts}}
    folded: Counter[ScoreKey] = Counter()
    for key, number in counts.most_common():
        providers = known[key.day]
        if key.provider not in providers and len(providers) >= MOST_PROVIDERS:
            key = key._replace(provider=ScoreCount.OTHER)
        else:
            providers.add(key.provider)
        folded[key] += number
    return folded


def _providers(day: dt.date) -> set[str]:
    return set(ScoreCount.objects.filter(day=day).order_by().values_list("provider", flat=True).distinct())


def sums(day: dt.date, from_domain: str, provider: str, kinds: Iterable[str]) -> dict[str, int]:
    """Return the day's numbers of a From domain at a provider by kind, across all servers."""
    rows = ScoreCount.objects.filter(day=day, from_domain=from_domain, provider=provider, kind__in=list(kinds))
    found: Counter[str] = Counter()
    for kind, number in rows.values_list("kind", "number"):
        found[kind] += number
    return dict(found)
