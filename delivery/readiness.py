"""Whether mail can leave just now: named checks, each of which has nothing to say or says what is wrong.

A room that can hold mail up adds a check to :data:`CHECKS`. Readiness, Home and a campaign's page show what they say.
"""

import datetime as dt
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError

from delivery import installation
from delivery.models import WorkerSeen

# Returns None, or a whole sentence without anything that a stranger must not know: `/readyz` answers everybody.
Check = Callable[[dt.datetime], str | None]

# A worker shows life before and after it sends for a while.
WORKER_SILENCE = dt.timedelta(seconds=60 + settings.DRAIN_SECONDS)


def ask(now: dt.datetime) -> dict[str, str | None]:
    """Return what each check says, by its name."""
    return {name: _ask(check, now) for name, check in CHECKS.items()}


def _ask(check: Check, now: dt.datetime) -> str | None:
    try:
        return check(now)
    except DatabaseError:
        return "The database is not migrated."


def _worker(now: dt.datetime) -> str | None:
    is_seen = WorkerSeen.objects.filter(name__startswith="deliver", seen_at__gt=now - WORKER_SILENCE).exists()
    return None if is_seen else "No worker has been seen lately."


def _copy(now: dt.datetime) -> str | None:
    if not installation.why_held(now):
        return None
    return "This is a restored or copied database: nothing is sent until an administrator says go on."


CHECKS: dict[str, Check] = {"worker": _worker, "copy": _copy}
