"""The start and end of a quota period, and the part of a quota that campaigns leave free.

Nothing here stores or reads the clock.
"""

import calendar
import datetime as dt

MOST_KEPT = 10


def kept_from_campaigns(quota: int | None) -> int:
    """Return how many units of a quota campaigns leave to other mail: one percent, at most ten.

    So the notice that a quota is used up can still be sent if there is only one server. A quota below one hundred keeps
    none: who sets it to three expects three campaign messages.
    """
    return min((quota or 0) // 100, MOST_KEPT)


def runs_out_at(
    used: int, quota: int, starts_at: dt.datetime, ends_at: dt.datetime, now: dt.datetime
) -> dt.datetime | None:
    """Return when the quota is used up if the period goes on as it began; None: not before it ends."""
    if used >= quota:
        return now
    if not used or now <= starts_at:
        return None
    at = now + (now - starts_at) * ((quota - used) / used)
    return at if at < ends_at else None


def period(instant: dt.datetime, anchor_day: int, zone: dt.tzinfo) -> tuple[dt.datetime, dt.datetime]:
    """Return the half-open period ``[starts_at, ends_at)`` that contains ``instant``, in UTC.

    Providers reset their counters at midnight of their own billing zone, so the zone belongs to the server and not to
    Django's ``TIME_ZONE``.

    :param anchor_day: 1 to 31; a shorter month uses its last day.
    :raises ValueError: if ``instant`` is naive or ``anchor_day`` is out of range.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone")
    if not 1 <= anchor_day <= 31:
        raise ValueError(f"a month starts on a day from 1 to 31, not {anchor_day}")
    local = instant.astimezone(zone)
    this = _anchor(local.year, local.month, anchor_day, zone)
    if instant >= this:
        return this, _anchor(*_month_after(local.year, local.month), anchor_day, zone)
    return _anchor(*_month_before(local.year, local.month), anchor_day, zone), this


def _anchor(year: int, month: int, anchor_day: int, zone: dt.tzinfo) -> dt.datetime:
    """Return the first instant of the anchor's date, in UTC; if the clock skips midnight, the end of the gap."""
    day = min(anchor_day, calendar.monthrange(year, month)[1])
    midnight = dt.datetime(year, month, day, tzinfo=zone)
    instant = midnight.astimezone(dt.UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    # Midnight does not exist: fold 0 reads it with the offset before the gap, which gives the end of the gap or a later
    # instant; search back to the first instant of the date.
    low, high = instant - dt.timedelta(hours=3), instant + dt.timedelta(hours=3)
    while high - low > dt.timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).replace(tzinfo=None) >= midnight.replace(tzinfo=None):
            high = middle
        else:
            low = middle
    return high.replace(microsecond=0)


def _month_after(year: int, month: int) -> tuple[int, int]:
    return (year + 1, 1) if month == 12 else (year, month + 1)


def _month_before(year: int, month: int) -> tuple[int, int]:
    return (year - 1, 12) if month == 1 else (year, month - 1)
