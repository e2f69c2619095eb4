"""One turn of what follows the answers: gather this machine's spool, and judge what is due.

The errands worker takes turns where it shares the folder of the web processes. On a machine without one a web process
does, so that no machine needs anything of its own. A restored copy that waits for a person gathers nothing.
"""

import datetime as dt
import logging
import time
from pathlib import Path

from django.db import DatabaseError, connection
from django.utils.translation import gettext as _

from delivery import clock, identity
from delivery.health.readiness import WorkersSeen
from feedback.visits import counts
from feedback.visits.gather import gather_for_a_while
from feedback.visits.spool import finished, spool_folder, waiting_since
from feedback.visits.verdicts import judge_for_a_while
from installation.site import site
from mail.links.levels import PERSONAL
from words.durations import measured

log = logging.getLogger(__name__)

FOR_A_WHILE = 1.5  # Seconds, so that other errands get their turn.
LOOK_SECONDS = 10.0
WAITED_SECONDS = 30.0  # Then no errands worker gathers here.
LATE = dt.timedelta(minutes=10)


def take_turn(folder: Path) -> bool:
    """Gather and judge for a while; return whether anything is left to do at once."""
    if identity.why_held(clock.now()):
        return False
    if site().tracking != PERSONAL:
        counts.note_gap(clock.now())
    is_more = gather_for_a_while(folder, clock.now, FOR_A_WHILE)
    return judge_for_a_while(clock.now, FOR_A_WHILE) or is_more


def uncounted(look: WorkersSeen) -> str | None:
    """Return a sentence if opens and clicks of this machine have waited for long to be gathered; for readiness."""
    since = waiting_since(spool_folder())
    if since is None or look.is_held:  # In a copy that waits for a person, that is what should happen.
        return None
    waited = dt.timedelta(seconds=time.time() - since)
    if waited < LATE:
        return None
    return _("Opens and clicks have waited for %(span)s to be counted.") % {"span": measured(waited)}


class StandIn:
    """A web process that takes turns where no errands worker does. It looks at the steady clock alone."""

    def __init__(self) -> None:
        self._looked_at = float("-inf")
        self._oldest, self._seen_at = "", 0.0

    def step_in(self) -> None:
        """Take turns if files have waited for too long. Called every second, in a thread of its own."""
        if time.monotonic() - self._looked_at < LOOK_SECONDS or not self._is_needed():
            return
        try:
            while take_turn(spool_folder()):
                pass
        except DatabaseError:
            log.warning("opens and clicks wait until the database answers")
        finally:
            connection.close()

    def _is_needed(self) -> bool:
        self._looked_at = now = time.monotonic()
        oldest = next((path.name for path in finished(spool_folder())), "")
        if oldest != self._oldest:
            self._oldest, self._seen_at = oldest, now
        return bool(oldest) and now - self._seen_at >= WAITED_SECONDS
