"""The watch of a worker process: sends its heartbeat, and recovers dead workers of its machine.

The process that embeds it calls :meth:`Watch.look` periodically, from a separate thread.
"""

import logging
from collections.abc import Collection

from django.db import Error as DatabaseProblem
from django.db import connections

from delivery import clock
from delivery.health import heartbeats
from delivery.health.vitals import Vitals
from delivery.outcomes import recovery

log = logging.getLogger(__name__)


class Watch:
    """The watch of one worker process."""

    def __init__(self, queues: Collection[str]) -> None:
        self._vitals = Vitals(queues)
        self._sends = heartbeats.SENDS in queues

    def look(self) -> None:
        """Report, and settle attempts of this machine's dead workers. Errors are logged, so that the watch goes on."""
        try:
            self._vitals.look()
            if self._sends:
                recovery.sweep_here(clock.now())
        except DatabaseProblem as error:
            log.error("the database does not answer; this worker is not seen: %s", error)
        except Exception:
            log.exception("a look of the watch failed")
        finally:
            connections.close_all()  # No connection may be open when a child is forked.
