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
from django.utils.translation import gettext as _

from delivery import clock
from delivery.health import heartbeats, vitals
from delivery.models import Installation, Lane, WorkerReport
from delivery.outbox import leases
from registry import Registry
from words.durations import measured
from words.instants import when

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
        return _("The database does not answer, or is not migrated.")


def _worker(look: WorkersSeen) -> str | None:
    if _is_missed(heartbeats.SENDS, look):
        never = _("No sending worker has been seen yet. Mail waits, and goes on by itself as soon as one runs.")
        since = _(
            "No sending worker has been seen since %(time)s. Mail waits, and goes on by itself as soon as one runs."
        )
        return _since(look.last_seen[heartbeats.SENDS], look.now, never, since)
    # Without an errands worker no hints are sent, so idle senders are no problem of their own.
    if _is_missed(heartbeats.ERRANDS, look) or not _is_idle(heartbeats.SENDS, look):
        return None
    never = _("The sending workers are there, and none of them has been at work yet.")
    since = _("The sending workers are there, and none of them has been at work since %(time)s.")
    return _since(look.last_at_work[heartbeats.SENDS], look.now, never, since)


def _errands(look: WorkersSeen) -> str | None:
    if _is_missed(heartbeats.ERRANDS, look):
        never = _("No worker for errands has been seen yet.")
        since = _("No worker for errands has been seen since %(time)s.")
        return _since(look.last_seen[heartbeats.ERRANDS], look.now, never, since)
    if _is_idle(heartbeats.ERRANDS, look):
        never = _("The workers for errands are there, and none of them has been at work yet.")
        since = _("The workers for errands are there, and none of them has been at work since %(time)s.")
        return _since(look.last_at_work[heartbeats.ERRANDS], look.now, never, since)
    return None


def _is_missed(queue: str, look: WorkersSeen) -> bool:
    last = look.last_seen[queue]
    return last is None or last <= look.now - vitals.SILENT_AFTER


def _is_idle(queue: str, look: WorkersSeen) -> bool:
    last = look.last_at_work[queue]
    return last is None or last <= look.now - IDLE_SILENCE


def _since(last: dt.datetime | None, now: dt.datetime, never: str, since: str) -> str:
    """Return the sentence with the time, or the one for what has not been yet."""
    if last is None:
        return never
    return since % {"time": when(last, now, timezone.get_current_timezone())}


def _clock(look: WorkersSeen) -> str | None:
    drift = clock.drift()
    if abs(drift) >= vitals.DRIFT:
        ahead = _("The clock of the web process is %(span)s ahead of the database’s.")
        behind = _("The clock of the web process is %(span)s behind the database’s.")
        return (ahead if drift > dt.timedelta() else behind) % {"span": measured(abs(drift))}
    return (
        _("The clock of a machine with workers is wrong, or was set.") if vitals.clock_problems(look.reports) else None
    )


def _folder(look: WorkersSeen) -> str | None:
    if problem := vitals.problem_of(Path(settings.DATA_DIR)):
        return _("The web process cannot write in its DATA_DIR: %(problem)s.") % {"problem": problem}
    return _("A worker cannot write in its DATA_DIR.") if vitals.folder_problems(look.reports) else None


def _lanes(look: WorkersSeen) -> str | None:
    return _("The work for a server broke off.") if look.broken_lanes else None


def _copy(look: WorkersSeen) -> str | None:
    if not look.is_held:
        return None
    return _("This database is a restored copy. Nothing is sent until an administrator says how to continue.")


CHECKS: Registry[Check] = Registry(
    worker=_worker, errands=_errands, clock=_clock, folder=_folder, lanes=_lanes, copy=_copy
)
# Longer sentences with names, by check.
DETAILS: dict[str, Callable[[WorkersSeen], list[str]]] = {
    "clock": lambda look: vitals.clock_problems(look.reports),
    "folder": lambda look: vitals.folder_problems(look.reports),
    "lanes": lambda look: [
        _("The work for %(server)s broke off %(problem)s.") % {"server": lane.server, "problem": lane.problem}
        for lane in look.broken_lanes
    ],
}
