"""Two answers for whoever watches over the installation: is the process alive, and can it do its work.

What must be true of sending is asked in :mod:`delivery.readiness`; here stand the checks that belong to no room.
"""

import datetime as dt

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu import Connection
from kombu.exceptions import OperationalError

from delivery import readiness


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process answers. It asks nobody else, so that a restart is never caused by a neighbour."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether mail can be queued and sent just now; 503 names what is missing, without details."""
    problems = ask(timezone.now())
    is_ready = not any(problems.values())
    checks = {name: problem or "ok" for name, problem in problems.items()}
    return JsonResponse({"ready": is_ready, **checks}, status=200 if is_ready else 503)


def ask(now: dt.datetime) -> dict[str, str | None]:
    """Return what each check says, by its name: None, or a sentence about what is wrong."""
    problems = {name: check(now) for name, check in CHECKS.items()}
    if problems["database"]:
        return {**problems, **dict.fromkeys(readiness.CHECKS, "Unknown without the database.")}
    return {**problems, **readiness.ask(now)}


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
            # Connecting to Redis is lazy: a channel's first command is what proves it.
            broker.default_channel.close()
    except (OSError, OperationalError, *Connection(settings.BROKER_URL).connection_errors):
        return "The broker does not answer."
    return None


# Asked without the help of a migrated database, in this order.
CHECKS: dict[str, readiness.Check] = {"database": _database, "broker": _broker}
