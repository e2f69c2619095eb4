"""The heartbeat of the mail listener: Home tells when a listener was running and has stopped.

Nothing else says whether an installation has one. So it is missed for a day after its last heartbeat, unless it ended
in order.
"""

import datetime as dt

from delivery import clock
from delivery.health import heartbeats

QUEUE = "intake"
EVERY_SECONDS = 10.0
SILENT_AFTER = dt.timedelta(minutes=1)


def beat() -> None:
    """Record that this listener runs."""
    heartbeats.record(QUEUE, clock.now())


def end() -> None:
    """Record that this listener ends in order."""
    heartbeats.end(QUEUE)


def missed_since(now: dt.datetime) -> dt.datetime | None:
    """Return the last heartbeat of a listener that has stopped; None if one runs, or none is expected."""
    last = heartbeats.last_heartbeats((QUEUE,), now)[QUEUE]
    return last if last is not None and SILENT_AFTER < now - last < heartbeats.FORGOTTEN_AFTER else None
