"""What an administrator does to another user's sign-in. The user is told at the next one."""

from django.contrib.auth.models import User
from django.db import transaction

from accounts import factors
from accounts.models import Identity, SignInNotice
from accounts.notices import leave_notice
from accounts.sessions.store import end_sessions


def sign_out(user: User) -> int:
    """End all sessions of the user; return how many."""
    with transaction.atomic():
        leave_notice(user, SignInNotice.Kind.SESSIONS_ENDED)
        return end_sessions(user)


def reset_factors(user: User) -> int:
    """Remove all second factors and recovery codes of the user, and end all sessions; return how many factors."""
    with transaction.atomic():
        leave_notice(user, SignInNotice.Kind.FACTORS_RESET)
        removed = factors.of(user).filter(type__in=factors.FACTORS).count()
        factors.of(user).delete()
        end_sessions(user)
    return removed


def unlink(user: User) -> None:
    """Forget which account of the issuer is the user's, and end all sessions."""
    with transaction.atomic():
        Identity.objects.filter(user=user).delete()
        sign_out(user)
