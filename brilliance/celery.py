"""Celery's hands: queues, beat and the embedded broker. The database holds the work; a task is only a hint."""

import logging
import os
from typing import Any

import billiard.pool
from celery import Celery, bootsteps
from celery.worker.components import Beat, Timer

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0

# A child that was given a task just before the end waits for a receipt that its parent forgot about (30 s, in steps of
# 0.1 s). No task of ours has a result that could be lost.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 20


class BeatKeeper(bootsteps.StartStopStep):  # type: ignore[misc]  # celery has no types
    """Starts the beat inside a worker anew when it was killed: nobody else would, and without it no hint is given."""

    requires = (Beat, Timer)

    def start(self, worker: Any) -> None:
        if worker.beat is not None:
            self._looks = worker.timer.call_repeatedly(LOOK_SECONDS, self._look, (worker,))

    def stop(self, worker: Any) -> None:
        if worker.beat is not None:  # Timers go on while the pool ends, and beat was ended before.
            self._looks.cancel()

    terminate = stop

    def _look(self, worker: Any) -> None:
        if not worker.beat.is_alive():
            log.error("beat ended unexpectedly; it is started anew")
            step = worker.blueprint[Beat.name]
            step.obj = step.create(worker)
            step.start(worker)


app = Celery("brilliance")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(BeatKeeper)
