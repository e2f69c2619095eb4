"""Middleware: security headers, the lifetime of sessions, and requests with values that no row can have."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.core.exceptions import BadRequest
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.defaults import bad_request

from accounts.sessions.store import is_over
from adminpages.fresh_sign_in import SENT_BY_SCRIPT
from adminpages.texts import UNSTORABLE, storable
from installation.site import Site, from_environment, site

Handler = Callable[[HttpRequest], HttpResponse]
PROBES = ("healthz", "readyz")  # They answer without the database.
SEEN_EVERY_SECONDS = 60  # Not every click should write to the database.


def content_security_policy(get_response: Handler) -> Handler:
    """Give every response the site's Content-Security-Policy, unless its view set one of its own."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response.headers.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
        return response

    return handle


def private_answers(get_response: Handler) -> Handler:
    """Forbid caching of responses to requests with a session, unless the view decides otherwise."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    return handle


def redirects_for_scripts(get_response: Handler) -> Handler:
    """Tell a script that sent a form where the answer leads. It could not read that of a redirect.

    The script then goes there itself, so that the page and its messages are drawn once.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if SENT_BY_SCRIPT not in request.headers or not response.has_header("Location"):
            return response
        told = HttpResponse(status=204, headers={"X-Location": response["Location"], "Cache-Control": "no-store"})
        told.cookies = response.cookies
        return told

    return handle


def _site_or_environment() -> Site:
    """Return the values that hold; without the database those of the environment, so that pages can say it is away."""
    try:
        return site()
    except DatabaseError:
        return from_environment()


class SiteTimeZone:
    """Has pages tell times in the zone of the site."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return self._get_response(request)
        finally:
            timezone.deactivate()

    def process_view(self, request: HttpRequest, *args: Any) -> None:
        match = request.resolver_match
        if match is None or match.view_name not in PROBES:
            timezone.activate(_site_or_environment().time_zone)


class SessionLifetime:
    """Signs users out after ``SESSION_IDLE_SECONDS`` without activity, or ``SESSION_COOKIE_AGE`` after the sign-in.

    It is the first that asks who is there, after ``RejectUnstorableText`` has read the form. A form that is sent slowly
    would otherwise act for a session that was ended while it came in.
    """

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *args: Any) -> None:
        # The cookie is checked first: a response to a request without one must not depend on a session.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or not request.user.is_authenticated:
            return
        now = timezone.now().timestamp()
        signed_in_at = request.session.setdefault("signed_in_at", now)
        seen_at = request.session.setdefault("seen_at", now)
        if is_over(signed_in_at, seen_at, now):
            logout(request)
            messages.info(request, _("You were logged out because some time has passed. Log in again."))
        elif _is_activity(request) and now - seen_at > SEEN_EVERY_SECONDS:
            request.session["seen_at"] = now


class RejectUnstorableText:
    """Keeps a NUL or a lone surrogate, which no database stores, from every view.

    In a path, a query or the name of a field it is answered with 400. In the value of a field it is replaced, and the
    form says at that field that there is an invisible character: everything else that was typed stays.
    """

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if UNSTORABLE.search(request.path_info) or _has_unstorable(request.GET):
            return bad_request(request, BadRequest())
        return self._get_response(request)

    def process_view(self, request: HttpRequest, view: Any, *args: Any) -> HttpResponse | None:
        # Public pages decide for themselves: a one-click unsubscribe counts, whatever its body.
        if request.method != "POST" or getattr(view, "csrf_exempt", False) or not _has_unstorable(request.POST):
            return None
        if any(UNSTORABLE.search(name) for name in request.POST):
            return bad_request(request, BadRequest())
        replaced = request.POST.copy()
        for name, texts in request.POST.lists():
            replaced.setlist(name, [storable(text) for text in texts])
        request.POST = replaced  # type: ignore[assignment]  # A property of requests, and no QueryDict that is final.
        return None


def _has_unstorable(given: QueryDict) -> bool:
    return any(UNSTORABLE.search(text) for name, texts in given.lists() for text in (name, *texts))


class RejectOversizedNumbers:
    """Answers 404 for a row number of more than 64 bits, for which SQLite raises an error."""

    def __init__(self, get_response: Handler) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> None:
        """Replace the error, if it is this one."""
        if isinstance(error, OverflowError) and "SQLite INTEGER" in str(error):
            raise Http404("There is nothing with this number.") from error


def _is_activity(request: HttpRequest) -> bool:
    # A page that refreshes itself sends requests by script, even if nobody looks at it.
    if request.headers.get("X-Sign-Of-Life"):
        return False
    if request.headers.get("X-Still-Here"):  # Somebody pressed "Stay logged in".
        return True
    return request.method == "POST" or request.headers.get("Sec-Fetch-Dest") != "empty"
