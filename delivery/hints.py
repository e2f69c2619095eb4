"""Hints: Celery tasks that wake workers. Hints do not expire, because clocks differ; instead only a few may be queued.

No work is lost with a lost hint: beat sends another, and the database holds the work.
"""

import logging
from typing import Any

from celery import current_app
from django.conf import settings
from kombu import Connection
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)

MOST_WAITING = 20  # The most hints in a queue. If no worker takes them, more would not help.


def ring(task: Any) -> bool:
    """Queue ``task`` for a worker; False if enough hints are queued already, or the broker does not answer."""
    try:
        if waiting(_queue_of(task)) >= MOST_WAITING:
            return False
        task.apply_async(retry=False)
    except (OSError, OperationalError, *_errors()) as error:
        log.warning("a worker could not be told and will notice by itself: %s", error)
        return False
    return True


def waiting(queue: str) -> int:
    """Return the number of hints in a queue that no worker has taken yet.

    :raises OSError: or another connection error of kombu, if the broker does not answer.
    """
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "max_retries": 0}
    with Connection(settings.BROKER_URL, connect_timeout=2, transport_options=options) as broker:
        declared = current_app.amqp.queues[queue](broker.default_channel).queue_declare()
        return int(declared.message_count)


def _queue_of(task: Any) -> str:
    routed = current_app.amqp.router.route({}, task.name)
    return str(routed["queue"].name)


def _errors() -> tuple[type[Exception], ...]:
    return tuple(Connection(settings.BROKER_URL).connection_errors)
