"""The Celery tasks of feedback."""

from celery import shared_task

from delivery import clock
from feedback import relay
from feedback.mailboxes import poll


@shared_task
def relay_unsubscribes() -> None:
    """Tell custom pages of unsubscribes. Beat runs it again: rung, it would take the turns of all other errands."""
    relay.call_for_a_while(clock.now)


@shared_task
def poll_mailboxes() -> None:
    """Read mailboxes that are due. A copy of the installation that waits for a person reads none."""
    poll.poll_for_a_while(clock.now)
