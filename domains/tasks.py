"""The Celery task of the domains' rounds. The rows say what is due, so a lost task loses nothing."""

from celery import shared_task
from django.utils import timezone

from domains import rounds

SECONDS = 120  # A task ends after the look during which this time is over.


@shared_task
def check_domains() -> None:
    """Find new domains, and look at those that are due."""
    began = timezone.now()
    rounds.discover(began)
    rounds.check_due(timezone.now, lambda: (timezone.now() - began).total_seconds() > SECONDS)
