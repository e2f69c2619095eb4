"""Celery tasks of accounts: delete what is over. Celery finds those of its packages here."""

from axes.models import AccessFailureLog, AccessLog
from celery import shared_task
from django.utils import timezone

from accounts.by_mail.tasks import send_resets
from accounts.sessions.store import SessionStore
from accounts.sign_in.lockout import KNOWN_FOR

__all__ = ["delete_expired", "send_resets"]


@shared_task
def delete_expired() -> None:
    """Delete expired sessions, and records of sign-ins that no limit needs any more."""
    SessionStore.clear_expired()
    earlier = timezone.now() - KNOWN_FOR
    AccessLog.objects.filter(attempt_time__lt=earlier).delete()
    AccessFailureLog.objects.filter(attempt_time__lt=earlier).delete()
