"""The page of one's own sessions, and the page where administrators end others' and reset their factors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import factors, powers
from accounts.models import Identity
from accounts.pages import narrow_page, signed_in_user
from accounts.sessions.resets import reset_factors, sign_out, unlink
from accounts.sessions.store import end_session, end_sessions, sessions_of
from adminpages.access import needs
from adminpages.fresh_sign_in import asks_first

OTHERS = "others"  # In place of a session's id.


@dataclass(frozen=True, slots=True)
class Act:
    """Something that an administrator does to another user's sign-in, with its words."""

    do: Callable[[User], object]
    button: Promise
    question: Promise
    consequence: Promise  # Filled with ``person``.
    done: Promise


ACTS = {
    "end": Act(
        sign_out,
        _("End all sessions"),
        _("End all sessions?"),
        _("%(person)s is logged out everywhere, and told so at the next login."),
        _("Ended all sessions."),
    ),
    "reset": Act(
        reset_factors,
        _("Reset second factors"),
        _("Reset second factors?"),
        _("%(person)s loses all second factors and recovery codes, and all sessions end. This can't be undone."),
        _("Reset the second factors and ended all sessions."),
    ),
    "unlink": Act(
        unlink,
        _("Unlink from single sign-on"),
        _("Unlink from single sign-on?"),
        _("All sessions of %(person)s end. Whoever logs in with the account afterwards counts as new."),
        _("Unlinked from single sign-on and ended all sessions."),
    ),
}


@login_required
@never_cache
@require_GET
def own_sessions(request: HttpRequest) -> HttpResponse:
    found = sessions_of(signed_in_user(request), timezone.now(), request.session)
    return narrow_page(request, "sessions.html", gettext("Sessions"), {"sessions": found})


@login_required
@never_cache
@require_POST
@asks_first
def end_own_sessions(request: HttpRequest) -> HttpResponse:
    user, which = signed_in_user(request), request.POST.get("session", "")
    if which == OTHERS:
        end_sessions(user, keep=request.session)
        messages.success(request, gettext("You're logged out everywhere else."))
    elif end_session(user, which):
        messages.success(request, gettext("Session ended."))
    else:
        messages.info(request, gettext("That session had ended already."))
    return redirect("sessions")


@needs("auth.change_user")
@never_cache
@require_http_methods(["GET", "POST"])
@asks_first
def user_sign_in(request: HttpRequest, user_id: int) -> HttpResponse:
    """Show how somebody signs in (GET), ask about what is to be done to it (GET with ``do``), or do it (POST)."""
    user = get_object_or_404(User, pk=user_id)
    if user == request.user:
        return redirect("sessions")
    asked = request.POST.get("do") if request.method == "POST" else request.GET.get("do")
    if asked not in ACTS and (asked or request.method == "POST"):
        raise Http404("There is nothing like this to do.")
    may_act = powers.reaches(signed_in_user(request), user)
    if asked and not may_act:
        raise PermissionDenied("of a user who may do more")
    if request.method == "POST" and asked:
        act = ACTS[asked]
        with transaction.atomic():
            act.do(user)
            admin.site.get_model_admin(User).log_change(request, user, str(act.done))
        messages.success(request, str(act.done))
        return redirect("user_sign_in", user.pk)
    if asked:
        act = ACTS[asked]
        question = {"person": user, "act": asked, "button": act.button, "consequence": _consequence(asked, user)}
        return narrow_page(request, "confirm_act.html", str(act.question), question)
    identities = Identity.objects.filter(user=user).order_by("pk")
    context: dict[str, Any] = {
        "person": user,
        "may_act": may_act,
        "sessions": sessions_of(user, timezone.now(), request.session),
        "factors": factors.of(user).filter(type__in=factors.FACTORS),
        "is_needed": factors.needs_factor(user) and not _is_left_to_issuer(user),
        "identities": identities,
    }
    return narrow_page(request, "user_sign_in.html", gettext("Login of %(user)s") % {"user": user}, context)


def _consequence(do: str, user: User) -> str:
    told = [str(ACTS[do].consequence) % {"person": user}]
    if do == "reset":
        is_needed = factors.needs_factor(user) and not _is_left_to_issuer(user)
        told.append(
            gettext("A new factor is set up at the next login.")
            if is_needed
            else gettext("%(person)s can log in without one afterwards.") % {"person": user}
        )
    if do == "unlink" and settings.OIDC_LINK_BY_EMAIL:
        told.append(gettext("An account with the same email address is linked again."))
    return " ".join(told)


def _is_left_to_issuer(user: User) -> bool:
    return settings.OIDC_MFA == "issuer" and Identity.objects.filter(user=user).exists()
