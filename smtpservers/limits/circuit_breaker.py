"""The circuit breaker: pauses a failing server and lets it recover; the operator's switch is never touched.

Three failures within five minutes pause a server for 30 seconds. After the pause it gets one message over one
connection (:func:`is_on_probation`): an answer ends the probation, another failure doubles the pause. The server's own
replies may set other times; a refused password pauses it until a person edits the server.
"""

import datetime as dt

from django.db import connection
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Coalesce, Greatest

from smtpservers.limits import pause_history
from smtpservers.models import SmtpServer

FAILURES_TO_OPEN = 3
WINDOW = dt.timedelta(minutes=5)
FIRST_PAUSE = dt.timedelta(seconds=30)
LONGEST_PAUSE = dt.timedelta(minutes=60)
SEEN_EVERY = dt.timedelta(seconds=1)  # How often a success is written while everything goes well.


def pause_after(
    failures: int, first: dt.timedelta = FIRST_PAUSE, longest: dt.timedelta = LONGEST_PAUSE
) -> dt.timedelta | None:
    """Return the pause after that many consecutive failures; None: no pause yet."""
    if failures < FAILURES_TO_OPEN:
        return None
    doublings = min(failures - FAILURES_TO_OPEN, 10)
    return min(first * (1 << doublings), longest)


def is_on_probation(server: SmtpServer) -> bool:
    """Whether the server failed and has not answered since: it gets one message over one connection."""
    return server.failures >= FAILURES_TO_OPEN or server.outage_at is not None


def note_failure(server_id: int, why: str, now: dt.datetime) -> bool:
    """Count a failure of the server itself; return whether it is now paused.

    Before a pause, failures count together within five minutes of each other; after it, until the server answers again.
    Messages that were in progress when a pause began fail too, and are not counted.
    """
    server = SmtpServer.objects.filter(pk=server_id).exclude(_paused(now))
    counts_on = Q(failures__gte=FAILURES_TO_OPEN) | Q(failed_at__gte=now - WINDOW)
    if not server.update(failures=Case(When(counts_on, then=F("failures") + 1), default=Value(1)), failed_at=now):
        return False
    failures = SmtpServer.objects.values_list("failures", flat=True).get(pk=server_id)
    length = pause_after(failures)
    return length is not None and pause(server_id, why, now + length, now)


def trip(server_id: int, why: str, first: dt.timedelta, longest: dt.timedelta, now: dt.datetime) -> bool:
    """Pause a server at once that reported its own trouble; each repetition doubles the pause."""
    server = SmtpServer.objects.filter(pk=server_id).exclude(_paused(now))
    # Below the threshold there was no pause yet: this is the first.
    counted = Greatest(F("failures") + 1, Value(FAILURES_TO_OPEN))
    server.update(failures=counted, failed_at=now)
    failures = SmtpServer.objects.filter(pk=server_id).values_list("failures", flat=True).first()
    length = None if failures is None else pause_after(failures, first, longest)
    return length is not None and pause(server_id, why, now + length, now)


def pause(
    server_id: int, why: str, until: dt.datetime | None, now: dt.datetime, *, awaits_account: bool = False
) -> bool:
    """Pause the server until then; None: until a person edits or resumes it.

    A longer pause stays, and so does one without an end. Return whether this pause is in force. The history has the
    first pause of an outage, and every one that waits for a person.

    :param awaits_account: whether it is over once the server's OAuth account works. It replaces no pause of another
        kind: the account's trouble is found again after that one.
    """
    server = SmtpServer.objects.filter(pk=server_id)
    if awaits_account:
        server = server.exclude(_paused(now) & Q(pause_awaits_account=False))
    elif until is not None:
        server = server.filter(Q(paused_reason="") | Q(paused_until__lt=until))
    goes_on = Q(paused_until=None) if until is None else Q(outage_at__isnull=False)
    is_known = SmtpServer.objects.filter(~Q(paused_reason="") & goes_on, pk=server_id).exists()
    is_in_force = bool(
        server.update(
            paused_reason=why[:500],
            paused_until=until,
            pause_awaits_account=awaits_account,
            outage_at=Coalesce("outage_at", Value(now)),
        )
    )
    if is_in_force and not is_known:
        pause_history.note(server_id, f"Paused: {why}")
    return is_in_force


def put_on_probation(server_id: int, now: dt.datetime) -> None:
    """Make the server start with a single message when it is available again."""
    SmtpServer.objects.filter(pk=server_id, outage_at=None).update(outage_at=now)


def _paused(now: dt.datetime) -> Q:
    return ~Q(paused_reason="") & (Q(paused_until=None) | Q(paused_until__gt=now))


def note_success(server_id: int, now: dt.datetime) -> None:
    """Record that the server accepted mail: its failures are over."""
    moment, seen_before = map(connection.ops.adapt_datetimefield_value, (now, now - SEEN_EVERY))
    # Raw SQL, because it runs with every group of results: building Django's query takes ten times as long as running
    # it.
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE smtpservers_smtpserver SET last_success_at = %s, failures = 0, failed_at = NULL, outage_at = NULL"
            " WHERE id = %s AND (failures > 0 OR outage_at IS NOT NULL OR last_success_at IS NULL"
            " OR last_success_at < %s OR last_success_at > %s)",
            [moment, server_id, seen_before, moment],
        )


def note_answer(server_id: int) -> None:
    """Record that the server properly refused a message or its recipient: it works, so its failures are over too."""
    failing = SmtpServer.objects.filter(Q(failures__gt=0) | Q(outage_at__isnull=False), pk=server_id)
    failing.update(failures=0, failed_at=None, outage_at=None)


def resume(server_id: int, *, only_if_awaiting_account: bool = False) -> bool:
    """End the pause of a server; False if it was not paused.

    :param only_if_awaiting_account: leave a pause that has nothing to do with the server's OAuth account.
    """
    paused = SmtpServer.objects.filter(pk=server_id).exclude(paused_reason="")
    if only_if_awaiting_account:
        paused = paused.filter(pause_awaits_account=True)
    return bool(
        paused.update(
            paused_reason="",
            paused_until=None,
            pause_awaits_account=False,
            outage_at=None,
            failures=0,
            failed_at=None,
        )
    )
