"""Instants as people read them, on the clock of a zone."""

import datetime as dt


def moment(instant: dt.datetime, zone: dt.tzinfo) -> str:
    """Return date and time: "9 November 2026, 14:05"."""
    return f"{instant.astimezone(zone):%-d %B %Y, %H:%M}"


def when(instant: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return the time, with the day if it is not today, and with the year if it is not this one."""
    local, today = instant.astimezone(zone), now.astimezone(zone)
    clock = f"{local:%H:%M}"
    if local.date() == today.date():
        return clock
    day = f"{local.day} {local:%B}" + (f" {local.year}" if local.year != today.year else "")
    return f"{day}, {clock}"
