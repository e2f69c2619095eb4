"""Instants as people read them, on the clock of a zone and in the language of the reader."""

import datetime as dt
import re

from words.texts import TRANSLATOR, gettext_noop

_MONTHS = (
    *(gettext_noop("Jan"), gettext_noop("Feb"), gettext_noop("Mar"), gettext_noop("Apr"), gettext_noop("May")),
    *(gettext_noop("Jun"), gettext_noop("Jul"), gettext_noop("Aug"), gettext_noop("Sep"), gettext_noop("Oct")),
    *(gettext_noop("Nov"), gettext_noop("Dec")),
)

_FULL_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
# As words.texts.utc writes it.
_STORED = re.compile(rf"\b([0-2]\d|3[01]) ({'|'.join(_FULL_MONTHS)}) (\d{{4}}) ([01]\d|2[0-3]):([0-5]\d) UTC\b")


def day(date: dt.date, today: dt.date) -> str:
    """Return a day, with the year if it is not this one: "9 Nov", "9 Nov 2025"."""
    _ = TRANSLATOR.gettext
    values = {"day": date.day, "month": _(_MONTHS[date.month - 1]), "year": date.year}
    return _("%(day)s %(month)s") % values if date.year == today.year else _("%(day)s %(month)s %(year)s") % values


def stamp(instant: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return date and time, with the year if it is not this one: "9 Nov, 14:05", "9 Nov 2025, 14:05"."""
    local = instant.astimezone(zone)
    return TRANSLATOR.gettext("%(day)s, %(time)s") % {
        "day": day(local.date(), now.astimezone(zone).date()),
        "time": f"{local:%H:%M}",
    }


def ahead(instant: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return the stamp of an instant somebody waits for, with seconds within two minutes: "9 Nov, 14:05:40"."""
    seconds = f":{instant.astimezone(zone):%S}" if abs(instant - now) < dt.timedelta(minutes=2) else ""
    return stamp(instant, now, zone) + seconds


def when(instant: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return the time of an instant today: "14:05"; its stamp on another day."""
    local = instant.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now.astimezone(zone).date() else stamp(instant, now, zone)


def on_clock(stored: str, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return a stored text, with the instants in it as their stamps: "paused until 9 Nov, 15:05"."""

    def shown(found: re.Match[str]) -> str:
        month = _FULL_MONTHS.index(found[2]) + 1
        try:
            at = dt.datetime(int(found[3]), month, int(found[1]), int(found[4]), int(found[5]), tzinfo=dt.UTC)
            return stamp(at, now, zone)
        except (ValueError, OverflowError):  # A server's reply may hold anything.
            return found[0]

    return _STORED.sub(shown, stored)


def ago(instant: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return how long ago an instant was, below 24 hours: "Just now", "5 min ago", "3 h ago"; else its stamp."""
    _ = TRANSLATOR.gettext
    minutes = int((now - instant).total_seconds() // 60)
    if minutes >= 24 * 60:
        return stamp(instant, now, zone)
    if minutes < 1:
        return _("Just now")
    return (
        _("%(minutes)s min ago") % {"minutes": minutes}
        if minutes < 60
        else _("%(hours)s h ago") % {"hours": minutes // 60}
    )
