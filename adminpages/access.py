"""Access to view functions by permission. The exception names the missing permission, for the log."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

View = Callable[..., HttpResponseBase]


def needs(permission: str) -> Callable[[View], View]:
    """Return a decorator that sends anonymous users to the sign-in page and requires ``permission`` of all others.

    The decorated view raises :class:`PermissionDenied` if a signed-in user lacks it.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return redirect_to_login(way_back(request))
            if not request.user.has_perm(permission):
                raise PermissionDenied(permission)
            return view(request, *args, **kwargs)

        return answer

    return decorate


def way_back(request: HttpRequest) -> str:
    """Return where to go after signing in: to this page, or for a button to the page that it stands on."""
    if request.method in ("GET", "HEAD"):
        return request.get_full_path()
    page = request.headers.get("Referer", "")
    return page if is_ours(request, page) else reverse("admin:index")


def is_ours(request: HttpRequest, url: str | None) -> bool:
    """Whether a URL that the request brought along may be followed: a page of this host, by https if we use it.

    It begins with a slash or its scheme. A bare word would be taken for the name of a view.
    """
    if url is None or not url.startswith(("/", "http://", "https://")):
        return False
    return url_has_allowed_host_and_scheme(url, {request.get_host()}, require_https=request.is_secure())
