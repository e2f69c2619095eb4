"""The Celery task of feedback."""

from celery import shared_task

from delivery import clock, hints
from feedback import relay


@shared_task
def relay_unsubscribes() -> None:
    """Tell custom pages of unsubscribes. While pages take them it goes on at once, otherwise beat runs it again."""
    if relay.call_due(clock.now):
        hints.ring(relay_unsubscribes)
