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


def stamp(instant: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return date and time, with the year if it is not this one: "9 Nov, 14:05", "9 Nov 2025, 14:05"."""
    local = instant.astimezone(zone)
    year = "" if local.year == now.astimezone(zone).year else f" {local.year}"
    return f"{local.day} {local:%b}{year}, {local:%H:%M}"


def ago(instant: dt.datetime, now: dt.datetime, zone: dt.tzinfo) -> str:
    """Return how long ago an instant was, below 24 hours: "Just now", "5 min ago", "3 h ago"; else its stamp."""
    minutes = int((now - instant).total_seconds() // 60)
    if minutes >= 24 * 60:
        return stamp(instant, now, zone)
    if minutes < 1:
        return "Just now"
    return f"{minutes} min ago" if minutes < 60 else f"{minutes // 60} h ago"
