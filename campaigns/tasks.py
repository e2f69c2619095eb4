"""Celery tasks of campaigns. A task is only a hint: beat repeats it, and the work itself is stored in the database."""

import datetime as dt

from celery import shared_task

from campaigns.ab_test import run
from campaigns.lifecycle import states
from campaigns.preflight import census
from campaigns.reports import tally as reports_tally
from campaigns.schedule import schedule
from contacts.segments.audience import Audience
from delivery import clock, hints
from delivery.tasks import deliver


@shared_task(name="campaigns.tasks.start_due_campaigns")
def start_due_campaigns() -> None:
    """Start due campaigns, apply sending hours, go on with A/B tests, and finish completed campaigns."""
    now = clock.now()
    if states.start_due_campaigns(now):
        hints.ring(deliver)  # At once: the first mail must not wait for beat.
    schedule.keep_hours(now)
    run.decide(now)
    run.open_rests(now)
    settled = states.settle_cancelled(now)
    states.follow_pauses()
    states.finish_campaigns()
    if settled:
        ring()  # More cancelled messages are probably left.


@shared_task(name="campaigns.tasks.count_people")
def count_people() -> None:
    """Count the large audiences that pages wait for."""
    census.take(clock.now())


@shared_task(name="campaigns.tasks.tally")
def tally() -> None:
    """Add the newly recorded attempts to the tallies."""
    reports_tally.tally(clock.now())


def have_counted(whom: int | Audience, now: dt.datetime) -> dt.datetime:
    """Ask the worker to count a large audience; return the time of the first open request for it.

    :param whom: a campaign's id, or the audience itself.
    """
    asked_at, is_new = census.ask(whom, now)
    if is_new:
        hints.ring(count_people)
    return asked_at


def ring() -> None:
    """Ask the worker to look now. Without a broker it looks at the next tick of beat."""
    hints.ring(start_due_campaigns)
