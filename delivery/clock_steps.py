"""Steps of the database's clock: when it is set, waits keep their length.

A due message stays due, a wait of an hour still takes an hour, and no message expires because of the step. Times that a
person chose, such as a campaign's start or its hours, follow the new clock.
"""

import datetime as dt
import logging
from typing import NamedTuple

from django.conf import settings
from django.db.models import F, Model, Q

from delivery import clock
from delivery.models import ClockMark, Lane, Mailing, Message, ProviderHold
from domains.models import DkimKey, PostmasterAccess, SendingDomain
from oauth.models import OAuthAccount
from registry import Registry
from smtpservers.models import RefusedSender, SmtpServer

log = logging.getLogger(__name__)


class Waits(NamedTuple):
    """Columns with times until which something waits, which must not last longer when the clock is set back."""

    model: type[Model]
    columns: tuple[str, ...]
    longest: dt.timedelta | None = None  # If given, none may end early either, when the clock is set ahead.


# What rooms above wait for, by the name of the thing. They register in ``AppConfig.ready``.
WAITS: Registry[Waits] = Registry()
OWN_WAITS = (
    Waits(SmtpServer, ("paused_until", "full_until")),
    Waits(RefusedSender, ("until",)),
    Waits(ProviderHold, ("until", "slow_until")),
    Waits(OAuthAccount, ("expires_at", "retry_at")),
    Waits(SendingDomain, ("next_check_at", "taken_at")),
    Waits(DkimKey, ("next_check_at", "rests_until")),
    Waits(PostmasterAccess, ("next_at",)),
)

LEAST = dt.timedelta(seconds=5)  # A smaller change is no step.
_ONLY = 1  # The key of the only mark.

_last: tuple[dt.datetime, float] | None = None  # This process's last call, by the database's and the steady clock.


def follow(now: dt.datetime) -> dt.timedelta:
    """Detect a step of the clock since the last call in any process, and move the waits; return the step."""
    step = _step(now)
    if step:
        log.warning("the database's clock was set by %+d seconds", step.total_seconds())
        _move_waits(step, now)
    return step


def _step(now: dt.datetime) -> dt.timedelta:
    """Return the step of the clock, to only one of the processes that ask; zero to the others."""
    global _last
    last, _last = _last, (now, clock.steady())
    mark = ClockMark.objects.filter(pk=_ONLY)
    latest = mark.values_list("reached_at", flat=True).first()
    if latest is None:
        ClockMark.objects.get_or_create(pk=_ONLY, defaults={"reached_at": now})
        return dt.timedelta()
    step = dt.timedelta()
    if latest > now + LEAST:  # A mark in the future shows a step back, even to a process that started since.
        step = now - latest
    elif last is not None:
        ahead = now - last[0] - dt.timedelta(seconds=_last[1] - last[1])
        # If the mark is newer than the step, another process has detected the step before.
        step = ahead if ahead >= LEAST and latest < now - ahead / 2 else step
    return step if mark.filter(reached_at=latest).update(reached_at=now) else dt.timedelta()


def _move_waits(step: dt.timedelta, now: dt.datetime) -> None:
    # A live holder keeps its lane, and a dead one does not keep it longer. Leases acquired or renewed since the step
    # are right already.
    longest = dt.timedelta(seconds=2 * settings.LEASE_SECONDS)
    is_ahead = step > dt.timedelta()
    is_of_before = Q(expires_at__lte=now - step + longest) if is_ahead else Q(expires_at__gt=now + longest)
    Lane.objects.filter(is_of_before, number=0).update(expires_at=F("expires_at") + step)
    unfinished = Mailing.objects.filter(finished_at=None).values("pk")
    pending = Message.objects.filter(mailing__in=unfinished, status__in=Message.PENDING)
    pending.filter(expires_at__isnull=False).update(expires_at=F("expires_at") + step)
    if step < dt.timedelta():
        pending.filter(due_at__gt=now).update(due_at=F("due_at") + step)
    for waits in (*OWN_WAITS, *WAITS.values()):
        for column in waits.columns:
            _move(waits, column, step, now)


def _move(waits: Waits, column: str, step: dt.timedelta, now: dt.datetime) -> None:
    if step < dt.timedelta():
        of_before = {f"{column}__gt": now}
    elif waits.longest is not None:
        of_before = {f"{column}__lte": now - step + waits.longest}
    else:
        return
    waits.model._default_manager.filter(**of_before).update(**{column: F(column) + step})
