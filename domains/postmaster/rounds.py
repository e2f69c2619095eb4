"""The errand's rounds: each account for Postmaster Tools is asked once a day for the domains that are listed here.

Values of the last days still change, so each round asks for ten days. Nobody is asked while a page loads, and a copy
of the installation that waits to be confirmed asks nobody.
"""

import datetime as dt
import logging
import random
from collections.abc import Callable

from django.db.models import F, Q

from domains.models import PostmasterAccess, PostmasterDomain, SendingDomain
from domains.postmaster import client, store
from domains.postmaster.answers import OF_ACCOUNT, Listed, Problem
from domains.postmaster.client import NotRead
from oauth.client.providers import POSTMASTER_FLOWS
from oauth.models import OAuthAccount
from oauth.tokens import why_held

log = logging.getLogger(__name__)

DAYS = 10
BETWEEN = dt.timedelta(days=1)
WHILE_BROKEN = dt.timedelta(hours=1)  # While a person has to act, or a domain can't be read.
FIRST_WAIT, LONGEST_WAIT = dt.timedelta(minutes=15), dt.timedelta(hours=6)  # While Google doesn't answer.
NOT_AGAIN = dt.timedelta(hours=20)  # A round that was cut short goes on with the domains it has not asked for.
LEASE = dt.timedelta(minutes=10)  # Longer than a round may take; a worker that dies costs that much.

Clock = Callable[[], dt.datetime]


def ask_due(read_clock: Clock, should_stop: Callable[[], bool]) -> int:
    """Ask with the accounts that are due, one after the other; return their number."""
    if why_held(read_clock()):
        return 0
    _find_accounts(read_clock())
    count = 0
    while not should_stop() and (access := _claim(read_clock())) is not None:
        try:
            _ask(access, read_clock, should_stop)
        except Exception:  # An answer may hold what nobody thought of: the next account is asked all the same.
            log.exception("the round of an account for Postmaster Tools failed; it is asked again later")
            _end(access, read_clock(), Problem.BUSY, "")
        count += 1
    return count


def _find_accounts(now: dt.datetime) -> None:
    new = OAuthAccount.objects.filter(flow__in=POSTMASTER_FLOWS, postmaster_access=None)
    PostmasterAccess.objects.bulk_create(
        [PostmasterAccess(account=account, next_at=now) for account in new], ignore_conflicts=True
    )


def _claim(now: dt.datetime) -> PostmasterAccess | None:
    """Take an account that is due and connected, for as long as a round may last; None if there is none."""
    works = Q(account__state__in=(OAuthAccount.State.OK, OAuthAccount.State.TROUBLE))
    due = PostmasterAccess.objects.filter(works, next_at__lte=now).select_related("account").order_by("next_at")
    for access in due[:20]:
        ours = PostmasterAccess.objects.filter(pk=access.pk, next_at=access.next_at)
        if ours.update(next_at=now + LEASE):
            access.next_at = now + LEASE
            return access
    return None


def _ask(access: PostmasterAccess, read_clock: Clock, should_stop: Callable[[], bool]) -> None:
    account = access.account
    try:
        seen = {one.name: one for one in client.list_domains(account, read_clock)}
        is_done = _ask_for_all(account, seen, read_clock, should_stop)
    except NotRead as error:
        problem = error.problem if error.problem in OF_ACCOUNT else Problem.NOT_UNDERSTOOD
        _end(access, read_clock(), problem, error.replied)
        return
    now = read_clock()
    if not is_done:
        PostmasterAccess.objects.filter(pk=access.pk, next_at=access.next_at).update(next_at=now, failures=0)
        return
    _end(access, now, None, "")


def _ask_for_all(
    account: OAuthAccount, seen: dict[str, Listed], read_clock: Clock, should_stop: Callable[[], bool]
) -> bool:
    """Ask for each domain that is listed here and there; return whether no domain is left.

    :raises NotRead: if the rest can't be asked for either.
    """
    asked_first = F("postmaster__asked_at").asc(nulls_first=True)
    domains = SendingDomain.objects.filter(name__in=list(seen)).select_related("postmaster").order_by(asked_first)
    for domain in domains:
        if not _is_ours(domain, account, read_clock()):
            continue
        if should_stop():
            return False
        _ask_for(account, domain, seen[domain.name], read_clock)
    gone = PostmasterDomain.objects.filter(account=account).exclude(domain__name__in=list(seen))
    gone.update(problem=Problem.NOT_LISTED.value, replied="", asked_at=read_clock())
    return True


def _is_ours(domain: SendingDomain, account: OAuthAccount, now: dt.datetime) -> bool:
    """Tell whether a domain is to be asked for: not if it was just now, or if another account reads it well."""
    known: PostmasterDomain | None = getattr(domain, "postmaster", None)
    if known is None or known.problem or known.account_id is None or known.asked_at is None:
        return True
    if known.account_id == account.pk:
        return known.asked_at <= now - NOT_AGAIN
    return known.asked_at <= now - 2 * BETWEEN


def _ask_for(account: OAuthAccount, domain: SendingDomain, seen: Listed, read_clock: Clock) -> None:
    if seen.problem is not None:
        store.save_problem(domain, account, seen.problem, "", read_clock())
        return
    today = read_clock().astimezone(dt.UTC).date()
    try:
        figures = client.figures_of(
            account, domain.name, today - dt.timedelta(days=DAYS), today - dt.timedelta(days=1), read_clock
        )
        requirements = client.compliance_of(account, domain.name, read_clock)
    except NotRead as error:
        if error.problem in OF_ACCOUNT:
            raise
        store.save_problem(domain, account, error.problem, error.replied, read_clock())
        return
    store.save(domain, account, figures, requirements, read_clock())


def _end(access: PostmasterAccess, now: dt.datetime, problem: Problem | None, replied: str) -> None:
    """Store how a round ended, and when the next one is due."""
    failures = access.failures + 1 if problem is Problem.BUSY else 0
    if problem is Problem.BUSY:
        wait = min(FIRST_WAIT * 2 ** min(failures - 1, 10), LONGEST_WAIT)
    elif problem or PostmasterDomain.objects.filter(account=access.account).exclude(problem="").exists():
        wait = WHILE_BROKEN
    else:
        wait = BETWEEN
    PostmasterAccess.objects.filter(pk=access.pk, next_at=access.next_at).update(
        next_at=now + wait * random.uniform(0.9, 1.0),
        asked_at=now,
        failures=failures,
        problem=problem.value if problem else "",
        replied=replied,
    )
