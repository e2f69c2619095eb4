"""The views of single sign-on: to the issuer and back, to sign in or to confirm a sign-in."""

import logging
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from allauth.account.utils import get_next_redirect_url
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.forms import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET

from accounts.factors import BY_ISSUER
from accounts.pages import narrow_page as page
from accounts.sign_in.lockout import count_failure, refuse_if_locked
from accounts.single_sign_on import identities, issuer
from adminpages.fresh_sign_in import FRESH_FOR, PROVED_AT, QUESTION

PENDING = "single_sign_on"  # In the session: the questions that are on their way, by state; each tab has its own.
MOST_PENDING = 5
PENDING_SECONDS = 600
# A page there could have somebody signed in who did nothing for it: the issuer may know them and ask no question.
OTHER_SITES = ("cross-site", "same-site")
NOT_AVAILABLE = _("Single sign-on isn't available right now. Try again in a few minutes, or ask an administrator.")
FAILED = _("Single sign-on didn't work. Try again. If it keeps failing, ask an administrator to look at the log.")
CANCELLED = _("You cancelled, or may not use this site. Try again, or ask an administrator for access.")
NOT_PENDING = _("This login has expired or began in another browser. Start again.")
SOMEBODY_ELSE = _("You logged in there as somebody else. Confirm with the account that you use here.")
NOT_RECENT = _(
    "Your sign-in service didn't confirm a new login. Confirm in another way, or ask an administrator for a link to"
    " sign in."
)
NOT_CONFIRMED = _("You cancelled, so nothing is confirmed yet. Try again, or go back.")
log = logging.getLogger(__name__)


class _Failed(Exception):
    """The text is for the person."""


def _callback_url() -> str:
    return f"{settings.BASE_URL}{reverse('single_sign_on_callback')}"


def _refuse(request: HttpRequest, said: str, next_url: str) -> HttpResponse:
    """Say why on the page that the person came from."""
    messages.error(request, said)
    page_before = reverse(QUESTION if request.user.is_authenticated else "account_login")
    return redirect(f"{page_before}?{urlencode({'next': next_url})}" if next_url else page_before)


@never_cache
@require_GET
def begin(request: HttpRequest) -> HttpResponse:
    """Lead to the issuer: to sign in, or, for signed-in users, to sign in there again and confirm who they are."""
    if not settings.OIDC_ISSUER:
        raise Http404("OIDC_ISSUER is not set.")
    next_url = get_next_redirect_url(request) or ""
    if request.headers.get("Sec-Fetch-Site") in OTHER_SITES:
        return redirect(f"{reverse('account_login')}?{urlencode({'next': next_url})}")
    question = issuer.new_question()
    try:
        address = issuer.address_to_ask(question, _callback_url(), is_proof=request.user.is_authenticated)
    except issuer.IssuerSilent as error:
        log.warning("Single sign-on: the issuer can't be asked: %s", error)
        return _refuse(request, str(NOT_AVAILABLE), next_url)
    others = list(request.session.get(PENDING, {}).items())[1 - MOST_PENDING :]
    pending = {
        "question": asdict(question),
        "user": request.user.pk,
        "next": next_url,
        "at": timezone.now().timestamp(),
    }
    request.session[PENDING] = {**dict(others), question.state: pending}
    return redirect(address)


@never_cache
@require_GET
@sensitive_variables()
def finish(request: HttpRequest) -> HttpResponse:
    """Take the issuer's answer."""
    if not settings.OIDC_ISSUER:
        raise Http404("OIDC_ISSUER is not set.")
    pending = _take_pending(request)
    next_url = pending["next"] if pending else ""
    if request.user.is_authenticated and (pending is None or pending["user"] is None):
        return redirect(next_url or settings.LOGIN_REDIRECT_URL)  # Another tab was first, or it is the back button.
    try:
        claims = _claims(request, pending)
        return (_confirm if request.user.is_authenticated else _sign_in)(request, claims, next_url)
    except _Failed as error:
        said = str(error)
    except identities.NoEntry as error:
        log.warning("Single sign-on: subject %r stays out: %s", claims.subject, error.reason)
        said = str(error)
    except issuer.IssuerSilent as error:
        log.warning("Single sign-on: the issuer's answer can't be used: %s", error)
        said = str(NOT_AVAILABLE)
    except issuer.IdentityRefused as error:
        log.warning("Single sign-on was refused: %s", error)
        count_failure(request, None)
        said = str(FAILED)
    except ValidationError as error:  # Locked out: the middleware of axes shows its page.
        said = str(error.message)
    return _refuse(request, said, next_url)


def _take_pending(request: HttpRequest) -> dict[str, Any] | None:
    """Return the question that is answered. It counts once, whatever the answer is; those of other tabs stay."""
    waiting = request.session.pop(PENDING, {})
    pending: dict[str, Any] | None = waiting.pop(request.GET.get("state", ""), None)
    if waiting:
        request.session[PENDING] = waiting
    return pending


def _claims(request: HttpRequest, pending: dict[str, Any] | None) -> issuer.Claims:
    code, error = (request.GET.get(name, "") for name in ("code", "error"))
    now = timezone.now().timestamp()
    if pending is None or not 0 <= now - pending["at"] <= PENDING_SECONDS or pending["user"] != request.user.pk:
        raise _Failed(NOT_PENDING)
    if error == "access_denied":
        raise _Failed(NOT_CONFIRMED if request.user.is_authenticated else CANCELLED)
    if error or not code:
        log.warning("Single sign-on: the issuer answered %s.", error if issuer.ERROR.fullmatch(error) else "no code")
        raise _Failed(FAILED)
    refuse_if_locked(request, None)
    return issuer.claims_for(code, issuer.Question(**pending["question"]), _callback_url())


def _sign_in(request: HttpRequest, claims: issuer.Claims, next_url: str) -> HttpResponse:
    user, told = identities.user_of(claims)
    if told:
        messages.warning(request, told)
    record_authentication(request, user, method="socialaccount")
    if settings.OIDC_MFA == "issuer":
        get_adapter().login(request, user)
        request.session[BY_ISSUER] = True
        response = redirect(next_url or settings.LOGIN_REDIRECT_URL)
    else:
        response = perform_login(request, Login(user=user, redirect_url=next_url or None))
    if request.user.is_authenticated:
        # The issuer may have let somebody in who signed in there this morning: that proves nothing fresh.
        request.session[PROVED_AT] = _proved_at(claims)
    return response


def _confirm(request: HttpRequest, claims: issuer.Claims, next_url: str) -> HttpResponse:
    assert isinstance(request.user, User)  # Somebody signed in.
    if not identities.is_user(request.user, claims):
        raise _Failed(SOMEBODY_ELSE)
    proved_at = _proved_at(claims)
    if not proved_at:
        log.warning(
            "Single sign-on: the ID token has %s.",
            "no auth_time" if claims.authenticated_at is None else "an old auth_time",
        )
        raise _Failed(NOT_RECENT)
    request.session.cycle_key()
    request.session[PROVED_AT] = proved_at
    return redirect(next_url) if next_url else page(request, "fresh_sign_in_done.html", "Confirmed", {})


def _proved_at(claims: issuer.Claims) -> float:
    """Return when the person signed in at the issuer, in seconds of Unix time; 0 if it does not say, or long ago."""
    age = timezone.now().timestamp() - (claims.authenticated_at or 0)
    if claims.authenticated_at is None or not -issuer.SKEW_SECONDS <= age < FRESH_FOR.total_seconds():
        return 0
    return claims.authenticated_at
