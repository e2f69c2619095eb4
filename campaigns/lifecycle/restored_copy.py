"""Campaigns that were about to start when a restored copy of the database was made.

Messages that are in the outbox already are the subject of :mod:`delivery.operators.restored_copy`.
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
    """Return the scheduled and the paused campaigns, for the report on the restored copy."""
    found = []
    for campaign in Campaign.objects.filter(status=Status.SCHEDULED).order_by("starts_at", "pk")[:MOST_SHOWN]:
        starts = f"{campaign.starts_at:%d %B %Y %H:%M} UTC" if campaign.starts_at else "the time you choose"
        if campaign.starts_at and campaign.starts_at <= now:
            found.append(UnderWay(campaign.name, f"Its start was planned for {starts}.", "it asks before it starts."))
        else:
            found.append(UnderWay(campaign.name, f"It will start on {starts}.", "it starts then, here too."))
    paused = Campaign.objects.filter(status=Status.PAUSED).order_by("pk")[:MOST_SHOWN]
    resumed = "it stays paused until someone resumes it."
    return [*found, *(UnderWay(campaign.name, "It is paused.", resumed) for campaign in paused)]


def prepare(now: dt.datetime) -> bool:
    """Prepare the campaigns that the original may have started after the copy was made.

    A campaign whose start was due waits for a person's answer. A campaign whose messages were being made gets all of
    them in the outbox. Nothing is sent here: the outbox is on hold, and its due messages are marked unconfirmed next.

    :return: False while a campaign still has the lease of a worker of the original; call again then.
    """
    due = Campaign.objects.filter(status=Status.SCHEDULED, starts_at__lte=now)
    for campaign in due:
        if mailings.mailing_ids(campaign):  # Its messages were being made.
            states.start(campaign, now)
        else:
            schedule.mark_overdue(campaign)
    # A winner chosen just before the copy was made may have been sent to the rest.
    half_way = Q(winner__isnull=False, is_rest_open=False)
    Experiment.objects.filter(half_way, campaign__mailing=None).update(winner=None, chosen_by=None, chosen_at=None)
    run.open_rests(now)
    return not any(mailings.mailing_ids(campaign) for campaign in due.all())
