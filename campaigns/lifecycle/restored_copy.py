"""What a restored copy holds of campaigns that were about to begin, and how they are brought to the outbox.

What is in the outbox already is :mod:`delivery.operators.restored_copy`'s.
"""

import datetime as dt

from django.db.models import Q

from campaigns.ab_test import run
from campaigns.lifecycle import states
from campaigns.models import Campaign, Experiment
from campaigns.schedule import mailings, schedule
from delivery.operators.restored_copy import UnderWay

Status = Campaign.Status
MOST_SHOWN = 50


def tell(now: dt.datetime) -> list[UnderWay]:
    """Return the campaigns that were to start, and those that were paused."""
    found = []
    for campaign in Campaign.objects.filter(status=Status.SCHEDULED).order_by("starts_at", "pk")[:MOST_SHOWN]:
        starts = f"{campaign.starts_at:%d %B %Y %H:%M} UTC" if campaign.starts_at else "the time you choose"
        if campaign.starts_at and campaign.starts_at <= now:
            found.append(UnderWay(campaign.name, f"It was to start on {starts}.", "it asks before it starts."))
        else:
            found.append(UnderWay(campaign.name, f"It will start on {starts}.", "it starts then, here too."))
    paused = Campaign.objects.filter(status=Status.PAUSED).order_by("pk")[:MOST_SHOWN]
    resumed = "it stays paused until somebody resumes it."
    return [*found, *(UnderWay(campaign.name, "It is paused.", resumed) for campaign in paused)]


def prepare(now: dt.datetime) -> bool:
    """Have what the original began after the copy was made ask first, or stand in the outbox in full.

    Nothing of it is sent here: the outbox is held, and what was due in it is called unconfirmed next. False while a
    campaign cannot be started yet, because a worker of the original was at it.
    """
    due = Campaign.objects.filter(status=Status.SCHEDULED, starts_at__lte=now)
    for campaign in due:
        if mailings.mailing_ids(campaign):  # Its recipients were being prepared.
            states.start(campaign, now)
        else:
            schedule.ask(campaign)
    # A winner that was chosen just before the copy was made: the rest may have got it.
    half_way = Q(winner__isnull=False, is_rest_open=False)
    Experiment.objects.filter(half_way, campaign__mailing=None).update(winner=None, chosen_by=None, chosen_at=None)
    run.carry_on(now)
    return not any(mailings.mailing_ids(campaign) for campaign in due.all())
