"""The Celery task that sends links which were asked for. It takes no argument: arguments stand in the broker."""

from celery import shared_task

from accounts.by_mail import mails
from delivery import clock, hints
from delivery import tasks as delivery_tasks


@shared_task
def send_resets() -> None:
    """Send links to users whose addresses were entered. Beat runs it too, so a lost hint loses none."""
    if mails.send_resets(clock.now()):
        hints.ring(delivery_tasks.dispatch)
