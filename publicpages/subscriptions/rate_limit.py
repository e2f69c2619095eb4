"""How many requests are taken from one origin, or about one address, within a window of time.

Counted in the database, so that all web processes share one count.
"""

import datetime as dt

from django.conf import settings
from django.db.models import F, QuerySet

from mail.tokens import prover
from publicpages.models import RequestCount

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_KEPT = dt.timedelta(days=2)  # Longer than any window.


def take(purpose: str, about: str, limit: int, window: dt.timedelta, now: dt.datetime) -> bool:
    """Count one request and return True, unless ``limit`` of them came within this window already.

    :param purpose: what is counted, such as ``address``.
    :param about: whose requests they are; only a keyed hash of it is kept.
    """
    key = prover(f"requests {purpose}", settings.TOKEN_KEYS[0])(about.encode())[:32].hex()
    begins_at = now - (now - _EPOCH) % window
    of_window = RequestCount.objects.filter(key=key, begins_at=begins_at)
    if _count_one(of_window, limit):
        return True
    RequestCount.objects.bulk_create([RequestCount(key=key, begins_at=begins_at)], ignore_conflicts=True)
    return _count_one(of_window, limit)


def _count_one(of_window: "QuerySet[RequestCount]", limit: int) -> bool:
    # Compared on its own row: of two processes that come at once only one gets the last unit.
    return bool(of_window.filter(number__lt=limit).update(number=F("number") + 1))


def forget(now: dt.datetime) -> None:
    """Delete the counts of windows that are over."""
    RequestCount.objects.filter(begins_at__lt=now - _KEPT).delete()
