"""The admin's own ways in are closed or limited, and so are the library's pages, which show secrets of factors."""

from typing import Any

import allauth.account.admin
import allauth.mfa.admin  # noqa: F401  # Registers the page that is closed here.
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse

from accounts.factors import ASKED_FOR
from accounts.forms import OwnPasswordForm
from accounts.models import SignInNotice
from accounts.notices import MUST_CHANGE


def log_in(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
    """Redirect to the sign-in. The admin's own form would take a password alone, from signed-in users too."""
    if request.user.is_authenticated and not admin.site.has_permission(request):
        raise PermissionDenied("staff")
    return redirect_to_login(request.GET.get("next", ""))


def change_password(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
    """Show the admin's page to change one's own password. Guesses at the old one count like those at the sign-in."""
    view = _OwnPassword.as_view(extra_context={**admin.site.each_context(request), **(extra_context or {})})
    return view(request)


class _OwnPassword(PasswordChangeView):
    form_class = OwnPasswordForm

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        if MUST_CHANGE in self.request.session:
            messages.warning(self.request, SignInNotice.Kind.PASSWORD_SET.label)
        return super().render_to_response(context, **kwargs)

    def get_success_url(self) -> str:
        """Lead on to the page that was asked for before the password had to be changed."""
        next_url: str = self.request.session.pop(ASKED_FOR, "")
        if next_url:
            messages.success(self.request, "Your password was changed.")
        return next_url or reverse("admin:password_change_done")


admin.site.login = log_in  # type: ignore[method-assign]
admin.site.password_change = change_password  # type: ignore[method-assign, assignment]
admin.site.unregister(EmailAddress)
admin.site.unregister(Authenticator)
