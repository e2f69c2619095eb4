"""When a server that fails is left alone, and for how long; the operator's own switch is never touched."""

import datetime as dt

from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce

from smtpservers.models import SmtpServer

FAILURES_TO_OPEN = 3
WINDOW = dt.timedelta(minutes=5)
FIRST_PAUSE = dt.timedelta(seconds=30)
LONGEST_PAUSE = dt.timedelta(minutes=60)


def pause_after(failures: int) -> dt.timedelta | None:
    """Return how long a server rests after that many failures in a row; None: not yet."""
    if failures < FAILURES_TO_OPEN:
        return None
    doublings = min(failures - FAILURES_TO_OPEN, 10)
    return min(FIRST_PAUSE * (1 << doublings), LONGEST_PAUSE)


def note_failure(server_id: int, why: str, now: dt.datetime) -> bool:
    """Count a failure of the server itself and return whether it is paused by it."""
    recent = SmtpServer.objects.filter(pk=server_id, failed_at__gte=now - WINDOW - LONGEST_PAUSE)
    if not recent.update(failures=F("failures") + 1, failed_at=now):
        SmtpServer.objects.filter(pk=server_id).update(failures=1, failed_at=now)
    failures = SmtpServer.objects.values_list("failures", flat=True).get(pk=server_id)
    rest = pause_after(failures)
    return rest is not None and pause(server_id, why, now + rest, now)


def pause(server_id: int, why: str, until: dt.datetime | None, now: dt.datetime) -> bool:
    """Leave the server alone until then; with None until a person edits or resumes it."""
    return bool(
        SmtpServer.objects.filter(pk=server_id).update(
            paused_reason=why[:500], paused_until=until, outage_at=Coalesce("outage_at", Value(now))
        )
    )


def note_success(server_id: int, now: dt.datetime) -> None:
    """The server accepted mail: it is well again."""
    SmtpServer.objects.filter(pk=server_id).update(last_success_at=now)
    failing = SmtpServer.objects.filter(Q(failures__gt=0) | Q(outage_at__isnull=False), pk=server_id)
    failing.update(failures=0, failed_at=None, outage_at=None)


def resume(server_id: int) -> bool:
    """Give a paused server a new chance; False if it was not paused."""
    return bool(
        SmtpServer.objects.filter(pk=server_id)
        .exclude(paused_reason="")
        .update(paused_reason="", paused_until=None, outage_at=None, failures=0, failed_at=None)
    )
