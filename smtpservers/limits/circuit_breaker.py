"""When a server that fails is left alone, for how long, and how it comes back; the operator's switch is never touched.

Three failures within five minutes pause a server for 30 seconds. When a pause is over it is tried with one message
over one connection (:func:`is_on_probation`): an answer brings the flood back, another failure doubles the pause. What
a server says about itself may set other times; a refused password waits until a person has edited the server.
"""

import datetime as dt

from django.db import connection
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Greatest

from smtpservers.models import SmtpServer

FAILURES_TO_OPEN = 3
WINDOW = dt.timedelta(minutes=5)
FIRST_PAUSE = dt.timedelta(seconds=30)
LONGEST_PAUSE = dt.timedelta(minutes=60)
SEEN_EVERY = dt.timedelta(seconds=1)  # How often the last success is written down while everything goes well.


def pause_after(
    failures: int, first: dt.timedelta = FIRST_PAUSE, longest: dt.timedelta = LONGEST_PAUSE
) -> dt.timedelta | None:
    """Return how long a server rests after that many failures in a row; None: not yet."""
    if failures < FAILURES_TO_OPEN:
        return None
    doublings = min(failures - FAILURES_TO_OPEN, 10)
    return min(first * (1 << doublings), longest)


def is_on_probation(server: SmtpServer) -> bool:
    """Whether the server failed and has answered nothing since: one message over one connection, and no more."""
    return server.failures >= FAILURES_TO_OPEN or server.outage_at is not None


def on_probation() -> Q:
    """Return the condition on servers for which :func:`is_on_probation` holds."""
    return Q(failures__gte=FAILURES_TO_OPEN) | Q(outage_at__isnull=False)


def note_failure(server_id: int, why: str, now: dt.datetime) -> bool:
    """Count a failure of the server itself and return whether it is paused by it.

    Until it is paused failures count within five minutes of each other; after that, until it answers again. What
    was on the line when a pause began fails, too, and is not counted.
    """
    server = SmtpServer.objects.filter(pk=server_id).exclude(_resting(now))
    counts_on = Q(failures__gte=FAILURES_TO_OPEN) | Q(failed_at__gte=now - WINDOW)
    if not server.update(failures=Case(When(counts_on, then=F("failures") + 1), default=Value(1)), failed_at=now):
        return False
    failures = SmtpServer.objects.values_list("failures", flat=True).get(pk=server_id)
    rest = pause_after(failures)
    return rest is not None and pause(server_id, why, now + rest, now)


def trip(server_id: int, why: str, first: dt.timedelta, longest: dt.timedelta, now: dt.datetime) -> bool:
    """Pause a server that named its own trouble at once; again and again, for twice as long each time."""
    server = SmtpServer.objects.filter(pk=server_id).exclude(_resting(now))
    # Below the threshold nothing was paused yet: this is the first pause.
    counted = Greatest(F("failures") + 1, Value(FAILURES_TO_OPEN))
    server.update(failures=counted, failed_at=now)
    failures = SmtpServer.objects.filter(pk=server_id).values_list("failures", flat=True).first()
    rest = None if failures is None else pause_after(failures, first, longest)
    return rest is not None and pause(server_id, why, now + rest, now)


def pause(server_id: int, why: str, until: dt.datetime | None, now: dt.datetime) -> bool:
    """Leave the server alone until then; with None until a person edits or resumes it.

    A longer pause stays, one without an end above all. Return whether this one holds now.
    """
    server = SmtpServer.objects.filter(pk=server_id)
    if until is not None:
        server = server.filter(Q(paused_reason="") | Q(paused_until__lt=until))
    return bool(server.update(paused_reason=why[:500], paused_until=until, outage_at=Coalesce("outage_at", Value(now))))


def put_on_probation(server_id: int, now: dt.datetime) -> None:
    """Have the server tried with a single message first when it is free again."""
    SmtpServer.objects.filter(pk=server_id, outage_at=None).update(outage_at=now)


def _resting(now: dt.datetime) -> Q:
    return ~Q(paused_reason="") & (Q(paused_until=None) | Q(paused_until__gt=now))


def note_success(server_id: int, now: dt.datetime) -> None:
    """The server accepted mail: it is well again."""
    moment, seen_before = map(connection.ops.adapt_datetimefield_value, (now, now - SEEN_EVERY))
    # Written out, because it goes with every group of results: Django's own takes ten times as long to make as to run.
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE smtpservers_smtpserver SET last_success_at = %s, failures = 0, failed_at = NULL, outage_at = NULL"
            " WHERE id = %s AND (failures > 0 OR outage_at IS NOT NULL OR last_success_at IS NULL"
            " OR last_success_at < %s OR last_success_at > %s)",
            [moment, server_id, seen_before, moment],
        )


def note_answer(server_id: int) -> None:
    """The server refused a message or its recipient in good order: it is well, too."""
    failing = SmtpServer.objects.filter(Q(failures__gt=0) | Q(outage_at__isnull=False), pk=server_id)
    failing.update(failures=0, failed_at=None, outage_at=None)


def resume(server_id: int) -> bool:
    """Give a paused server a new chance; False if it was not paused."""
    return bool(
        SmtpServer.objects.filter(pk=server_id)
        .exclude(paused_reason="")
        .update(paused_reason="", paused_until=None, outage_at=None, failures=0, failed_at=None)
    )
