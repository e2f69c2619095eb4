"""The pages of signing in and of second factors. The library's views do the work; nothing else of it is reachable."""

import base64
import datetime as dt
from typing import Any

from allauth.account.internal.stagekit import clear_login, unstash_login
from allauth.account.models import Login
from allauth.account.stages import LoginStage
from allauth.account.utils import get_next_redirect_url
from allauth.account.views import LoginView, LogoutView
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.internal.flows import delete_and_cleanup
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.webauthn.internal import auth as webauthn
from allauth.mfa.webauthn.views import AddWebAuthnView, LoginWebAuthnView
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django.views.generic import TemplateView

from accounts import factors
from accounts.adapters import PENDING_HASH
from accounts.forms import FreshSignInForm, SecondFactorKeyForm, TotpSetUpForm
from accounts.pages import narrow_page as _page
from accounts.pages import signed_in_user as _user
from accounts.sessions.changes import end_other_sessions
from accounts.sign_in import first_admin
from accounts.single_sign_on.identities import is_known_to_issuer
from adminpages.fresh_sign_in import DRIFT_SECONDS, asks_anew, note_proof


class _Narrow:
    """A mixin of views for pages in the admin's look without its sidebar."""

    title: str | Promise = ""
    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {
            **admin.site.each_context(self.request),
            **super().get_context_data(**kwargs),  # type: ignore[misc]  # A mixin of views.
            "title": self.title,
        }


# --- signing in and out


class SignIn(_Narrow, LoginView):  # type: ignore[misc]  # allauth announces no types.
    template_name = "accounts/sign_in.html"
    title = _("Log in")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "has_nobody": first_admin.is_needed() and not settings.OIDC_ONLY}

    def post(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().post(*args, **kwargs) if not settings.OIDC_ONLY else redirect("account_login")


class PasskeySignIn(LoginWebAuthnView):  # type: ignore[misc]
    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().dispatch(*args, **kwargs) if not settings.OIDC_ONLY else redirect("account_login")

    def form_invalid(self, form: Any) -> HttpResponse:
        messages.error(self.request, _("This passkey isn't known here. Log in with your password instead."))
        return redirect("account_login")


@method_decorator(sensitive_post_parameters(), name="dispatch")
class SecondFactor(_Narrow, AuthenticateView):  # type: ignore[misc]
    template_name = "accounts/second_factor.html"
    title = _("Second factor")
    stage: LoginStage

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        login = unstash_login(request, peek=True)
        if login is not None and not _is_pending(request, login, timezone.now()):
            clear_login(request)  # So that the library begins again.
            login = None
        if login is None and not request.user.is_authenticated:
            messages.info(request, _("This login has expired. Log in again."))
        response: HttpResponse = super().dispatch(request, *args, **kwargs)
        return response

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        types = set(factors.of(self.stage.login.user).values_list("type", flat=True))
        return {
            **super().get_context_data(**kwargs),
            "has_app": factors.TOTP in types,
            "has_key": factors.WEBAUTHN in types,
            "has_recovery_codes": factors.RECOVERY_CODES in types,
        }


def _is_pending(request: HttpRequest, login: Login, now: dt.datetime) -> bool:
    """Whether a half-done sign-in may go on: as in a whole session, the user is active and has the same password."""
    user = login.user
    return (
        user is not None
        and user.is_active
        and constant_time_compare(request.session.get(PENDING_HASH, ""), user.get_session_auth_hash())
        and login.initiated_at <= now.timestamp() + DRIFT_SECONDS
    )


sign_out = require_POST(LogoutView.as_view())


@login_required
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def fresh_sign_in(request: HttpRequest) -> HttpResponse:
    """Ask who is there (GET), and lead back to the page that wanted to know (POST)."""
    user = _user(request)
    is_key = request.method == "POST" and "credential" in request.POST
    form = FreshSignInForm(request, user, request.POST if request.method == "POST" and not is_key else None)
    key_form = SecondFactorKeyForm(request.POST if is_key else None, user=user)
    if request.method == "POST" and (key_form if is_key else form).is_valid():
        note_proof(request)
        back = get_next_redirect_url(request)
        return redirect(back) if back else _page(request, "fresh_sign_in_done.html", _("Confirmed"), {})
    context: dict[str, Any] = {"form": form, "key_form": key_form, "next": get_next_redirect_url(request) or ""}
    context["has_issuer"] = is_known_to_issuer(user)
    if factors.of(user).filter(type=factors.WEBAUTHN).exists():
        context["js_data"] = {"request_options": webauthn.begin_authentication(user)}
    return _page(request, "fresh_sign_in.html", _("Confirm it's you"), context)


# --- one's own factors


@method_decorator([login_required, never_cache], name="dispatch")
class Factors(_Narrow, TemplateView):
    """The user's factors. Whoever needs one and has none sees nothing else."""

    template_name = "accounts/factors.html"
    title = _("Second factor")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        user = _user(self.request)
        mine = factors.of(user)
        return {
            **super().get_context_data(**kwargs),
            "app": mine.filter(type=factors.TOTP).first(),
            "keys": mine.filter(type=factors.WEBAUTHN),
            "recovery_codes_left": factors.recovery_codes_left(user),
            "is_needed": factors.needs_factor(user) and not factors.is_checked_by_issuer(self.request),
            "has_factor": factors.has_factor(user),
        }


@login_required
@asks_anew
@never_cache
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def set_up_totp(request: HttpRequest) -> HttpResponse:
    """Set up an authenticator app, in place of the one that the user has: a phone may be lost, or new."""
    user = _user(request)
    form = TotpSetUpForm(request.POST if request.method == "POST" else None, user=user)
    if form.is_bound and form.is_valid():
        with transaction.atomic():  # Nobody is left with a factor and without recovery codes.
            if factors.add_totp(user, form.secret, form.step):
                return _set_up(request, factors.TOTP, gettext("Your authenticator app is set up."))
    adapter = get_adapter()
    address = adapter.build_totp_url(user, form.secret)
    picture = adapter.build_totp_svg(address)
    context = {
        "form": form,
        "is_replaced": factors.of(user).filter(type=factors.TOTP).exists(),
        "address": address,
        "picture": f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}",
        "secret": " ".join(form.secret[at : at + 4] for at in range(0, len(form.secret), 4)),
    }
    return _page(request, "totp.html", _("Set up an app"), context)


@method_decorator([login_required, asks_anew, never_cache, sensitive_post_parameters()], name="dispatch")
class AddKey(_Narrow, AddWebAuthnView):  # type: ignore[misc]
    template_name = "accounts/key.html"
    title = _("Add a key")

    def form_valid(self, form: Any) -> HttpResponse:
        with transaction.atomic():  # As of an app.
            super().form_valid(form)
            return _set_up(
                self.request, factors.WEBAUTHN, gettext("“%(key)s” is set up.") % {"key": form.cleaned_data["name"]}
            )


@login_required
@asks_anew
@never_cache
@require_http_methods(["GET", "POST"])
def remove_factor(request: HttpRequest, factor_id: int) -> HttpResponse:
    user = _user(request)
    mine = factors.of(user).filter(type__in=factors.FACTORS)
    factor = get_object_or_404(mine, pk=factor_id)
    is_last = factors.needs_factor(user) and mine.count() == 1
    if request.method == "POST" and not is_last:
        delete_and_cleanup(request, factor)
        messages.success(request, _("Removed."))
        return redirect("mfa_index")
    return _page(request, "remove.html", _("Remove a factor"), {"factor": factor, "is_last": is_last})


@login_required
@asks_anew
@never_cache
@require_http_methods(["GET", "POST"])
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Explain recovery codes (GET), or replace them and show the new ones once (POST)."""
    user = _user(request)
    if not factors.has_factor(user):
        return redirect("mfa_index")
    if request.method == "POST":
        end_other_sessions(user)
        return _page(request, "recovery_codes.html", _("Recovery codes"), {"codes": factors.make_recovery_codes(user)})
    return _page(request, "recovery_codes.html", _("Recovery codes"), {"left": factors.recovery_codes_left(user)})


def _set_up(request: HttpRequest, type: str, said: str) -> HttpResponse:
    """Note the new factor as proved, show recovery codes with the first one, and lead on to the page asked for before.

    Nobody sees the codes again.
    """
    user = _user(request)
    factors.note_set_up(request, type)
    next_url = request.session.pop(factors.ASKED_FOR, "")
    if factors.recovery_codes_left(user):
        messages.success(request, said)
        return redirect(next_url or "mfa_index")
    context = {"codes": factors.make_recovery_codes(user), "said": said, "next": next_url}
    return _page(request, "recovery_codes.html", _("Recovery codes"), context)
