"""Instants in the one style of the product, on the clock of the page: the zone of its reader."""

import datetime as dt

from django.utils import timezone

from words import instants
from words.texts import translated


def stamp(instant: dt.datetime | None) -> str:
    """Return an instant as "9 Nov, 14:05" or "9 Nov 2025, 14:05"; empty without one."""
    return instants.stamp(instant, timezone.now(), timezone.get_current_timezone()) if instant else ""


def ahead(instant: dt.datetime | None) -> str:
    """Return an instant that somebody waits for as "9 Nov, 14:05", within two minutes as "9 Nov, 14:05:40"."""
    return instants.ahead(instant, timezone.now(), timezone.get_current_timezone()) if instant else ""


def today() -> dt.date:
    """Return the day on the clock of the page."""
    return timezone.localdate()


def stamp_exactly(instant: dt.datetime | None) -> str:
    """Return an instant as "9 Nov, 14:05:07"; empty without one."""
    return f"{stamp(instant)}:{timezone.localtime(instant):%S}" if instant else ""


def day(instant: dt.datetime | dt.date | None) -> str:
    """Return a day, or that of an instant, as "9 Nov" or "9 Nov 2025"; empty without one."""
    if not instant:
        return ""
    date = timezone.localtime(instant).date() if isinstance(instant, dt.datetime) else instant
    return instants.day(date, timezone.localdate())


def on_clock(stored: str) -> str:
    """Return a stored reason with the instants in it on the clock of the page."""
    return instants.on_clock(translated(stored), timezone.now(), timezone.get_current_timezone())
