"""What the worker does for campaigns. A task is only a hint: beat repeats it, and the database holds the work."""

import logging

from celery import shared_task
from django.utils import timezone
from kombu.exceptions import OperationalError

from campaigns import experimenting, queueing, tallying, timing

logger = logging.getLogger(__name__)


@shared_task(name="campaigns.tasks.start_due_campaigns")
def start_due_campaigns() -> None:
    """Start what is due, and close the books of what is done."""
    now = timezone.now()
    queueing.start_due_campaigns(now)
    timing.keep_hours(now)
    experimenting.carry_on(now)
    queueing.settle_cancelled(now)
    queueing.follow_pauses()
    queueing.finish_campaigns()


@shared_task(name="campaigns.tasks.tally")
def tally() -> None:
    """Count what was recorded since the last time."""
    tallying.tally(timezone.now())


def ring() -> None:
    """Ask the worker to look now rather than at its next tick; without a broker the tick will do."""
    try:
        start_due_campaigns.apply_async(expires=10, retry=False)
    except OperationalError as error:
        logger.warning("The worker could not be told at once and will notice by itself: %s", error)
