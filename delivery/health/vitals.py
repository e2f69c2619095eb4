"""What each worker process says of itself every few seconds: that it lives, its clock, and the folder it writes in.

A process that was killed, stopped or cut off says nothing, and is missed.
"""

import datetime as dt
import logging
import os
import socket
import tempfile
from collections.abc import Collection, Iterable
from pathlib import Path

from django.conf import settings
from django.db.models import Max, Q

from delivery import clock
from delivery.models import WorkerReport
from words.durations import measured

log = logging.getLogger(__name__)

SILENT_AFTER = dt.timedelta(seconds=20)  # Then a worker is missed …
BELIEVED = dt.timedelta(minutes=1)  # … and what it said last counts for so long.
FORGOTTEN_AFTER = dt.timedelta(days=30)
DRIFT = dt.timedelta(seconds=5)  # From here on a clock is wrong.
STEP_TOLD = dt.timedelta(minutes=10)  # For how long it is told that a clock was set.
PROBE_BYTES = 256 * 1024  # What a journal takes.


class Vitals:
    """Looks after one process: compares clocks, tries its folder, and reports."""

    def __init__(self, queues: Collection[str]) -> None:
        self.name = f"{socket.gethostname()} process {os.getpid()}"
        self.queues = " ".join(sorted(queues))
        self._clock = clock.DatabaseClock()
        self._last: tuple[dt.datetime, float] | None = None
        self._stepped: tuple[dt.timedelta, float] | None = None
        self._told: set[str] = set()

    def look(self) -> None:
        """Look and report; what is wrong is logged once, until it is over."""
        now = self._clock.read()
        self._note_step()
        folder_problem = problem_of(Path(settings.DATA_DIR))
        said = {
            "host": socket.gethostname(),
            "queues": self.queues,
            "seen_at": now,
            "drift": self._clock.drift,
            "step": self._stepped[0] if self._stepped else dt.timedelta(),
            "folder_problem": folder_problem,
        }
        WorkerReport.objects.update_or_create(name=self.name, defaults=said)
        WorkerReport.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()
        drift = self._clock.drift
        self._tell("drift", f"the clock is {in_words(drift)} the database's" if abs(drift) >= DRIFT else "")
        self._tell("folder", f"{settings.DATA_DIR} cannot be written: {folder_problem}" if folder_problem else "")

    def _note_step(self) -> None:
        """Notice that the clock was set: it went on by another time than the one that nobody can set."""
        wall, steady = clock.own(), clock.steady()
        if self._last is not None:
            step = (wall - self._last[0]) - dt.timedelta(seconds=steady - self._last[1])
            if abs(step) >= DRIFT:
                self._stepped = step, steady
                log.warning("the clock of this machine was set %s", _set_in_words(step))
        self._last = wall, steady
        if self._stepped and steady - self._stepped[1] > STEP_TOLD.total_seconds():
            self._stepped = None

    def _tell(self, what: str, problem: str) -> None:
        if problem and what not in self._told:
            log.error("%s", problem)
        elif not problem and what in self._told:
            log.warning("the %s is well again", what)
        (self._told.add if problem else self._told.discard)(what)


def problem_of(folder: Path) -> str:
    """Return why a journal could not be written in ``folder``, or the empty text."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def lately(now: dt.datetime) -> list[WorkerReport]:
    """Return what workers said of themselves lately. A mark from the future is none."""
    return list(WorkerReport.objects.filter(seen_at__gt=now - BELIEVED, seen_at__lte=now + DRIFT).order_by("name"))


def last_seen(queues: Collection[str], now: dt.datetime) -> dict[str, dt.datetime | None]:
    """Return when a worker of each of the queues was seen last; None: never."""
    seen = WorkerReport.objects.filter(seen_at__lte=now + DRIFT)
    return seen.aggregate(**{queue: Max("seen_at", filter=Q(queues__contains=queue)) for queue in queues})


def clock_problems(reports: Iterable[WorkerReport]) -> list[str]:
    """Return a sentence for each machine whose clock is wrong, or was set a moment ago."""
    problems = {}
    for report in reports:
        if abs(report.drift) >= DRIFT:
            problems[report.host] = f"The clock of {report.host} is {in_words(report.drift)} the database’s."
        elif report.step:
            problems.setdefault(report.host, f"The clock of {report.host} was set {_set_in_words(report.step)}.")
    return list(problems.values())


def folder_problems(reports: Iterable[WorkerReport]) -> list[str]:
    """Return a sentence for each machine whose workers cannot write their journals."""
    problems = {
        report.host: f"The folder DATA_DIR of {report.host} cannot be written: {report.folder_problem}."
        for report in reports
        if report.folder_problem
    }
    return list(problems.values())


def in_words(drift: dt.timedelta) -> str:
    """Return how far a clock is away, as "15 seconds ahead of" or "2 hours behind"."""
    return f"{measured(abs(drift))} {'ahead of' if drift > dt.timedelta() else 'behind'}"


def _set_in_words(step: dt.timedelta) -> str:
    return f"{'ahead' if step > dt.timedelta() else 'back'} by {measured(abs(step))}"
