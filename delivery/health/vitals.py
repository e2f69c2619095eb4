"""Worker reports: every few seconds a worker process reports that it lives, its clock, and its data folder.

A process that was killed, stopped or cut off does not report, and so is missed.
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
from words.texts import text as _

log = logging.getLogger(__name__)

SILENT_AFTER = dt.timedelta(seconds=20)  # A worker without a report for this long is missed …
BELIEVED = dt.timedelta(minutes=1)  # … and its last report counts for this long.
FORGOTTEN_AFTER = dt.timedelta(days=30)
DRIFT = dt.timedelta(seconds=5)  # A clock with at least this drift is wrong.
STEP_SHOWN_FOR = dt.timedelta(minutes=10)  # How long a step of the clock is reported.
PROBE_BYTES = 256 * 1024  # The size of a new journal.


class Vitals:
    """The reports of one process: compares clocks, tests the data folder, and stores the report."""

    def __init__(self, queues: Collection[str]) -> None:
        self.name = f"{socket.gethostname()} process {os.getpid()}"
        self.queues = " ".join(sorted(queues))
        self._clock = clock.DatabaseClock()
        self._last: tuple[dt.datetime, float] | None = None
        self._stepped: tuple[dt.timedelta, float] | None = None
        self._logged: set[str] = set()

    def look(self) -> None:
        """Check this process and store a report. A problem is logged once, and again when it is over."""
        now = self._clock.read()
        self._detect_step()
        folder_problem = problem_of(Path(settings.DATA_DIR))
        values = {
            "host": socket.gethostname(),
            "queues": self.queues,
            "seen_at": now,
            "drift": self._clock.drift,
            "step": self._stepped[0] if self._stepped else dt.timedelta(),
            "folder_problem": folder_problem,
        }
        WorkerReport.objects.update_or_create(name=self.name, defaults=values)
        WorkerReport.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()
        drift = self._clock.drift
        self._log_change("drift", _drift_in_words("this machine", drift) if abs(drift) >= DRIFT else "")
        self._log_change("folder", f"{settings.DATA_DIR} cannot be written: {folder_problem}" if folder_problem else "")

    def _detect_step(self) -> None:
        """Detect a step of the wall clock, by comparison with the steady clock."""
        wall, steady = clock.own(), clock.steady()
        if self._last is not None:
            step = (wall - self._last[0]) - dt.timedelta(seconds=steady - self._last[1])
            if abs(step) >= DRIFT:
                self._stepped = step, steady
                log.warning("%s", _step_in_words("this machine", step))
        self._last = wall, steady
        if self._stepped and steady - self._stepped[1] > STEP_SHOWN_FOR.total_seconds():
            self._stepped = None

    def _log_change(self, what: str, problem: str) -> None:
        if problem and what not in self._logged:
            log.error("%s", problem)
        elif not problem and what in self._logged:
            log.warning("the %s is well again", what)
        (self._logged.add if problem else self._logged.discard)(what)


def problem_of(folder: Path) -> str:
    """Return why a journal cannot be written in ``folder``; empty if it can."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def recent_reports(now: dt.datetime) -> list[WorkerReport]:
    """Return the recent worker reports. Reports from the future do not count."""
    return list(WorkerReport.objects.filter(seen_at__gt=now - BELIEVED, seen_at__lte=now + DRIFT).order_by("name"))


def last_seen(queues: Collection[str], now: dt.datetime) -> dict[str, dt.datetime | None]:
    """Return the time of the last worker report, by queue; None: never."""
    seen = WorkerReport.objects.filter(seen_at__lte=now + DRIFT)
    return seen.aggregate(**{queue: Max("seen_at", filter=Q(queues__contains=queue)) for queue in queues})


def clock_problems(reports: Iterable[WorkerReport]) -> list[str]:
    """Return a sentence for each machine whose clock is wrong, or was recently set."""
    problems = {}
    for report in reports:
        if abs(report.drift) >= DRIFT:
            problems[report.host] = _drift_in_words(report.host, report.drift)
        elif report.step:
            problems.setdefault(report.host, _step_in_words(report.host, report.step))
    return list(problems.values())


def folder_problems(reports: Iterable[WorkerReport]) -> list[str]:
    """Return a sentence for each machine whose workers cannot write their journals."""
    problems = {
        report.host: _(
            "The folder DATA_DIR of %(host)s cannot be written: %(problem)s.",
            host=report.host,
            problem=report.folder_problem,
        )
        for report in reports
        if report.folder_problem
    }
    return list(problems.values())


def _drift_in_words(host: str, drift: dt.timedelta) -> str:
    span = measured(abs(drift))
    if drift > dt.timedelta():
        return _("The clock of %(host)s is %(span)s ahead of the database’s.", host=host, span=span)
    return _("The clock of %(host)s is %(span)s behind the database’s.", host=host, span=span)


def _step_in_words(host: str, step: dt.timedelta) -> str:
    span = measured(abs(step))
    if step > dt.timedelta():
        return _("The clock of %(host)s was set ahead by %(span)s.", host=host, span=span)
    return _("The clock of %(host)s was set back by %(span)s.", host=host, span=span)
