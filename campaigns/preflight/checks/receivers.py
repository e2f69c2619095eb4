"""The checks of what comes back: signatures that receivers report (M7), feedback loops (C6), unread reports (T3)."""

import datetime as dt
from collections.abc import Callable, Iterator, Sequence

from django.utils.translation import gettext as _

from campaigns.preflight.checks.routes import MailRoute
from campaigns.preflight.finding import BLOCK, INFORM, WARN, Finding, found
from domains.known import Signatures, signatures_of, without_loops
from mail.addresses import readable_domain
from registry import Registry

REPORTED = dt.timedelta(days=30)
FEW_BAD, MANY_BAD = 5, 50  # Percent of our messages without a good signature.
WARN_UNREAD, BLOCK_UNREAD = dt.timedelta(hours=24), dt.timedelta(hours=48)

# When the oldest report came in that nobody has read yet; None without one. An unsubscribe may be in it.
OLDEST_UNREAD: Registry[Callable[[], dt.datetime | None]] = Registry()


def of_receivers(routes: Sequence[MailRoute], now: dt.datetime) -> Iterator[Finding]:
    """Yield what receivers told. Three queries at most."""
    if not routes:
        return
    authors = list(dict.fromkeys(route.sender.author for route in routes))
    reported = signatures_of(authors, (now - REPORTED).astimezone(dt.UTC).date())
    for domain in authors:
        yield from _signatures(domain, reported.get(domain))
    yield from _loops(routes)
    yield from _unread(now)


def _signatures(domain: str, reported: Signatures | None) -> Iterator[Finding]:
    name = readable_domain(domain)
    if reported is None:
        sentence = _("For 30 days no receiver has reported whether it accepts signatures of %(domain)s.")
        remedy = _("Send a test to a mailbox of your own and look for dkim=pass, or ask for DMARC reports.")
        yield found("M7", WARN, sentence % {"domain": name}, remedy, domain)
        return
    every = reported.good + reported.bad
    percent = reported.bad * 100 / every
    if percent < FEW_BAD:
        return
    sentence = _("Receivers report %(bad)s of %(all)s messages from %(domain)s without a good signature.")
    values = {"bad": f"{reported.bad:,}", "all": f"{every:,}", "domain": name}
    remedy = _("Have each server or provider sign with this domain.")
    yield found("M7", BLOCK if percent >= MANY_BAD else WARN, sentence % values, remedy, domain)


def _loops(routes: Sequence[MailRoute]) -> Iterator[Finding]:
    asking = {each.sender.author for each in routes if each.server.use_spam_address and each.server.spam_address}
    missing = without_loops(asking) if asking else {}
    for domain, providers in missing.items():
        if providers:
            sentence = _("Complaints of %(providers)s about %(domain)s may not reach you: no feedback loop is noted.")
            values = {"providers": ", ".join(providers), "domain": readable_domain(domain)}
            remedy = _("Register it, and enter the date on the domain's page.")
            yield found("C6", INFORM, sentence % values, remedy, domain)


def _unread(now: dt.datetime) -> Iterator[Finding]:
    waiting = [at for oldest in OLDEST_UNREAD.values() if (at := oldest()) is not None]
    age = now - min(waiting, default=now)
    if age > WARN_UNREAD:
        sentence = _("Reports have waited unread for %(hours)s hours. People who unsubscribed may be among them.")
        remedy = _("Ask an administrator to look at the workers.")
        severity = BLOCK if age > BLOCK_UNREAD else WARN
        yield found("T3", severity, sentence % {"hours": f"{age // dt.timedelta(hours=1):,}"}, remedy)
