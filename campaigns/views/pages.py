"""Shared parts of campaign pages: the page frame, the campaign or 404, the start in words, the history."""

import datetime as dt
from typing import Any

from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render

from campaigns.content.written import Written
from campaigns.models import Campaign
from campaigns.schedule.schedule import start_in_words
from delivery import clock, identity

STARTS_HELD = "It starts once an administrator lets this restored copy send."
COUNTING_SECONDS = 60.0  # Database time of a page that counts people. Large audiences are counted by a worker.


def page(request: HttpRequest, template: str, title: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render a page in the frame of the admin."""
    site = admin.site.each_context(request)
    return render(request, template, {**site, "title": title, **context}, status=status)


def campaign_or_404(campaign_id: int) -> Campaign:
    return get_object_or_404(Campaign.objects.select_related("mailing", "queued_by"), pk=campaign_id)


def starts_in_words(campaign: Campaign) -> str:
    """Return a sentence about the start of a campaign that was just queued."""
    if campaign.is_unreviewed:
        return (
            "Its people are counted and its checks made first. If a check blocks it, it becomes a draft again and you"
            " get a notice."
        )
    now = clock.now()
    if campaign.starts_at is None or campaign.starts_at <= now:
        return starts_at_once(now)
    return f"It starts on {start_in_words(campaign)}."


def starts_at_once(now: dt.datetime) -> str:
    """Return a sentence about a start that is due; a restored copy starts nothing before a person has said so."""
    return STARTS_HELD if identity.why_held(now) else "It starts within seconds."


def written_or_404(campaign_id: int) -> Written:
    try:
        return Written.read(campaign_id)
    except Campaign.DoesNotExist as error:
        raise Http404(str(error)) from error


def log(request: HttpRequest, campaign: int | Campaign, what: str) -> None:
    """Add an entry with the user to the campaign's history."""
    assert request.user.pk is not None
    rows = [campaign] if isinstance(campaign, Campaign) else Campaign.objects.filter(pk=campaign)
    LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, what, single_object=True)
