"""Who waits for the numbers of a large audience: a page asks, and a worker counts everything that the page needs.

A request is a row, so a worker that is killed while it counts loses nothing. What is counted is kept by
campaigns.audience.headcounts.
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
PATIENCE = dt.timedelta(hours=1)  # A request that failed so long is dropped; a page that still waits asks anew.


def ask(whom: int | Audience, now: dt.datetime) -> tuple[dt.datetime, bool]:
    """Have an audience counted; return since when that is asked for, and whether nobody had asked before.

    :param whom: a campaign's id, for all numbers of its review, or the audience that is ticked in a form.
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
    """Count for those who wait, the first first; return for how many that was done."""
    Headcount.objects.filter(counted_at__lt=now - KEPT).delete()
    HeadcountRequest.objects.filter(asked_at__lt=now - PATIENCE).delete()
    # A lease from the future is that of a wrong clock.
    is_free = Q(leased_until=None) | Q(leased_until__lte=now) | Q(leased_until__gt=now + LEASE)
    waiting = HeadcountRequest.objects.filter(is_free)
    done = 0
    # One that ended its worker comes after the others.
    for asked in waiting.select_related("campaign").order_by("attempts", "asked_at", "pk"):
        mine = waiting.filter(pk=asked.pk, attempts=asked.attempts)
        if mine.update(attempts=asked.attempts + 1, leased_until=now + LEASE):
            done += _count(asked, now)
            HeadcountRequest.objects.filter(pk=asked.pk).delete()
    return done


def _count(asked: HeadcountRequest, now: dt.datetime) -> bool:
    try:
        with patiently():
            if asked.campaign is not None:
                review(asked.campaign, now)
            else:
                _count_ticked(Audience.from_json(asked.audience), now)
    except Exception:
        # One that cannot be counted keeps nobody else waiting.
        logger.exception("the people of %s could not be counted", asked)
        return False
    return True


def _count_ticked(audience: Audience, now: dt.datetime) -> None:
    headcount(audience, now)
    for conditions in (*audience.segments, *audience.excluded_segments):
        people.brought(conditions, audience.consent_lists, now)
