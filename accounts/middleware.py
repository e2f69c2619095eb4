"""Middleware: users without a second factor or a password of their own reach the pages for that, and nothing else.
The pages of all others tell times in the user's own zone.

A session counts as full if it proved a second factor itself: one that began before its user had a factor stays shut.
"""

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import factors
from accounts.notices import MUST_CHANGE
from adminpages.access import way_back
from words import time_zones

SET_UP = frozenset(
    (
        "mfa_index",
        "set_up_totp",
        "mfa_add_webauthn",
        "recovery_codes",
        "fresh_sign_in",
        "single_sign_on",
        "single_sign_on_callback",
        "account_logout",
        "admin:logout",
    )
)
# Pages for strangers. The user is a stranger there.
PUBLIC = frozenset(("publicpages", "archive", "media", "healthz", "readyz"))
OWN_PASSWORD = frozenset(("admin:password_change", "account_logout", "admin:logout"))


class SecondFactorRequired:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *args: Any) -> HttpResponse | None:
        # The cookie is checked first: a response to a request without one must not depend on a session.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return None
        if factors.is_proved(request):
            return None
        has_factor = factors.had_factor(request.user)
        if not has_factor and not factors.needs_factor(request.user):
            return None
        match = request.resolver_match
        assert match is not None  # A view was found.
        if (match.namespace or match.view_name) in PUBLIC:
            request.user = AnonymousUser()
            return None
        if has_factor:
            logout(request)
            messages.info(request, _("Log in again with your second factor."))
            return redirect_to_login(way_back(request))
        if match.view_name in SET_UP:
            return None
        if request.method != "GET":
            raise PermissionDenied("a second factor")
        request.session.setdefault(factors.ASKED_FOR, request.get_full_path())
        return redirect("mfa_index")


class OwnPasswordRequired:
    """Has users change a password that somebody else chose, once they have the second factor they need."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *args: Any) -> HttpResponse | None:
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or MUST_CHANGE not in request.session:
            return None
        if not request.user.is_authenticated or factors.lacks_factor(request.user):
            return None
        match = request.resolver_match
        assert match is not None  # A view was found.
        if match.view_name in OWN_PASSWORD or (match.namespace or match.view_name) in PUBLIC:
            return None
        if request.method != "GET":
            raise PermissionDenied("a password of one's own")
        request.session.setdefault(factors.ASKED_FOR, request.get_full_path())
        return redirect("admin:password_change")


class OwnTimeZone:
    """Has the pages of a signed-in user tell times in the user's own zone. Pages for strangers keep the site's.

    It comes after those that may find that nobody is signed in, and the site's zone is set before them.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *args: Any) -> None:
        match = request.resolver_match
        assert match is not None  # A view was found.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or (match.namespace or match.view_name) in PUBLIC:
            return
        zone = time_zones.spelled(getattr(request.user, "own_time_zone", "") or "")
        if zone:  # This machine may know fewer than the one it was chosen on.
            timezone.activate(ZoneInfo(zone))
