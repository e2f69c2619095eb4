"""The Celery task of OAuth accounts. It does not run in a copy that waits for a person."""

from celery import shared_task
from django.utils import timezone

from oauth import tokens


@shared_task
def renew_tokens() -> None:
    """Renew the tokens that end soon."""
    tokens.renew_due(timezone.now)
