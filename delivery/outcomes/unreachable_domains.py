"""Unreachable domains: rows for domains that, by DNS, do not exist or take no mail. All processes read them."""

import datetime as dt
from collections.abc import Iterable

from delivery.models import UnreachableDomain
from delivery.outcomes.result import Result
from mail.addresses import domain_of

KINDS = ("no-domain", "no-mail")  # Keys of :data:`mail.replies.words.MEANINGS`.
BELIEVED_FOR = dt.timedelta(days=1)


def note(results: Iterable[Result], now: dt.datetime) -> None:
    """Store the domains of messages that failed because their domain is unreachable, in the caller's transaction."""
    found = {
        domain_of(result.message.email): result.judgement.rule
        for result in results
        if result.judgement.rule in KINDS and not result.message.redirected_to
    }
    UnreachableDomain.objects.bulk_create(
        # Sorted, so that two workers cannot deadlock.
        [UnreachableDomain(domain=domain, kind=kind, found_at=now) for domain, kind in sorted(found.items())],
        update_conflicts=True,
        unique_fields=["domain"],
        update_fields=["kind", "found_at"],
    )


def known(now: dt.datetime) -> list[str]:
    """Return the domains that were recently found unreachable, the latest first."""
    lately = UnreachableDomain.objects.filter(found_at__gt=now - BELIEVED_FOR)
    return list(lately.order_by("-found_at", "domain").values_list("domain", flat=True))


def is_known(domain: str, now: dt.datetime) -> bool:
    """Whether the domain was recently found unreachable.

    :param domain: in lower case, as :func:`mail.addresses.domain_of` returns it.
    """
    return UnreachableDomain.objects.filter(domain=domain, found_at__gt=now - BELIEVED_FOR).exists()


def forget(now: dt.datetime) -> None:
    """Delete domains found longer than ``BELIEVED_FOR`` ago."""
    UnreachableDomain.objects.filter(found_at__lte=now - BELIEVED_FOR).delete()
