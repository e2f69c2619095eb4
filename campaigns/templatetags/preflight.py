"""Template tags for parts of a campaign's review on other pages: forecast, approvals, missed starts."""

import datetime as dt
from collections import Counter
from typing import Any

from django import template
from django.utils import timezone

from campaigns.ab_test.variants import experiment_of
from campaigns.audience.headcounts import NotCounted
from campaigns.forecast.inputs import forecast_campaign
from campaigns.forecast.words import words
from campaigns.models import Approval, Campaign, CheckOverride
from campaigns.reports.cache import remembered
from campaigns.schedule import mailings
from campaigns.schedule.schedule import hours_of, start_in_words
from campaigns.tasks import have_counted
from delivery import clock
from delivery.outbox import mailings as outbox
from words.instants import moment

register = template.Library()
register.filter("start", start_in_words)
ON_ITS_WAY = (Campaign.Status.SCHEDULED, Campaign.Status.SENDING)


@register.inclusion_tag("campaigns/forecast_card.html")
def forecast_of(campaign: Campaign) -> dict[str, Any]:
    """Show the forecast for a scheduled or sending campaign; nothing for others."""
    if campaign.status not in ON_ITS_WAY:
        return {}
    now = clock.now()
    zone = timezone.get_current_timezone()
    experiment = experiment_of(campaign)
    key = f"forecast-{campaign.pk}-{campaign.status}-{campaign.mailing_id}-{experiment and experiment.winner_id}"
    later: Counter[dt.datetime] = Counter()
    for mailing_id in mailings.mailing_ids(campaign):
        later.update(dict(outbox.later_starts(mailing_id)))
    try:
        expected = remembered(key, lambda: forecast_campaign(campaign, now))
    except NotCounted:
        have_counted(campaign.pk, now)
        return {"is_counting": True}
    if not expected.total and campaign.status == Campaign.Status.SENDING:
        return {}  # All messages were tried, or they are still being made; the summary says which.
    return {
        "forecast": words(expected, zone),
        "at": now,
        "hours": hours_of(campaign),
        # As words: a template's date filter would tell the time in the zone of the page.
        "later": [(moment(at, zone), number) for at, number in sorted(later.items())[:6]],
        "not_after": moment(campaign.not_after, zone) if campaign.not_after and not campaign.is_closed else "",
    }


@register.inclusion_tag("campaigns/agreements.html")
def agreements(campaign: Campaign) -> dict[str, Any]:
    """Show the overridden checks with names and reasons, and the approvals of the campaign."""
    return {
        "overrides": CheckOverride.objects.filter(campaign=campaign),
        "approvals": Approval.objects.filter(campaign=campaign).exclude(decision=""),
    }


@register.inclusion_tag("campaigns/overdue_all.html", takes_context=True)
def overdue_campaigns(context: dict[str, Any]) -> dict[str, Any]:
    """Ask about the campaigns that missed their start, and show those that became drafts again.

    Both lists need the permission to see progress. Answers need the permission to queue campaigns.
    """
    request = context["request"]
    may_see = request.user.has_perm("campaigns.view_progress")
    waiting = Campaign.objects.filter(status=Campaign.Status.SCHEDULED, is_overdue=True) if may_see else ()
    returned = Campaign.objects.filter(status=Campaign.Status.DRAFT).exclude(returned_reason="") if may_see else ()
    return {
        "campaigns": waiting,
        "returned": returned[:5],
        "may_queue": request.user.has_perm("campaigns.queue_campaign"),
        "csrf_token": context.get("csrf_token"),
    }
