"""Celery's hands: hints that something may be due. Losing every one of them loses nothing; beat rings again."""

import asyncio
import datetime as dt
from multiprocessing.sharedctypes import RawValue
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings

from delivery import (
    clock,
    clock_steps,
    counting,
    hints,
    installation,
    noticing,
    planning,
    presence,
    queueing,
    recording,
    restoration,
    sweeping,
    trials,
)
from delivery.draining import drain

# Made before the pool forks, so that a drain in a child learns of the shutdown its parent was told of. It has no lock:
# a child that was killed while it held one would leave its successors waiting for good.
_is_stopping = RawValue("b", 0)
SHOW_LIFE = dt.timedelta(seconds=20)


@worker_shutting_down.connect
def _stop_draining(**kwargs: Any) -> None:
    _is_stopping.value = 1


def should_stop() -> bool:
    """Whether the worker was told to end."""
    return bool(_is_stopping.value)


@shared_task(runs_while_held=True)
def dispatch() -> None:
    """Settle what dead workers left, close what is done, ring for what is due, and tell the operators.

    In a copy that waits, do what a person said, and nothing else but to show life.
    """
    now = clock.now()
    clock_steps.follow(now)
    is_released = restoration.carry_on(now)
    presence.show(presence.ERRANDS, now)
    if not is_released:
        if not presence.senders(now, SHOW_LIFE):
            hints.ring(deliver)
        return
    sweeping.sweep(now)
    queueing.expire(now)
    recording.finish_mailings(now)
    is_due = planning.is_anything_due(now)
    if is_due or not presence.senders(now, SHOW_LIFE):
        hints.ring(deliver)
    counting.tidy()
    noticing.notice(now)
    trials.forget_old(now)
    if trials.is_any_waiting():
        hints.ring(make_trials)


@shared_task(runs_while_held=True)  # Each test says itself that the copy waits.
def make_trials() -> None:
    """Make the tests that pages asked for, one after the other."""
    while not should_stop() and trials.make_next(clock.now):
        pass


@shared_task(runs_while_held=True)
def deliver() -> int:
    """Send what is due for a bounded time and return how many messages were accepted."""
    time = clock.DatabaseClock()
    now = time.read()
    is_held = bool(installation.why_held(now))  # First: a copy still tells when it was made.
    presence.show(presence.SENDS, now)
    if is_held:
        return 0
    sweeping.sweep_here(now)
    sent = asyncio.run(drain(settings.DRAIN_SECONDS, clock=time, read_clock=time.read, should_stop=should_stop))
    now = time.read()
    presence.show(presence.SENDS, now)
    recording.finish_mailings(now)
    if sent and not should_stop() and planning.is_anything_due(now):
        hints.ring(deliver)  # At once, so that nobody waits for beat in the middle of a campaign.
    return sent
