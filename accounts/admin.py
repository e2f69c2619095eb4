"""One way in: the admin's own form is closed, and the library's admin pages, which show factors and their secrets."""

from typing import Any

import allauth.account.admin
import allauth.mfa.admin  # noqa: F401  # Registers the page that is closed here.
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse


def log_in(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Redirect to the sign-in. The admin's own form would take a password alone, from signed-in users too."""
    if request.user.is_authenticated and not admin.site.has_permission(request):
        raise PermissionDenied("staff")
    return redirect_to_login(request.GET.get("next", ""))


admin.site.login = log_in  # type: ignore[method-assign]
admin.site.unregister(EmailAddress)
admin.site.unregister(Authenticator)
