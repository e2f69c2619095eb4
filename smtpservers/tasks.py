"""Celery tasks of the servers: probes of web pages are too slow for a form."""

from celery import shared_task
from django.utils import timezone

from smtpservers import one_click_probe


@shared_task
def probe_unsubscribe(server_id: int) -> None:
    """Probe whether a server's unsubscribe page supports one click."""
    one_click_probe.probe_server(server_id, timezone.now())
