"""Heartbeats of worker processes, stored in the database. All instants are on the database's clock."""

import datetime as dt
from collections.abc import Collection

from django.db import models

from delivery.models import WorkerSeen
from delivery.outbox import leases

SENDS, ERRANDS = "deliver", "errands"
RECORD_EVERY = dt.timedelta(seconds=3)
BELIEVED = dt.timedelta(seconds=10)  # How long the heartbeat of a sending process counts.
FORGOTTEN_AFTER = dt.timedelta(days=1)
# A heartbeat further in the future than this is from before the clock was set back, and does not count.
FUTURE = dt.timedelta(seconds=5)


def record(queue: str, now: dt.datetime) -> None:
    """Store a heartbeat of this process."""
    WorkerSeen.objects.update_or_create(name=f"{queue} {leases.holder_name()}", defaults={"seen_at": now})
    WorkerSeen.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def end(queue: str) -> None:
    """Forget this process, which ends in order and is not missed."""
    WorkerSeen.objects.filter(name=f"{queue} {leases.holder_name()}").delete()


def senders(now: dt.datetime, within: dt.timedelta) -> int:
    """Return the number of sending processes with a heartbeat within the given time."""
    return WorkerSeen.objects.filter(
        name__startswith=f"{SENDS} ", seen_at__gt=now - within, seen_at__lte=now + FUTURE
    ).count()


def last_heartbeats(queues: Collection[str], now: dt.datetime) -> dict[str, dt.datetime | None]:
    """Return the last heartbeat of any process, by queue; None: never."""
    seen = WorkerSeen.objects.filter(seen_at__lte=now + FUTURE)
    return seen.aggregate(
        **{queue: models.Max("seen_at", filter=models.Q(name__startswith=f"{queue} ")) for queue in queues}
    )
