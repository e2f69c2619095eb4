"""Which worker processes are at work, by the marks they leave in the database. Instants are of the database's clock."""

import datetime as dt
from collections.abc import Collection

from django.db import models

from delivery.models import WorkerSeen
from delivery.outbox import leases

SENDS, ERRANDS = "deliver", "errands"
SHOW_EVERY = dt.timedelta(seconds=3)
BELIEVED = dt.timedelta(seconds=10)  # How long a sign of life from a process that sends is good for.
FORGOTTEN_AFTER = dt.timedelta(days=1)
# A mark further in the future than this was left before the clock was set back, and says nothing of now.
FUTURE = dt.timedelta(seconds=5)


def show(queue: str, now: dt.datetime) -> None:
    """Leave a sign of life of this process."""
    WorkerSeen.objects.update_or_create(name=f"{queue} {leases.holder_name()}", defaults={"seen_at": now})
    WorkerSeen.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def senders(now: dt.datetime, within: dt.timedelta) -> int:
    """Return how many processes that send showed life within that time."""
    return WorkerSeen.objects.filter(
        name__startswith=f"{SENDS} ", seen_at__gt=now - within, seen_at__lte=now + FUTURE
    ).count()


def last_shown(queues: Collection[str], now: dt.datetime) -> dict[str, dt.datetime | None]:
    """Return when a process of each of the queues was at work last; None: never."""
    seen = WorkerSeen.objects.filter(seen_at__lte=now + FUTURE)
    return seen.aggregate(
        **{queue: models.Max("seen_at", filter=models.Q(name__startswith=f"{queue} ")) for queue in queues}
    )
