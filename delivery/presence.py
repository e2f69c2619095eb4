"""Which worker processes are alive, by the marks they leave in the database."""

import datetime as dt

from delivery import lanes
from delivery.models import WorkerSeen

SENDS, ERRANDS = "deliver", "errands"
SHOW_EVERY = dt.timedelta(seconds=3)
BELIEVED = dt.timedelta(seconds=10)  # How long a sign of life from a process that sends is good for.
FORGOTTEN_AFTER = dt.timedelta(days=1)


def show(queue: str, now: dt.datetime) -> None:
    """Leave a sign of life of this process."""
    WorkerSeen.objects.update_or_create(name=f"{queue} {lanes.holder_name()}", defaults={"seen_at": now})
    WorkerSeen.objects.filter(seen_at__lt=now - FORGOTTEN_AFTER).delete()


def senders(since: dt.datetime) -> int:
    """Return how many processes that send showed life since then."""
    return WorkerSeen.objects.filter(name__startswith=f"{SENDS} ", seen_at__gt=since).count()
