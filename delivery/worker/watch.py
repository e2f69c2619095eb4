"""What a worker process looks after beside its work: that it is known to live, and that its machine's dead are settled.

The process that embeds it calls :meth:`Watch.look` again and again, from a thread of its own.
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
    """The watch of one worker over itself and its machine."""

    def __init__(self, queues: Collection[str]) -> None:
        self._vitals = Vitals(queues)
        self._sends = heartbeats.SENDS in queues

    def look(self) -> None:
        """Report, and settle what dead workers of this machine left. Whatever goes wrong, the next look comes."""
        try:
            self._vitals.look()
            if self._sends:
                recovery.sweep_here(clock.now())
        except DatabaseProblem as error:
            log.error("the database does not answer; this worker is not seen: %s", error)
        except Exception:
            log.exception("a look of the watch failed")
        finally:
            connections.close_all()  # Nothing is open when a child is forked.
