"""Passwords, and where they are closed because single sign-on alone leads in.

No way around: every check of a password passes here.
"""

from typing import Any

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, Subquery
from django.http import HttpRequest

from accounts import factors
from accounts.models import Profile

# With what pages ask of their user. Made once: each request would resolve the subqueries anew.
_FOUND = User.objects.annotate(
    had_factor=factors.EXISTS,
    own_time_zone=Subquery(Profile.objects.filter(user_id=OuterRef("pk")).values("time_zone")),
    hides_set_up=Subquery(Profile.objects.filter(user_id=OuterRef("pk")).values("hides_set_up")),
)


class PasswordsClosed:
    """Refuses every password under ``OIDC_ONLY``; otherwise leaves the decision to the next backend."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        if settings.OIDC_ONLY:
            raise PermissionDenied


class UserBackend(ModelBackend):
    """Django's passwords and permissions.

    The user of a request comes with ``had_factor``, ``own_time_zone`` and ``hides_set_up``, which pages ask for.
    """

    def get_user(self, user_id: int) -> User | None:
        user = _FOUND.filter(pk=user_id).first()
        return user if user is not None and self.user_can_authenticate(user) else None
