"""Celery's hands for the fleet: asking other people's pages is nothing a form waits for."""

from celery import shared_task
from django.utils import timezone

from smtpservers import probing


@shared_task
def probe_unsubscribe(server_id: int) -> None:
    """Ask a server's unsubscribe address whether it takes one click."""
    probing.probe_server(server_id, timezone.now())
