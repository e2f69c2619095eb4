"""Readiness: named checks whether mail can be sent now. A check returns a sentence if something is wrong.

A room that can hold mail up adds a check to :data:`CHECKS`. Readiness, Home and a campaign's page show the sentences.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from delivery import clock
from delivery.health import heartbeats, vitals
from delivery.models import Installation, Lane, WorkerReport
from delivery.outbox import leases
from registry import Registry

# A sending process has a heartbeat every few seconds, and an idle one at every hint.
IDLE_SILENCE = dt.timedelta(seconds=60 + settings.DRAIN_SECONDS)


class WorkersSeen:
    """The workers at one instant, shared by the checks, so that each query runs once."""

    def __init__(self, now: dt.datetime) -> None:
        self.now = now

    @cached_property
    def reports(self) -> list[WorkerReport]:
        """The worker reports of the last minute."""
        return vitals.recent_reports(self.now)

    @cached_property
    def last_seen(self) -> dict[str, dt.datetime | None]:
        """The last worker report, by queue."""
        return vitals.last_seen((heartbeats.SENDS, heartbeats.ERRANDS), self.now)

    @cached_property
    def last_at_work(self) -> dict[str, dt.datetime | None]:
        """The last heartbeat, by queue."""
        return heartbeats.last_heartbeats((heartbeats.SENDS, heartbeats.ERRANDS), self.now)

    @cached_property
    def broken_lanes(self) -> list[Lane]:
        return leases.broken(self.now)

    @cached_property
    def is_held(self) -> bool:
        """Whether this database is held as a copy that waits for a person."""
        return Installation.objects.filter(pk=1).exclude(held_because="").exists()


# Returns None, or a whole sentence without secrets, since everybody may read `/readyz`.
Check = Callable[[WorkersSeen], str | None]


def ask(look: WorkersSeen) -> dict[str, str | None]:
    """Run all checks; return their sentences by name, None for a passed check."""
    return {name: _ask(check, look) for name, check in CHECKS.items()}


def in_words(problems: Mapping[str, str | None], look: WorkersSeen, *, with_names: bool) -> list[str]:
    """Return the problems as sentences.

    :param with_names: whether to name machines, servers and folders, for readers who may see them.
    """
    told: list[str] = []
    for name, sentence in problems.items():
        if sentence:
            details = DETAILS[name](look) if with_names and name in DETAILS else []
            told += details or [sentence]
    return told


def _ask(check: Check, look: WorkersSeen) -> str | None:
    try:
        return check(look)
    except DatabaseError:
        return "The database does not answer, or is not migrated."


def _worker(look: WorkersSeen) -> str | None:
    if missed := _missed(heartbeats.SENDS, "sending worker", look):
        return f"{missed} Mail waits, and goes on by itself as soon as one runs."
    # Without an errands worker no hints are sent, so idle senders are no problem of their own.
    return None if _missed(heartbeats.ERRANDS, "", look) else _idle(heartbeats.SENDS, "sending workers", look)


def _errands(look: WorkersSeen) -> str | None:
    return _missed(heartbeats.ERRANDS, "worker for errands", look) or _idle(
        heartbeats.ERRANDS, "workers for errands", look
    )


def _missed(queue: str, who: str, look: WorkersSeen) -> str | None:
    last = look.last_seen[queue]
    if last is not None and last > look.now - vitals.SILENT_AFTER:
        return None
    return f"No {who} {_since('has been seen', last, look.now)}."


def _idle(queue: str, who: str, look: WorkersSeen) -> str | None:
    last = look.last_at_work[queue]
    if last is not None and last > look.now - IDLE_SILENCE:
        return None
    return f"The {who} are there, and none of them {_since('has been at work', last, look.now)}."


def _since(what: str, last: dt.datetime | None, now: dt.datetime) -> str:
    if last is None:
        return f"{what} yet"
    local = timezone.localtime(last)
    moment = f"{local:%H:%M}" if now - last < dt.timedelta(hours=20) else f"{local:%d %B, %H:%M}"
    return f"{what} since {moment}"


def _clock(look: WorkersSeen) -> str | None:
    if abs(clock.drift()) >= vitals.DRIFT:
        return f"The clock of the web process is {vitals.in_words(clock.drift())} the database’s."
    return "The clock of a machine with workers is wrong, or was set." if vitals.clock_problems(look.reports) else None


def _folder(look: WorkersSeen) -> str | None:
    if problem := vitals.problem_of(Path(settings.DATA_DIR)):
        return f"The web process cannot write in its DATA_DIR: {problem}."
    return "A worker cannot write in its DATA_DIR." if vitals.folder_problems(look.reports) else None


def _lanes(look: WorkersSeen) -> str | None:
    return "The work for a server broke off." if look.broken_lanes else None


def _copy(look: WorkersSeen) -> str | None:
    if not look.is_held:
        return None
    return "This is a restored or copied database: nothing is sent until an administrator says go on."


CHECKS: Registry[Check] = Registry(
    worker=_worker, errands=_errands, clock=_clock, folder=_folder, lanes=_lanes, copy=_copy
)
# Longer sentences with names, by check.
DETAILS: dict[str, Callable[[WorkersSeen], list[str]]] = {
    "clock": lambda look: vitals.clock_problems(look.reports),
    "folder": lambda look: vitals.folder_problems(look.reports),
    "lanes": lambda look: [f"The work for {lane.server} broke off {lane.problem}." for lane in look.broken_lanes],
}
