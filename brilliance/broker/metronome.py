"""Beat's scheduler: sends the hint for each task at its interval, by a monotonic clock.

Celery's own scheduler follows the wall clock, and pauses for as long as that was set back.
"""

import threading
from typing import Any

from celery.beat import Scheduler

from delivery import clock, hints

FIRST_WITHIN = 600.0  # Seconds after the start, so that tasks with a long interval run despite frequent restarts.
LEAST_PAUSE = 0.05  # Seconds.
AGAIN_SECONDS = 2.0  # Until the next try after a failed hint.


class Metronome(Scheduler):  # type: ignore[misc]  # celery has no types
    """Sends hints for the entries of ``CELERY_BEAT_SCHEDULE``, whose schedules are in seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._never = threading.Event()
        self._next: dict[str, float] = {}  # When each entry is due, by the monotonic clock.
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)  # Without Celery's own entry: there are no results to clear.

    def tick(self) -> float:
        """Send the hints that are due, wait for the next due time, and return 0: nothing more to wait for."""
        now = clock.steady()
        for name, entry in self.schedule.items():
            interval = float(entry.schedule.seconds)
            if now >= self._next.setdefault(name, now + min(interval, FIRST_WITHIN)):
                is_rung = hints.ring(self.app.tasks[entry.task])
                self._next[name] = now + (interval if is_rung else min(interval, AGAIN_SECONDS))
        # Not with the caller's time.sleep, which fails if the clock is set for one process (Debian's faketime).
        self._never.wait(max(LEAST_PAUSE, min(self._next.values()) - clock.steady()))
        return 0.0
