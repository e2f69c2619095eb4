"""Celery's hands: queues, beat and the embedded broker. The database holds the work; a task is only a hint."""

import logging
import os
import threading
from typing import Any

import billiard.pool
from celery import Celery, Task, bootsteps
from celery.signals import worker_init
from celery.worker.components import Beat, Timer
from django.utils import timezone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
STOP_SECONDS = 3.0  # For the look under way.
HOLD_SECONDS = 3.0  # How long a fork waits for a look to end.

# A child that was given a task just before the end waits for a receipt that its parent forgot about (30 s, in steps of
# 0.1 s). No task of ours has a result that could be lost.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 20


@worker_init.connect
def _refuse_another_database(**kwargs: Any) -> None:
    from brilliance.schema import refuse  # Django is set up by now.

    refuse()


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


class Watchman(bootsteps.StartStopStep):  # type: ignore[misc]
    """Has the worker say every few seconds that it lives, and settle what dead workers left on its machine.

    In a thread of the worker itself: its children may be at work for long. A child is never forked in the middle of a
    look, whose locks it would inherit.
    """

    requires = (Timer,)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._is_over = threading.Event()
        self._looking = threading.Lock()
        self._is_held = False
        os.register_at_fork(before=self._hold, after_in_parent=self._let_go, after_in_child=self._let_go)

    def start(self, worker: Any) -> None:
        queues = [str(name) for name in worker.app.amqp.queues.consume_from]
        self._is_over.clear()
        self._thread = threading.Thread(target=self._run, args=(queues,), name="watchman", daemon=True)
        self._thread.start()

    def stop(self, worker: Any) -> None:
        self._is_over.set()
        self._thread.join(STOP_SECONDS)

    terminate = stop

    def _run(self, queues: list[str]) -> None:
        with self._looking:  # A child that is forked in the middle of an import could never do it itself.
            from delivery.worker.watch import Watch  # Django is set up by now.

            watch = Watch(queues)
        while not self._is_over.is_set():
            with self._looking:
                watch.look()
            self._is_over.wait(LOOK_SECONDS)

    def _hold(self) -> None:
        self._is_held = self._looking.acquire(timeout=HOLD_SECONDS)

    def _let_go(self) -> None:
        if self._is_held:
            self._looking.release()


class Errand(Task):  # type: ignore[misc]  # celery has no types
    """A task of ours. In a copy that waits for a person it does nothing, unless it says that it may."""

    runs_while_held = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from delivery import identity  # Its models are there once Django is.

        if not self.runs_while_held and identity.why_held(timezone.now()):
            return None
        return super().__call__(*args, **kwargs)


app = Celery("brilliance", task_cls=Errand)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(BeatKeeper)
app.steps["worker"].add(Watchman)
