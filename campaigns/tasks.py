"""What the worker does for campaigns. A task is only a hint: beat repeats it, and the database holds the work."""

from celery import shared_task

from campaigns import experimenting, queueing, tallying, timing
from delivery import clock, hints


@shared_task(name="campaigns.tasks.start_due_campaigns")
def start_due_campaigns() -> None:
    """Start what is due, and close the books of what is done."""
    now = clock.now()
    queueing.start_due_campaigns(now)
    timing.keep_hours(now)
    experimenting.carry_on(now)
    settled = queueing.settle_cancelled(now)
    queueing.follow_pauses()
    queueing.finish_campaigns()
    if settled:
        ring()  # There is more, most likely.


@shared_task(name="campaigns.tasks.tally")
def tally() -> None:
    """Count what was recorded since the last time."""
    tallying.tally(clock.now())


def ring() -> None:
    """Ask the worker to look now rather than at its next tick; without a broker the tick will do."""
    hints.ring(start_due_campaigns)
