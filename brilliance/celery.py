"""The Celery app: queues, beat and the embedded broker. The work is in the database; a task is only a hint."""

import logging
import os
import threading
from typing import Any

import billiard.pool
from celery import Celery, Task, bootsteps
from celery.signals import task_prerun, worker_init
from celery.worker.components import Beat, Timer
from django.utils import timezone

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0
STOP_SECONDS = 3.0  # For the look in progress.
FORK_WAIT_SECONDS = 3.0  # How long a fork waits for a look to end.

# A child that gets a task right before the end waits for a receipt that its parent forgot (30 s, in steps of 0.1 s). No
# task here has a result that could be lost.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 20


@worker_init.connect
def _refuse_another_database(**kwargs: Any) -> None:
    from brilliance.schema import refuse  # Django is set up by now.

    refuse()


@task_prerun.connect
def _use_site_time_zone(**kwargs: Any) -> None:
    """Have a task tell times in the zone of the site."""
    from installation.site import site  # Django is set up by now.

    timezone.activate(site().time_zone)


class BeatKeeper(bootsteps.StartStopStep):  # type: ignore[misc]  # celery has no types
    """Restarts the beat inside a worker after it was killed: nothing else would, and without beat there is no hint."""

    requires = (Beat, Timer)

    def start(self, worker: Any) -> None:
        if worker.beat is not None:
            self._looks = worker.timer.call_repeatedly(LOOK_SECONDS, self._look, (worker,))

    def stop(self, worker: Any) -> None:
        if worker.beat is not None:  # Timers run while the pool ends; beat was stopped before.
            self._looks.cancel()

    terminate = stop

    def _look(self, worker: Any) -> None:
        if not worker.beat.is_alive():
            log.error("beat ended unexpectedly; it is started anew")
            step = worker.blueprint[Beat.name]
            step.obj = step.create(worker)
            step.start(worker)


class Watchman(bootsteps.StartStopStep):  # type: ignore[misc]
    """Writes the worker's heartbeat every few seconds, and settles what dead workers left on its machine.

    It is a thread of the main worker process, because the children may be busy for long. No child is forked during a
    look, since it would inherit the look's locks.
    """

    requires = (Timer,)

    def __init__(self, worker: Any, **kwargs: Any) -> None:
        super().__init__(worker, **kwargs)
        self._is_over = threading.Event()
        self._looking = threading.Lock()
        self._is_held = False
        os.register_at_fork(before=self._before_fork, after_in_parent=self._after_fork, after_in_child=self._after_fork)

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
        with self._looking:  # A child forked during an import could never finish that import.
            from delivery.worker.watch import Watch  # Django is set up by now.

            watch = Watch(queues)
        while not self._is_over.is_set():
            with self._looking:
                watch.look()
            self._is_over.wait(LOOK_SECONDS)

    def _before_fork(self) -> None:
        self._is_held = self._looking.acquire(timeout=FORK_WAIT_SECONDS)

    def _after_fork(self) -> None:
        if self._is_held:
            self._looking.release()


class Errand(Task):  # type: ignore[misc]  # celery has no types
    """The base class of tasks. In a copy that waits for a person a task does nothing, unless ``runs_while_held`` is
    set.
    """

    runs_while_held = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from delivery import identity  # Its models need Django to be set up.

        if not self.runs_while_held and identity.why_held(timezone.now()):
            return None
        return super().__call__(*args, **kwargs)


app = Celery("brilliance", task_cls=Errand)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.steps["worker"].add(BeatKeeper)
app.steps["worker"].add(Watchman)
