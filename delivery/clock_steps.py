"""What follows when the database's clock is set: waits keep their length, whatever the clock says.

A message that was due stays due, one that waits for an hour waits for an hour, and none expires because of it. What a
person chose by the calendar, a campaign's start or its hours, follows the new clock.
"""

import datetime as dt
import logging

from django.conf import settings
from django.db.models import F, Q

from delivery import clock
from delivery.models import ClockMark, Lane, Mailing, Message, ProviderHold
from smtpservers.models import SmtpServer

log = logging.getLogger(__name__)

LEAST = dt.timedelta(seconds=5)  # Anything less is no step.
_ONLY = 1  # The key of the one mark.

_last: tuple[dt.datetime, float] | None = None  # Of this process: the instant, by the database and by the steady clock.


def follow(now: dt.datetime) -> dt.timedelta:
    """Notice whether the clock was set since the last call anywhere, and follow it; return by how much it was."""
    step = _step(now)
    if step:
        log.warning("the database's clock was set by %+d seconds", step.total_seconds())
        _move_waits(step, now)
    return step


def _step(now: dt.datetime) -> dt.timedelta:
    """Return by how much the clock was set, to one of those who ask and nothing to the others."""
    global _last
    last, _last = _last, (now, clock.steady())
    mark = ClockMark.objects.filter(pk=_ONLY)
    latest = mark.values_list("reached_at", flat=True).first()
    if latest is None:
        ClockMark.objects.get_or_create(pk=_ONLY, defaults={"reached_at": now})
        return dt.timedelta()
    step = dt.timedelta()
    if latest > now + LEAST:  # A mark from the future says so, also to a process that was started since.
        step = now - latest
    elif last is not None:
        ahead = now - last[0] - dt.timedelta(seconds=_last[1] - last[1])
        # Where the mark is not older than the step, another process has noticed it before.
        step = ahead if ahead >= LEAST and latest < now - ahead / 2 else step
    return step if mark.filter(reached_at=latest).update(reached_at=now) else dt.timedelta()


def _move_waits(step: dt.timedelta, now: dt.datetime) -> None:
    # A holder that lives keeps its lane, and one that is dead does not keep it for longer; what was given or renewed
    # since the step is right already.
    longest = dt.timedelta(seconds=2 * settings.LEASE_SECONDS)
    is_ahead = step > dt.timedelta()
    is_of_before = Q(expires_at__lte=now - step + longest) if is_ahead else Q(expires_at__gt=now + longest)
    Lane.objects.filter(is_of_before, number=0).update(expires_at=F("expires_at") + step)
    unfinished = Mailing.objects.filter(finished_at=None).values("pk")
    pending = Message.objects.filter(mailing__in=unfinished, status__in=Message.PENDING)
    pending.filter(expires_at__isnull=False).update(expires_at=F("expires_at") + step)
    if step < dt.timedelta():
        pending.filter(due_at__gt=now).update(due_at=F("due_at") + step)
        for name in ("paused_until", "full_until"):
            SmtpServer.objects.filter(**{f"{name}__gt": now}).update(**{name: F(name) + step})
        ProviderHold.objects.filter(until__gt=now).update(until=F("until") + step)
