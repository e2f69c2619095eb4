"""Beat's scheduler: rings for each task at its interval, by a clock that nobody can set.

Celery's own waits for the wall clock, and stands still for as long as that was set back.
"""

from typing import Any

from celery.beat import Scheduler

from delivery import clock, hints

FIRST_WITHIN = 600.0  # Seconds after the start; else what has a long interval never comes where restarts are frequent.
AGAIN_SECONDS = 2.0  # Until the next try where a ring came to nothing.


class Metronome(Scheduler):  # type: ignore[misc]  # celery has no types
    """Rings for the entries of ``CELERY_BEAT_SCHEDULE``, whose schedules are numbers of seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._next: dict[str, float] = {}  # When each entry is due, by the steady clock.
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        self.merge_inplace(self.app.conf.beat_schedule)  # And nothing of Celery's own: there are no results to clear.

    def tick(self) -> float:
        """Ring for what is due, and return for how many seconds nothing is."""
        now = clock.steady()
        for name, entry in self.schedule.items():
            interval = float(entry.schedule.seconds)
            if now >= self._next.setdefault(name, now + min(interval, FIRST_WITHIN)):
                is_rung = hints.ring(self.app.tasks[entry.task])
                self._next[name] = now + (interval if is_rung else min(interval, AGAIN_SECONDS))
        return max(0.0, min(self._next.values()) - clock.steady())
