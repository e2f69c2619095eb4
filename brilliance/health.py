"""Two answers for whoever watches over the installation: is the process alive, and can it do its work."""

import datetime as dt

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from kombu import Connection
from kombu.exceptions import OperationalError

from delivery.models import WorkerSeen

# A worker shows life before and after it sends for a while.
WORKER_SILENCE = dt.timedelta(seconds=60 + settings.DRAIN_SECONDS)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """Say that this process answers. It asks nobody else, so that a restart is never caused by a neighbour."""
    return HttpResponse("ok", content_type="text/plain")


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether mail can be queued and sent just now; 503 names what is missing, without details."""
    database = _database_problem()
    problems = {
        "database": database,
        "broker": _broker_problem(),
        "worker": _worker_problem(timezone.now()) if not database else "Unknown without the database.",
    }
    is_ready = not any(problems.values())
    checks = {name: problem or "ok" for name, problem in problems.items()}
    return JsonResponse({"ready": is_ready, **checks}, status=200 if is_ready else 503)


def _database_problem() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "The database does not answer."
    return ""


def _broker_problem() -> str:
    options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "max_retries": 0}
    try:
        with Connection(settings.BROKER_URL, connect_timeout=2, transport_options=options) as broker:
            broker.connect()
            # Connecting to Redis is lazy: a channel's first command is what proves it.
            broker.default_channel.close()
    except (OSError, OperationalError, *Connection(settings.BROKER_URL).connection_errors):
        return "The broker does not answer."
    return ""


def _worker_problem(now: dt.datetime) -> str:
    try:
        is_seen = WorkerSeen.objects.filter(name__startswith="deliver", seen_at__gt=now - WORKER_SILENCE).exists()
    except DatabaseError:
        return "The database is not migrated."
    return "" if is_seen else "No worker has been seen lately."
