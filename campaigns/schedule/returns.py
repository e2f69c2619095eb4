"""The way back of a queued campaign that cannot be sent: it becomes a draft, and the user who queued it gets a mail."""

import datetime as dt
import logging

from django.conf import settings
from django.db import transaction
from django.urls import reverse

from campaigns.models import Campaign, FrozenContent, Variant, transitions
from campaigns.schedule import mailings
from delivery.operators import notices
from delivery.outbox import mailings as outbox

logger = logging.getLogger(__name__)
Status = Campaign.Status


def send_back(campaign_id: int, reason: str, now: dt.datetime) -> bool:
    """Turn a campaign that has sent nothing back into a draft. False if it no longer waits for its start.

    Messages that were made for it are cancelled. It gets new ones when it is queued again.

    :param reason: the reason and what to do, in sentences; shown with the draft.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        abandoned = mailings.mailing_ids(campaign)
        is_draft = transitions.change(
            Campaign.objects.filter(pk=campaign_id),
            Status.SCHEDULED,
            Status.DRAFT,
            mailing=None,
            starts_at=None,
            is_overdue=False,
            is_unreviewed=False,
            returned_reason=reason[:600],
            start_attempts=0,
            start_reached=0,
        )
        if not is_draft:
            return False
        Variant.objects.filter(experiment__campaign=campaign).update(mailing=None)
        FrozenContent.objects.filter(campaign=campaign).delete()
        for mailing_id in abandoned:
            outbox.abandon(mailing_id, now)
        if campaign.queued_by is not None:
            page = settings.BASE_URL + reverse("campaigns:review", args=[campaign_id])
            notices.tell_returned(campaign.queued_by.email, campaign.name, reason, page, now)
    logger.warning("The campaign %s is a draft again: %s", campaign_id, reason)
    return True
