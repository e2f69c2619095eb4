"""Instants as people read them, on the clock of a zone and in the language of the reader."""

import datetime as dt

from words.texts import TRANSLATOR, gettext_noop

_MONTHS = (
    *(gettext_noop("Jan"), gettext_noop("Feb"), gettext_noop("Mar"), gettext_noop("Apr"), gettext_noop("May")),
    *(gettext_noop("Jun"), gettext_noop("Jul"), gettext_noop("Aug"), gettext_noop("Sep"), gettext_noop("Oct")),
    *(gettext_noop("Nov"), gettext_noop("Dec")),
)


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


def when(instant: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return the time of an instant today: "14:05"; its stamp on another day."""
    local = instant.astimezone(zone)
    return f"{local:%H:%M}" if local.date() == now.astimezone(zone).date() else stamp(instant, now, zone)


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
