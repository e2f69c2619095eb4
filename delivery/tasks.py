"""The Celery tasks of delivery. Each is a hint that work may be due: none is lost with it, since beat sends another."""

import datetime as dt
from multiprocessing.sharedctypes import RawValue
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings

from delivery import clock, clock_steps, hints, identity
from delivery.content.signatures import Signatures
from delivery.health import heartbeats
from delivery.operators import key_notices, notices, restored_copy, session_check, trials
from delivery.outbox import mailings, plan, status_counts
from delivery.outcomes import recovery, results, unreachable_domains
from delivery.worker import event_loop
from delivery.worker.drain import drain

# Created before the pool forks, so that a drain in a child learns of the shutdown of its parent. It has no lock: a
# child killed while it held the lock would block its successors forever.
_is_stopping = RawValue("b", 0)
SILENT_AFTER = dt.timedelta(seconds=20)
SESSION_SECONDS = 60  # A task ends after the session during which this time is over.


@worker_shutting_down.connect
def _stop_draining(**kwargs: Any) -> None:
    _is_stopping.value = 1


def should_stop() -> bool:
    """Whether the worker is shutting down."""
    return bool(_is_stopping.value)


@shared_task(runs_while_held=True)
def dispatch() -> None:
    """Recover dead workers' batches, finish mailings, queue tasks for due work, and send notices to the operators.

    In a copy that waits for a person, only act on the person's answer and send a heartbeat.
    """
    now = clock.now()
    clock_steps.follow(now)
    is_released = restored_copy.carry_on(now)
    heartbeats.record(heartbeats.ERRANDS, now)
    if not is_released:
        if not heartbeats.senders(now, SILENT_AFTER):
            hints.ring(deliver)
        return
    recovery.sweep(now)
    mailings.expire(now)
    results.finish_mailings(now)
    is_due = plan.is_anything_due(now)
    if is_due or not heartbeats.senders(now, SILENT_AFTER):
        hints.ring(deliver)
    status_counts.tidy()
    unreachable_domains.forget(now)
    notices.notice(now)
    key_notices.notice(now)
    trials.forget_old(now)
    if trials.is_any_waiting():
        hints.ring(make_trials)


@shared_task(runs_while_held=True)  # Each test reports by itself that the copy is held.
def make_trials() -> None:
    """Run the send tests that pages asked for, one after the other."""
    while not should_stop() and trials.make_next(clock.now):
        pass


@shared_task(runs_while_held=True)
def deliver() -> int:
    """Send due mail for a bounded time, and return the number of accepted messages."""
    time = clock.DatabaseClock()
    now = time.read()
    is_held = bool(identity.why_held(now))  # Before the heartbeat, so that a copy still shows when it was made.
    heartbeats.record(heartbeats.SENDS, now)
    if is_held:
        return 0
    recovery.sweep_here(now)
    sent = event_loop.run(
        drain(
            settings.DRAIN_SECONDS,
            clock=time,
            read_clock=time.read,
            should_stop=should_stop,
            signer_for=Signatures().signer_for,
        )
    )
    now = time.read()
    heartbeats.record(heartbeats.SENDS, now)
    results.finish_mailings(now)
    if sent and not should_stop() and plan.is_anything_due(now):
        hints.ring(deliver)  # At once: a campaign must not wait for beat.
    return sent


@shared_task
def check_sessions() -> None:
    """Try the servers that upcoming campaigns use, and those that a page asked for, without sending anything."""
    began = clock.now()
    session_check.check_due(clock.now, lambda: should_stop() or (clock.now() - began).total_seconds() > SESSION_SECONDS)
