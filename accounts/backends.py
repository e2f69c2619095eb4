"""Passwords are closed where single sign-on alone leads in. No way around: every check of a password passes here."""

from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest


class PasswordsClosed:
    """Refuses every password under ``OIDC_ONLY``; otherwise leaves the decision to the next backend."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        if settings.OIDC_ONLY:
            raise PermissionDenied
