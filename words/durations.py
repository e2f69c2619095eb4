"""Durations as people read them."""

import datetime as dt

_UNITS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def about(span: dt.timedelta) -> str:
    """Return an estimated duration: "under a minute", "4 min", "about 3 h 20 min", "about 5 days"."""
    minutes = round(span.total_seconds() / 60)
    if minutes < 1:
        return "under a minute"
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"about {minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"about {round(minutes / 60 / 24)} days"


def measured(span: dt.timedelta) -> str:
    """Return a measured duration in its largest whole unit: "90 seconds", "1 hour", "3 days"."""
    seconds = round(span.total_seconds())
    for unit, size in _UNITS:
        if seconds >= 2 * size or seconds == size:
            number = round(seconds / size)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
