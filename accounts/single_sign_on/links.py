"""One-time links to sign in by, made on the command line: for the day on which single sign-on fails."""

import datetime as dt
import hashlib
import logging
import secrets
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.models import SignInLink
from accounts.pages import narrow_page as page
from accounts.sign_in.lockout import DRIFT, count_failure, refuse_if_locked

VALID_FOR = dt.timedelta(minutes=15)
NOT_VALID = _("This link has expired, was replaced or was used already. Ask an administrator for a new one.")
log = logging.getLogger(__name__)


def make_link(user: User, now: dt.datetime) -> str:
    """Return the address of a link that signs the user in once; an earlier link of the user stops working."""
    token = secrets.token_urlsafe(32)
    SignInLink.objects.update_or_create(user=user, defaults={"digest": _digest(token), "expires_at": now + VALID_FOR})
    log.warning("A link to sign in was made for %s on the command line.", user)
    return f"{settings.BASE_URL}{reverse('sign_in_link')}?{urlencode({'token': token})}"


@never_cache
@sensitive_variables()
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Show a button (GET), because programs that look at links must not spend them, and sign in (POST)."""
    if request.method == "GET":
        return page(request, "sign_in_link.html", _("Log in"), {"token": request.GET.get("token", "")})
    try:
        with transaction.atomic():  # The limit on failures counts one request at a time.
            refuse_if_locked(request, None)
            user = _spend(request.POST.get("token", ""))
            if user is None:
                count_failure(request, None)
    except ValidationError as error:
        messages.error(request, error.message)
        return redirect("account_login")
    if user is None:
        messages.error(request, NOT_VALID)
        return redirect("account_login")
    log.warning("%s signed in by a link.", user)
    record_authentication(request, user, method="link")
    response: HttpResponse = perform_login(request, Login(user=user))
    return response


def _spend(token: str) -> User | None:
    """Return the user of a valid link, which is valid no more, in no process."""
    now = timezone.now()
    valid = {
        "expires_at__gt": now,
        "expires_at__lte": now + VALID_FOR + DRIFT,
    }  # Later: made while the clock was ahead.
    found: Any = SignInLink.objects.select_related("user").filter(digest=_digest(token), **valid)
    link = found.first()
    if link is None or not SignInLink.objects.filter(pk=link.pk, digest=link.digest).delete()[0]:
        return None
    return link.user if link.user.is_active else None


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
