"""Requests for headcounts: a page asks for the numbers of a large audience, and a worker counts all that it needs.

A request is a row, so it survives a worker that is killed while counting. The numbers are stored by
:mod:`campaigns.audience.headcounts`.
"""

import datetime as dt
import hashlib
import json
import logging

from django.db.models import Q

from campaigns.audience.headcounts import KEPT, headcount, patiently
from campaigns.models import Headcount, HeadcountRequest
from campaigns.preflight import people
from campaigns.preflight.review import review
from contacts.segments.audience import Audience

logger = logging.getLogger(__name__)

LEASE = dt.timedelta(minutes=2)
PATIENCE = dt.timedelta(hours=1)  # An older request is dropped; a page that still waits asks again.


def ask(whom: int | Audience, now: dt.datetime) -> tuple[dt.datetime, bool]:
    """Request that an audience is counted; return the time of the request and whether it is a new one.

    :param whom: a campaign's id, for all numbers of its review, or the audience chosen in a form.
    """
    if isinstance(whom, int):
        key, wanted = f"campaign-{whom}", {"campaign_id": whom}
    else:
        written = json.dumps(whom.as_json(), sort_keys=True, default=str)
        key = f"audience-{hashlib.sha256(written.encode()).hexdigest()}"
        wanted = {"audience": json.loads(written)}
    asked, is_new = HeadcountRequest.objects.get_or_create(key=key, defaults={**wanted, "asked_at": now})
    return asked.asked_at, is_new


def take(now: dt.datetime) -> int:
    """Answer the open requests, the oldest first; return the number of answered ones."""
    Headcount.objects.filter(counted_at__lt=now - KEPT).delete()
    HeadcountRequest.objects.filter(asked_at__lt=now - PATIENCE).delete()
    # A lease further ahead than ``LEASE`` comes from a wrong clock.
    is_free = Q(leased_until=None) | Q(leased_until__lte=now) | Q(leased_until__gt=now + LEASE)
    waiting = HeadcountRequest.objects.filter(is_free)
    done = 0
    # A request that killed its worker comes after the others.
    for request in waiting.select_related("campaign").order_by("attempts", "asked_at", "pk"):
        mine = waiting.filter(pk=request.pk, attempts=request.attempts)
        if mine.update(attempts=request.attempts + 1, leased_until=now + LEASE):
            done += _count(request, now)
            HeadcountRequest.objects.filter(pk=request.pk).delete()
    return done


def _count(request: HeadcountRequest, now: dt.datetime) -> bool:
    try:
        with patiently():
            if request.campaign is not None:
                review(request.campaign, now)
            else:
                _count_chosen(Audience.from_json(request.audience), now)
    except Exception:
        # A request that fails must not hold up the others.
        logger.exception("the people of %s could not be counted", request)
        return False
    return True


def _count_chosen(audience: Audience, now: dt.datetime) -> None:
    headcount(audience, now)
    for conditions in (*audience.segments, *audience.excluded_segments):
        people.brought(conditions, audience.consent_lists, now)
