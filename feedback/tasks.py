"""The Celery task of feedback."""

from celery import shared_task

from delivery import clock
from feedback import relay


@shared_task
def relay_unsubscribes() -> None:
    """Tell custom pages of unsubscribes. Beat runs it again: rung, it would take the turns of all other errands."""
    relay.call_for_a_while(clock.now)
