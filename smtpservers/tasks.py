"""Celery's hands for the fleet: asking other people's pages is nothing a form waits for."""

from celery import shared_task
from django.utils import timezone

from smtpservers import one_click_probe


@shared_task
def probe_unsubscribe(server_id: int) -> None:
    """Ask a server's unsubscribe address whether it takes one click."""
    one_click_probe.probe_server(server_id, timezone.now())
