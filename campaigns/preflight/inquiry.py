"""Inquiries for the checks: domains and servers that a page wants asked. A worker asks; nothing here waits for it."""

import datetime as dt
from collections.abc import Collection

from django.db import transaction

from campaigns.preflight.checks.dns import names_of
from campaigns.preflight.checks.routes import MailRoute
from delivery import hints
from delivery.operators import session_check
from delivery.tasks import check_sessions
from domains import rounds
from domains.tasks import check_domains


def want_sessions(routes: Collection[MailRoute], now: dt.datetime) -> None:
    """Have the servers tried that nobody has tried within the hour."""
    if session_check.ask({route.server.pk for route in routes}, now):
        transaction.on_commit(_ring_sessions)


def ask_again(routes: Collection[MailRoute], now: dt.datetime) -> None:
    """Have all domains and servers asked at once, however young the findings are."""
    if rounds.ask_about(names_of(routes), now):
        transaction.on_commit(_ring_domains)
    if session_check.ask({route.server.pk for route in routes}, now, is_again=True):
        transaction.on_commit(_ring_sessions)


def is_under_way(routes: Collection[MailRoute], now: dt.datetime) -> bool:
    """Whether a domain or a server of these is being asked, or about to be."""
    if not routes:
        return False
    return rounds.is_any_due(names_of(routes), now) or session_check.is_any_wanted({each.server.pk for each in routes})


def _ring_sessions() -> None:
    hints.ring(check_sessions)


def _ring_domains() -> None:
    hints.ring(check_domains)
