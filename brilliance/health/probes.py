"""Health endpoints: ``/healthz`` says whether the process is alive, ``/readyz`` whether it can do its work.

:mod:`delivery.health.readiness` checks what sending needs; this module has the checks that belong to no room.
"""

import contextlib
import datetime as dt
import threading
import time
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu import Connection
from kombu.exceptions import OperationalError

from brilliance import schema
from delivery import clock, identity
from delivery.health import readiness

REMEMBERED_SECONDS = 1.0
_asking = threading.Lock()
_answer: tuple[float, dict[str, str | None]] | None = None


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Report that this process answers. It contacts nothing else, so that no neighbour ever causes a restart."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Report whether mail can be queued and sent now; 503 names the failed checks, without details."""
    problems = answer()
    is_ready = not any(problems.values())
    checks = {name: problem or "ok" for name, problem in problems.items()}
    return JsonResponse({"ready": is_ready, **checks}, status=200 if is_ready else 503)


def answer() -> dict[str, str | None]:
    """Return the result of each check, by name; cached for a second, because anybody may call this."""
    global _answer
    with _asking:
        if _answer is None or time.monotonic() - _answer[0] >= REMEMBERED_SECONDS:
            problems = _ask_all()
            _answer = time.monotonic(), problems  # From the end on: callers who waited need no new checks.
        return _answer[1]


def _ask_all() -> dict[str, str | None]:
    try:
        return ask(clock.now())
    except DatabaseError:
        return ask(timezone.now())


def ask(now: dt.datetime) -> dict[str, str | None]:
    """Return the result of each check, by name: None, or a sentence about the problem."""
    problems = {name: check(now) for name, check in CHECKS.items()}
    if problems["database"]:
        problems["migrations"] = "Unknown without the database."
        return {**problems, **dict.fromkeys(readiness.CHECKS, "Unknown without the database.")}
    with contextlib.suppress(DatabaseError):  # The checks report it.
        identity.why_held(now)  # Without workers, a copy of the database is noticed here.
    return {**problems, **readiness.ask(readiness.WorkersSeen(now))}


def _database(now: dt.datetime) -> str | None:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "The database does not answer."
    return None


def _broker(now: dt.datetime) -> str | None:
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "max_retries": 0}
    try:
        with Connection(settings.BROKER_URL, connect_timeout=2, transport_options=options) as broker:
            broker.connect()
            # Connecting to Redis is lazy: only a channel's first command proves it.
            broker.default_channel.close()
    except (OSError, OperationalError, *Connection(settings.BROKER_URL).connection_errors):
        return "The broker does not answer."
    return None


def _migrations(now: dt.datetime) -> str | None:
    try:
        return schema.NOT_MIGRATED if schema.is_missing() else None
    except DatabaseError:
        return schema.NOT_MIGRATED


# These need no migrated database; in this order.
CHECKS: dict[str, Callable[[dt.datetime], str | None]] = {
    "database": _database,
    "migrations": _migrations,
    "broker": _broker,
}
