"""The schedule of a campaign as a person chose it, and its enforcement: start, sending hours, end.

The pure rules are in :mod:`campaigns.schedule.rules`. :func:`keep_hours` runs every few seconds. If it does not run,
sending still stops in time, because each mailing stores the end of its present window.
"""

import datetime as dt
from dataclasses import dataclass

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext as _

from campaigns.audience.audience import audience_of
from campaigns.audience.headcounts import Headcounts
from campaigns.models import Campaign, transitions
from campaigns.schedule import mailings
from campaigns.schedule.rules import Hours, groups, instant, is_late, starts_by_zone, zone_of
from contacts.segments.audience import reached
from delivery.outbox import mailings as outbox
from installation.site import site
from words.instants import stamp
from words.texts import text
from words.time_zones import place

Status, Start = Campaign.Status, Campaign.Start
PAST = dt.timedelta(minutes=5)  # A start that passed while the person was still on the page is accepted.


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule as a person enters it: wall times of ``time_zone``."""

    start: str = Start.NOW
    wall: dt.datetime | None = None
    time_zone: str = ""  # Empty: the site's.
    not_after: dt.datetime | None = None
    days: tuple[int, ...] = ()
    opens: dt.time | None = None
    closes: dt.time | None = None


def set_schedule(campaign_id: int, schedule: Schedule, now: dt.datetime) -> list[str]:
    """Store the schedule of a draft, even one that the checks would refuse.

    :return: the reasons to refuse; empty if it was stored.
    """
    zone = zone_of(schedule.time_zone) or site().time_zone
    is_set = Campaign.objects.filter(pk=campaign_id, status=Status.DRAFT).update(
        start=schedule.start,
        start_wall=schedule.wall.isoformat(timespec="minutes") if schedule.wall else "",
        time_zone=schedule.time_zone,
        not_after=instant(schedule.not_after, zone) if schedule.not_after else None,
        window_days=sorted(schedule.days) if len(schedule.days) < 7 else [],
        window_opens=schedule.opens,
        window_closes=schedule.closes,
        updated_at=now,
    )
    return [] if is_set else [_("The campaign is no longer a draft, so its schedule can't be changed.")]


def hours_of(campaign: Campaign) -> Hours | None:
    """Return the sending hours of the campaign; None if it may send at any time."""
    if not campaign.window_days and campaign.window_opens is None and campaign.window_closes is None:
        return None
    hours = Hours(
        zone_for(campaign),
        frozenset(campaign.window_days),
        campaign.window_opens or dt.time(),
        campaign.window_closes or dt.time(),
    )
    return None if hours.is_always else hours


def zone_for(campaign: Campaign) -> dt.tzinfo:
    """Return the time zone of the campaign's wall times: its own, or the site's."""
    return zone_of(campaign.time_zone) or site().time_zone


def start_in_words(campaign: Campaign, now: dt.datetime) -> str:
    """Return the start of a scheduled campaign on the clock that its schedule is written in; empty without one."""
    if campaign.start == Start.LOCAL and (wall := wall_in_words(campaign, now)):
        return _("%(time)s in each recipient's time zone") % {"time": wall}
    zone = zone_for(campaign)
    return f"{stamp(campaign.starts_at, now, zone)} ({place(str(zone)) or zone})" if campaign.starts_at else ""


def wall_in_words(campaign: Campaign, now: dt.datetime) -> str:
    """Return the start that a person chose, as the clocks there show it; empty if there is none."""
    wall = wall_of(campaign)
    return stamp(wall.replace(tzinfo=dt.UTC), now, dt.UTC) if wall else ""


def wall_of(campaign: Campaign) -> dt.datetime | None:
    """Return the start that a person chose, as a naive wall time; None if there is none."""
    return dt.datetime.fromisoformat(campaign.start_wall) if campaign.start_wall else None


def starts_of(
    campaign: Campaign, now: dt.datetime, headcounts: Headcounts | None = None, *, is_exact: bool = False
) -> dict[str, dt.datetime]:
    """Return the start in each time zone of the audience, by name; empty unless the start is in local time.

    :param headcounts: those of the campaign's audience, if the caller has them.
    :param is_exact: read the zones of a large audience from its people, and not from the cache.
    :raises NotCounted: as :meth:`campaigns.audience.headcounts.Headcounts.once` does.
    """
    wall = wall_of(campaign)
    if campaign.start != Campaign.Start.LOCAL or wall is None:
        return {}
    headcounts = headcounts or Headcounts(audience_of(campaign))
    zones_of = reached(headcounts.audience, now).order_by().values_list("time_zone", flat=True).distinct()
    zones = list(zones_of) if is_exact else headcounts.once("zones", now, lambda: list(zones_of))
    return starts_by_zone(wall, [*zones, ""], zone_for(campaign))


def begins_at(campaign: Campaign, now: dt.datetime, headcounts: Headcounts | None = None) -> dt.datetime:
    """Return the time at which the first message may leave if the campaign is queued now.

    For a campaign that is on its way, it is the time at which the next message may leave.

    :param headcounts: those of the campaign's audience, if the caller has them.
    """
    begins = now
    if campaign.mailing_id is None:
        wall = wall_of(campaign)
        if campaign.status == Status.SCHEDULED and campaign.starts_at is not None:
            begins = campaign.starts_at
        elif campaign.start == Campaign.Start.AT and wall is not None:
            begins = instant(wall, zone_for(campaign))
        elif campaign.start == Campaign.Start.LOCAL:
            begins = min(starts_of(campaign, now, headcounts).values(), default=now)
        begins = max(now, begins)
    hours = hours_of(campaign)
    return max(begins, hours.window(begins).opens_at) if hours else begins


def timing_refusals(campaign: Campaign, now: dt.datetime, headcounts: Headcounts) -> list[str]:
    """Return the reasons why the schedule keeps the campaign from being queued; empty if it does not.

    :param headcounts: those of the campaign's audience.
    """
    wall = wall_of(campaign)
    if campaign.start != Start.NOW and wall is None:
        return [_("The schedule has no date. Choose one, or send right away.")]
    if wall is not None and campaign.start == Start.AT and instant(wall, zone_for(campaign)) < now - PAST:
        past = {"start": wall_in_words(campaign, now)}
        return [_("The start time is in the past: %(start)s. Choose a later time.") % past]
    if campaign.start == Start.LOCAL and not groups(starts_of(campaign, now, headcounts), now):
        return [_("The start time is over in every recipient's time zone. Choose a later time.")]
    if campaign.not_after is not None and campaign.not_after <= begins_at(campaign, now, headcounts):
        return [_("The campaign would start after the time at which sending stops. Change one of the two.")]
    return []


# --- while it is on its way


def keep_hours(now: dt.datetime) -> None:
    """Apply the sending hours and the end of campaigns that are on their way, and release messages that are due."""
    outbox.open_chunks(now)
    is_timed = Q(window_opens__isnull=False) | ~Q(window_days=[]) | Q(not_after__isnull=False)
    on_their_way = Campaign.objects.filter(is_timed, status__in=[Status.SENDING, Status.PAUSED], is_closed=False)
    for campaign in on_their_way:
        for mailing_id in mailings.mailing_ids(campaign):
            open_mailing(campaign, mailing_id, now)
            if campaign.not_after is not None and campaign.not_after <= now:
                outbox.expire_rest(mailing_id, _too_late(campaign), now)


def open_mailing(campaign: Campaign, mailing_id: int, now: dt.datetime) -> None:
    """Set the window in which a mailing of the campaign may be sent: the present one, or the next."""
    opens_at, closes_at, why = None, campaign.not_after, ""
    if (hours := hours_of(campaign)) is not None:
        window = hours.window(now)
        opens_at, why = window.opens_at, text("Outside its sending hours (%(hours)s).", hours=str(hours))
        closes_at = min((end for end in (window.closes_at, closes_at) if end is not None), default=None)
    outbox.open_for(mailing_id, opens_at, closes_at, why, now)


def lift_end(campaign: Campaign, now: dt.datetime) -> None:
    """Let messages that are retried by hand leave even after the end of the campaign."""
    if campaign.not_after is None or campaign.not_after > now:
        return
    Campaign.objects.filter(pk=campaign.pk).update(is_closed=True)
    for mailing_id in mailings.mailing_ids(campaign):
        outbox.open_for(mailing_id, None, None, "", now)


def _too_late(campaign: Campaign) -> str:
    assert campaign.not_after is not None
    zone = zone_for(campaign)
    end = f"{campaign.not_after.astimezone(zone):%-d %b %Y, %H:%M} ({place(str(zone)) or zone})"
    return f"Not sent: sending stopped at {end}."


# --- a start that was missed


def is_missed(campaign: Campaign, now: dt.datetime) -> bool:
    """Whether a due campaign missed its start by so much that a person has to confirm it. A begun one just goes on."""
    if mailings.mailing_ids(campaign) or campaign.starts_at is None:
        return False
    is_over = campaign.not_after is not None and campaign.not_after <= now
    return is_over or is_late(campaign.starts_at, now, dt.timedelta(minutes=settings.LATE_START_MINUTES))


def mark_overdue(campaign: Campaign) -> None:
    """Keep a missed campaign from starting until a person says that it is still wanted."""
    Campaign.objects.filter(pk=campaign.pk, status=Status.SCHEDULED, mailing=None).update(is_overdue=True)


def start_anyway(campaign_id: int, now: dt.datetime) -> list[str]:
    """Start a campaign that missed its start; return the reasons to refuse, or an empty list."""
    campaign = Campaign.objects.get(pk=campaign_id)
    if campaign.not_after is not None and campaign.not_after <= now:
        return [_("The time at which sending stops is over. Go back to draft and change the schedule.")]
    hours = hours_of(campaign)
    starts_at = max(now, hours.window(now).opens_at) if hours else now
    missed = Campaign.objects.filter(pk=campaign_id, status=Status.SCHEDULED, is_overdue=True)
    if missed.update(is_overdue=False, starts_at=starts_at):
        return []
    return [_("This campaign isn't waiting for a decision any more.")]


def take_back(campaign_id: int) -> bool:
    """Turn a scheduled campaign back into a draft. False if it is not scheduled or has begun."""
    waiting = Campaign.objects.filter(pk=campaign_id, mailing=None)
    waiting = waiting.exclude(experiment__variants__mailing__isnull=False)  # The sample has begun.
    fresh = {"starts_at": None, "is_overdue": False, "start_attempts": 0}
    return bool(transitions.change(waiting, Status.SCHEDULED, Status.DRAFT, **fresh))
