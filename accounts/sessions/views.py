"""The page of one's own sessions, and the page where administrators end others' and reset their factors."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import factors
from accounts.models import Identity
from accounts.pages import narrow_page, signed_in_user
from accounts.sessions.resets import reset_factors, sign_out, unlink
from accounts.sessions.store import end_session, end_sessions, sessions_of
from adminpages.access import needs
from adminpages.fresh_sign_in import asks_first

OTHERS = "others"  # In place of a session's id.
ACTS: dict[str, tuple[Callable[[User], object], str]] = {
    "end": (sign_out, "Ended all sessions."),
    "reset": (reset_factors, "Reset the second factors and ended all sessions."),
    "unlink": (unlink, "Unlinked from single sign-on and ended all sessions."),
}


@login_required
@never_cache
@require_GET
def own_sessions(request: HttpRequest) -> HttpResponse:
    found = sessions_of(signed_in_user(request), timezone.now(), request.session)
    return narrow_page(request, "sessions.html", "Sessions", {"sessions": found})


@login_required
@never_cache
@require_POST
@asks_first
def end_own_sessions(request: HttpRequest) -> HttpResponse:
    user, which = signed_in_user(request), request.POST.get("session", "")
    if which == OTHERS:
        end_sessions(user, keep=request.session)
        messages.success(request, "You're signed out everywhere else.")
    elif end_session(user, which):
        messages.success(request, "Session ended.")
    else:
        messages.info(request, "That session had ended already.")
    return redirect("sessions")


@needs("auth.change_user")
@never_cache
@require_http_methods(["GET", "POST"])
@asks_first
def user_sign_in(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show how somebody signs in (GET), or end their sessions, reset their factors or unlink them (POST)."""
    user = get_object_or_404(User, pk=user_id)
    if user == request.user:
        return redirect("sessions")
    if request.method == "POST":
        if request.POST.get("do") not in ACTS:
            raise Http404("There is nothing like this to do.")
        act, said = ACTS[request.POST["do"]]
        with transaction.atomic():
            act(user)
            admin.site.get_model_admin(User).log_change(request, user, said)
        messages.success(request, said)
        return redirect("user_sign_in", user.pk)
    identities = Identity.objects.filter(user=user).order_by("pk")
    is_left_to_issuer = settings.OIDC_MFA == "issuer" and identities.exists()
    context: dict[str, Any] = {
        "person": user,
        "sessions": sessions_of(user, timezone.now(), request.session),
        "factors": factors.of(user).filter(type__in=factors.FACTORS),
        "is_needed": factors.needs_factor(user) and not is_left_to_issuer,
        "identities": identities,
        "links_by_email": settings.OIDC_LINK_BY_EMAIL,
    }
    return narrow_page(request, "user_sign_in.html", f"Sign-in of {user}", context)
