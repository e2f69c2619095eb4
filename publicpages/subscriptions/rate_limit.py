"""Rate limits for requests from one origin, or about one address, per time window.

The counts are in the database, so that all web processes share them.
"""

import datetime as dt

from django.conf import settings
from django.db.models import F, QuerySet

from mail.tokens import prover
from publicpages.models import RequestCount

_EPOCH = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
_KEPT = dt.timedelta(days=2)  # Longer than any window.


def take(purpose: str, about: str, limit: int, window: dt.timedelta, now: dt.datetime) -> bool:
    """Count one request and return True, unless this window already has ``limit`` requests.

    :param purpose: the kind of request, such as ``address``.
    :param about: the origin or address; only a keyed hash of it is stored.
    """
    key = prover(f"requests {purpose}", settings.TOKEN_KEYS[0])(about.encode())[:32].hex()
    begins_at = now - (now - _EPOCH) % window
    of_window = RequestCount.objects.filter(key=key, begins_at=begins_at)
    if _count_one(of_window, limit):
        return True
    RequestCount.objects.bulk_create([RequestCount(key=key, begins_at=begins_at)], ignore_conflicts=True)
    return _count_one(of_window, limit)


def _count_one(of_window: "QuerySet[RequestCount]", limit: int) -> bool:
    # Compared within the row: of two simultaneous processes only one gets the last unit.
    return bool(of_window.filter(number__lt=limit).update(number=F("number") + 1))


def delete_past_windows(now: dt.datetime) -> None:
    """Delete the counts of past windows."""
    RequestCount.objects.filter(begins_at__lt=now - _KEPT).delete()
