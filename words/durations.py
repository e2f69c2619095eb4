"""Durations as people read them, in the language of the reader."""

import datetime as dt

from words.texts import TRANSLATOR


def about(span: dt.timedelta) -> str:
    """Return an estimated duration: "under a minute", "4 min", "about 3 h 20 min", "about 5 days"."""
    _ = TRANSLATOR.gettext
    minutes = round(span.total_seconds() / 60)
    if minutes < 1:
        return _("under a minute")
    if minutes < 60:
        return _("%(minutes)s min") % {"minutes": minutes}
    hours, rest = divmod(minutes, 60)
    if minutes < 48 * 60 and rest:
        return _("about %(hours)s h %(minutes)s min") % {"hours": hours, "minutes": rest}
    if minutes < 48 * 60:
        return _("about %(hours)s h") % {"hours": hours}
    days = round(minutes / 60 / 24)
    return TRANSLATOR.ngettext("about %(n)s day", "about %(n)s days", days) % {"n": days}


def measured(span: dt.timedelta) -> str:
    """Return a measured duration in its largest whole unit: "90 seconds", "1 hour", "3 days"."""
    ngettext = TRANSLATOR.ngettext
    seconds = round(span.total_seconds())
    if (number := _whole(seconds, 86_400)) is not None:
        return ngettext("%(n)s day", "%(n)s days", number) % {"n": number}
    if (number := _whole(seconds, 3_600)) is not None:
        return ngettext("%(n)s hour", "%(n)s hours", number) % {"n": number}
    if (number := _whole(seconds, 60)) is not None:
        return ngettext("%(n)s minute", "%(n)s minutes", number) % {"n": number}
    return ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}


def _whole(seconds: int, size: int) -> int | None:
    """Return the number of units that the seconds are told in, None if the unit is too large for them."""
    return round(seconds / size) if seconds >= 2 * size or seconds == size else None
