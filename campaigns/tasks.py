"""What the worker does for campaigns. A task is only a hint: beat repeats it, and the database holds the work."""

import datetime as dt

from celery import shared_task

from campaigns.ab_test import run
from campaigns.lifecycle import states
from campaigns.preflight import census
from campaigns.reports import tally as reports_tally
from campaigns.schedule import schedule
from contacts.segments.audience import Audience
from delivery import clock, hints


@shared_task(name="campaigns.tasks.start_due_campaigns")
def start_due_campaigns() -> None:
    """Start what is due, and close the books of what is done."""
    now = clock.now()
    states.start_due_campaigns(now)
    schedule.keep_hours(now)
    run.carry_on(now)
    settled = states.settle_cancelled(now)
    states.follow_pauses()
    states.finish_campaigns()
    if settled:
        ring()  # There is more, most likely.


@shared_task(name="campaigns.tasks.count_people")
def count_people() -> None:
    """Count the people of large audiences for the pages that wait."""
    census.take(clock.now())


@shared_task(name="campaigns.tasks.tally")
def tally() -> None:
    """Count what was recorded since the last time."""
    reports_tally.tally(clock.now())


def have_counted(whom: int | Audience, now: dt.datetime) -> dt.datetime:
    """Ask the worker for the numbers of a large audience, by its campaign's id or itself; return since when."""
    asked_at, is_new = census.ask(whom, now)
    if is_new:
        hints.ring(count_people)
    return asked_at


def ring() -> None:
    """Ask the worker to look now rather than at its next tick; without a broker the tick will do."""
    hints.ring(start_due_campaigns)
