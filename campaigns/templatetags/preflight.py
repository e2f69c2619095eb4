"""Template tags for the pages of campaigns: times, sample subjects, the forecast, approvals, missed starts."""

import datetime as dt
from collections import Counter, defaultdict
from typing import Any

from django import template
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.ab_test.variants import experiment_of
from campaigns.audience.audience import names_of
from campaigns.audience.headcounts import NotCounted
from campaigns.content.written import Written
from campaigns.forecast.inputs import forecast_campaign
from campaigns.forecast.words import words
from campaigns.models import Approval, Campaign, CheckOverride
from campaigns.preflight.preview import sample_subject
from campaigns.preflight.question import mark
from campaigns.preflight.senders import addresses, senders
from campaigns.reports.cache import remembered
from campaigns.schedule import mailings
from campaigns.schedule.schedule import hours_of, start_in_words, starts_of, wall_in_words
from campaigns.tasks import have_counted
from delivery import clock
from delivery.outbox import mailings as outbox
from smtpservers.routing.fleet import Fleet
from words import instants
from words.time_zones import place

register = template.Library()
register.filter("filled", sample_subject)
ON_ITS_WAY = (Campaign.Status.SCHEDULED, Campaign.Status.SENDING)
MOST_STARTS = 6  # Later starts that the card names.
MOST_CITIES = 3  # Time zones that one of these starts names.


@register.filter
def start(campaign: Campaign) -> str:
    """Return the start of a scheduled campaign in words."""
    return start_in_words(campaign, clock.now())


@register.inclusion_tag("campaigns/forecast_card.html")
def forecast_of(campaign: Campaign) -> dict[str, Any]:
    """Show the forecast for a scheduled or sending campaign; nothing for others."""
    if campaign.status not in ON_ITS_WAY:
        return {}
    now = clock.now()
    zone = timezone.get_current_timezone()
    experiment = experiment_of(campaign)
    key = f"forecast-{campaign.pk}-{campaign.status}-{campaign.mailing_id}-{experiment and experiment.winner_id}"
    try:
        expected = remembered(key, lambda: forecast_campaign(campaign, now))
        later = _later(campaign, now)
    except NotCounted:
        have_counted(campaign.pk, now)
        return {"is_counting": True}
    if not expected.total and campaign.status == Campaign.Status.SENDING:
        return {}  # All messages were tried, or they are still being made; the summary says which.
    return {
        "forecast": words(expected, zone),
        "hours": hours_of(campaign),
        "later": later,
        "wall": wall_in_words(campaign, now),
        # As words: a template's date filter would tell the time in the zone of the page.
        "not_after": instants.stamp(campaign.not_after, now, zone)
        if campaign.not_after and not campaign.is_closed
        else "",
    }


def _later(campaign: Campaign, now: dt.datetime) -> list[tuple[str, int]]:
    """Return the next starts at recipients' local time: the cities of their zones, and the number of people."""
    numbers: Counter[dt.datetime] = Counter()
    for mailing_id in mailings.mailing_ids(campaign):
        numbers.update(dict(outbox.later_starts(mailing_id)))
    if not numbers:
        return []
    cities = defaultdict(list)
    for zone, at in starts_of(campaign, now).items():
        cities[at].append(place(zone) or zone if zone else _("unknown time zones"))
    return [(_cities(sorted(cities[at])), number) for at, number in sorted(numbers.items())[:MOST_STARTS]]


def _cities(names: list[str]) -> str:
    shown, more = names[:MOST_CITIES], len(names[MOST_CITIES:])
    listed = ", ".join(shown) or _("other time zones")
    if not more:
        return listed
    also = ngettext("%(cities)s and %(n)s more time zone", "%(cities)s and %(n)s more time zones", more)
    return also % {"cities": listed, "n": more}


@register.inclusion_tag("campaigns/send_facts.html")
def send_facts(campaign: Campaign, people: int | None, letter: str = "") -> dict[str, Any]:
    """Show to which lists a campaign is sent, and from which address, with the mark of the question around it.

    :param people: the number of people that the question shows; None if it shows none.
    :param letter: of the variant that is sent; empty: the campaign, or all variants.
    """

    def find() -> tuple[str, dict[str, list[str]]]:
        return names_of(campaign), addresses(Written(campaign), Fleet(clock.now()), letter)

    # The page of a draft is not asked for every two seconds, and after a refusal it has to be the present one.
    is_draft = campaign.status == Campaign.Status.DRAFT
    key = f"send-facts-{campaign.pk}-{campaign.updated_at}-{letter}"
    names, found = find() if is_draft else remembered(key, find)
    return {"names": names, "senders": senders(found), "mark": mark(people, found)}


@register.inclusion_tag("campaigns/agreements.html")
def agreements(campaign: Campaign) -> dict[str, Any]:
    """Show the overridden checks with names and reasons, and the approvals of the campaign."""
    return {
        "overrides": CheckOverride.objects.filter(campaign=campaign),
        "approvals": Approval.objects.filter(campaign=campaign).exclude(decision=""),
    }
