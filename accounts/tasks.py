"""Celery tasks of accounts: delete what is over."""

from axes.models import AccessFailureLog, AccessLog
from celery import shared_task
from django.utils import timezone

from accounts.sessions.store import SessionStore
from accounts.sign_in.lockout import KNOWN_FOR


@shared_task
def delete_expired() -> None:
    """Delete expired sessions, and records of sign-ins that no limit needs any more."""
    SessionStore.clear_expired()
    earlier = timezone.now() - KNOWN_FOR
    AccessLog.objects.filter(attempt_time__lt=earlier).delete()
    AccessFailureLog.objects.filter(attempt_time__lt=earlier).delete()
