"""Celery's hands: hints that something may be due. Losing every one of them loses nothing; beat rings again."""

import asyncio
import datetime as dt
from multiprocessing.sharedctypes import RawValue
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings

from delivery import clock, clock_steps, hints, identity
from delivery.health import heartbeats
from delivery.operators import notices, restored_copy, trials
from delivery.outbox import mailings, plan, status_counts
from delivery.outcomes import recovery, results, unreachable_domains
from delivery.worker.drain import drain

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
    is_released = restored_copy.carry_on(now)
    heartbeats.show(heartbeats.ERRANDS, now)
    if not is_released:
        if not heartbeats.senders(now, SHOW_LIFE):
            hints.ring(deliver)
        return
    recovery.sweep(now)
    mailings.expire(now)
    results.finish_mailings(now)
    is_due = plan.is_anything_due(now)
    if is_due or not heartbeats.senders(now, SHOW_LIFE):
        hints.ring(deliver)
    status_counts.tidy()
    unreachable_domains.forget(now)
    notices.notice(now)
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
    is_held = bool(identity.why_held(now))  # First: a copy still tells when it was made.
    heartbeats.show(heartbeats.SENDS, now)
    if is_held:
        return 0
    recovery.sweep_here(now)
    sent = asyncio.run(drain(settings.DRAIN_SECONDS, clock=time, read_clock=time.read, should_stop=should_stop))
    now = time.read()
    heartbeats.show(heartbeats.SENDS, now)
    results.finish_mailings(now)
    if sent and not should_stop() and plan.is_anything_due(now):
        hints.ring(deliver)  # At once, so that nobody waits for beat in the middle of a campaign.
    return sent
