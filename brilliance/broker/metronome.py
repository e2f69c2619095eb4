"""Beat's scheduler: rings for each task at its interval, by a clock that nobody can set.

Celery's own waits for the wall clock, and stands still for as long as that was set back.
"""

import threading
from typing import Any

from celery.beat import Scheduler

from delivery import clock, hints

FIRST_WITHIN = 600.0  # Seconds after the start; else what has a long interval never comes where restarts are frequent.
LEAST_PAUSE = 0.05  # Seconds.
AGAIN_SECONDS = 2.0  # Until the next try where a ring came to nothing.


class Metronome(Scheduler):  # type: ignore[misc]  # celery has no types
    """Rings for the entries of ``CELERY_BEAT_SCHEDULE``, whose schedules are numbers of seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._never = threading.Event()
        self._next: dict[str, float] = {}  # When each entry is due, by the steady clock.
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)  # And nothing of Celery's own: there are no results to clear.

    def tick(self) -> float:
        """Ring for what is due, wait until more is, and return that there is nothing more to wait for."""
        now = clock.steady()
        for name, entry in self.schedule.items():
            interval = float(entry.schedule.seconds)
            if now >= self._next.setdefault(name, now + min(interval, FIRST_WITHIN)):
                is_rung = hints.ring(self.app.tasks[entry.task])
                self._next[name] = now + (interval if is_rung else min(interval, AGAIN_SECONDS))
        # Not by the caller's time.sleep: it fails where a clock is set for one process (Debian's faketime).
        self._never.wait(max(LEAST_PAUSE, min(self._next.values()) - clock.steady()))
        return 0.0
