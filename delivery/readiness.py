"""Whether mail can leave just now: named checks, each of which has nothing to say or says what is wrong.

A room that can hold mail up adds a check to :data:`CHECKS`. Readiness, Home and a campaign's page show what they say.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from delivery import clock, installation, lanes, presence, vitals

# Returns None, or a whole sentence without anything that a stranger must not know: `/readyz` answers everybody.
Check = Callable[[dt.datetime], str | None]

# A process that sends shows it every few seconds, and one without work each time it is rung for.
IDLE_SILENCE = dt.timedelta(seconds=60 + settings.DRAIN_SECONDS)


def ask(now: dt.datetime) -> dict[str, str | None]:
    """Return what each check says, by its name."""
    return {name: _ask(check, now) for name, check in CHECKS.items()}


def in_words(problems: Mapping[str, str | None], now: dt.datetime, *, with_names: bool) -> list[str]:
    """Return what is wrong as people read it.

    :param with_names: whether machines, servers and folders are named, as to those who may know of them.
    """
    told: list[str] = []
    for name, sentence in problems.items():
        if sentence:
            details = DETAILS[name](now) if with_names and name in DETAILS else []
            told += details or [sentence]
    return told


def _ask(check: Check, now: dt.datetime) -> str | None:
    try:
        return check(now)
    except DatabaseError:
        return "The database does not answer, or is not migrated."


def _worker(now: dt.datetime) -> str | None:
    if missed := _missed(presence.SENDS, "sending worker", now):
        return missed
    at_work = presence.last_shown(presence.SENDS, now)
    if _missed(presence.ERRANDS, "", now) is None and (at_work is None or at_work < now - IDLE_SILENCE):
        return f"The sending workers are there, and none of them {_since('has been at work', at_work, now)}."
    return None


def _copy(now: dt.datetime) -> str | None:
    if not installation.why_held(now):
        return None
    return "This is a restored or copied database: nothing is sent until an administrator says go on."


def _errands(now: dt.datetime) -> str | None:
    if missed := _missed(presence.ERRANDS, "worker for errands", now):
        return missed
    at_work = presence.last_shown(presence.ERRANDS, now)
    if at_work is None or at_work < now - IDLE_SILENCE:
        return f"The workers for errands are there, and none of them {_since('has been at work', at_work, now)}."
    return None


def _missed(queue: str, who: str, now: dt.datetime) -> str | None:
    last, is_there = vitals.last_seen(queue, now)
    return None if is_there else f"No {who} {_since('has been seen', last, now)}."


def _since(what: str, last: dt.datetime | None, now: dt.datetime) -> str:
    if last is None:
        return f"{what} yet"
    local = timezone.localtime(last)
    return (
        f"{what} since {local:%H:%M}" if now - last < dt.timedelta(hours=20) else f"{what} since {local:%d %B, %H:%M}"
    )


def _clock(now: dt.datetime) -> str | None:
    if abs(clock.drift()) >= vitals.DRIFT:
        return f"The clock of the web process is {vitals.in_words(clock.drift())} the database’s."
    return "The clock of a machine with workers is wrong, or was set." if vitals.clock_problems(now) else None


def _folder(now: dt.datetime) -> str | None:
    if problem := vitals.problem_of(Path(settings.DATA_DIR)):
        return f"The web process cannot write in its DATA_DIR: {problem}."
    return "A worker cannot write in its DATA_DIR." if vitals.folder_problems(now) else None


def _lanes(now: dt.datetime) -> str | None:
    return "The work for a server broke off." if lanes.broken(now) else None


CHECKS: dict[str, Check] = {
    "worker": _worker,
    "errands": _errands,
    "clock": _clock,
    "folder": _folder,
    "lanes": _lanes,
    "copy": _copy,
}
# The same at length, by the name of the check.
DETAILS: dict[str, Callable[[dt.datetime], list[str]]] = {
    "clock": vitals.clock_problems,
    "folder": vitals.folder_problems,
    "lanes": lambda now: [f"The work for {lane.server} broke off {lane.problem}." for lane in lanes.broken(now)],
}
