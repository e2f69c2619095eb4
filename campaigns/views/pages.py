"""Shared parts of campaign pages: the page frame, the campaign or 404, the start in words, the history."""

import datetime as dt
import json
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.translation import gettext as _

from campaigns.content.written import Written
from campaigns.models import Campaign
from campaigns.preflight.question import outdated
from campaigns.preflight.senders import addresses
from campaigns.reports.timeline import changed_fields
from campaigns.schedule.schedule import start_in_words
from delivery import clock, identity
from smtpservers.routing.fleet import Fleet

STRETCH = dt.timedelta(minutes=30)  # What one person types within it is one entry of the history.
COUNTING_SECONDS = 60.0  # Database time of a page that counts people. Large audiences are counted by a worker.


def page(request: HttpRequest, template: str, title: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render a page in the frame of the admin."""
    site = admin.site.each_context(request)
    return render(request, template, {**site, "title": title, **context}, status=status)


def campaign_or_404(campaign_id: int) -> Campaign:
    return get_object_or_404(Campaign.objects.select_related("mailing", "queued_by"), pk=campaign_id)


def queued_in_words(campaign: Campaign) -> str:
    """Return a message about a campaign that was just queued. It stays true while the campaign goes on."""
    if campaign.is_unreviewed:
        return _(
            "Campaign queued. Its recipients are counted and checked first. You get an email if something needs fixing."
        )
    now = clock.now()
    if campaign.starts_at is not None and campaign.starts_at > now:
        return _("Campaign scheduled for %(start)s.") % {"start": start_in_words(campaign, now)}
    return f"{_('Campaign queued.')} {held_in_words(now)}".strip()


def held_in_words(now: dt.datetime) -> str:
    """Return why a campaign that is due does not start; empty if it does. A person has to let a restored copy send."""
    return (
        _("Sending starts once an administrator allows this restored copy to send.") if identity.why_held(now) else ""
    )


def written_or_404(campaign_id: int) -> Written:
    try:
        return Written.read(campaign_id)
    except Campaign.DoesNotExist as error:
        raise Http404(str(error)) from error


def is_outdated(request: HttpRequest, campaign: Campaign, people: int | None, letter: str = "") -> bool:
    """Whether the press answers a question whose numbers no longer hold; tells the user if so.

    :param people: the present number of people; None if nobody has counted them.
    :param letter: of the variant that is sent; empty: the campaign, or all variants.
    """
    present = addresses(Written(campaign), Fleet(clock.now()), letter)
    problems = outdated(request.POST.get("shown", ""), people, present)
    for problem in problems:
        messages.error(request, problem)
    return bool(problems)


def log(request: HttpRequest, campaign: int | Campaign, what: str) -> None:
    """Add an entry with the user to the campaign's history."""
    assert request.user.pk is not None
    rows = [campaign] if isinstance(campaign, Campaign) else Campaign.objects.filter(pk=campaign)
    LogEntry.objects.log_actions(request.user.pk, rows, CHANGE, what, single_object=True)


def log_written(request: HttpRequest, campaign: Campaign, labels: Iterable[str], now: dt.datetime) -> None:
    """Note which fields the user's typing changed: in their last entry if it is of the same stretch of writing."""
    own = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Campaign), object_id=str(campaign.pk)
    ).order_by("-pk")
    last = own.first()
    if last is not None and last.user_id == request.user.pk and last.action_time > now - STRETCH and last.is_change():
        known = changed_fields(last)
        if known:
            fields = list(dict.fromkeys([*known, *labels]))
            own.filter(pk=last.pk).update(change_message=_changed(fields))
            return
    log(request, campaign, _changed(list(labels)))


def _changed(labels: list[str]) -> str:
    """Return the entry that the admin's own forms write."""
    return json.dumps([{"changed": {"fields": labels}}])
