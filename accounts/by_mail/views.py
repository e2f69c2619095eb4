"""The pages behind *Forgot your password?* and behind the links of mails.

A link has its token behind the #, which a browser sends to nobody. A script of ours puts it into a form. Every token
that is not valid counts as a failure for its network.
"""

import hashlib
import logging
from functools import partial

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods

from accounts.by_mail import mails, tokens
from accounts.by_mail.forms import AcceptInvitationForm, ForgotPasswordForm, ResetPasswordForm
from accounts.by_mail.tasks import send_resets
from accounts.models import Invitation, ResetRequest, SignInNotice
from accounts.pages import narrow_page
from accounts.sign_in.lockout import RESET_NAMES, count_failure, refuse_if_locked
from delivery import hints
from mail.addresses import fold

log = logging.getLogger(__name__)


@never_cache
@require_http_methods(["GET", "POST"])
def forgot_password(request: HttpRequest) -> HttpResponse:
    """Ask for an address (GET), and note it for a worker (POST), whoever has it and whether anybody has.

    Each request counts towards the limits on failures, for the address and for its network.
    """
    if settings.OIDC_ONLY:
        return redirect("account_login")
    now = timezone.now()
    if not mails.can_be_sent(now):
        return narrow_page(request, "forgot_password_closed.html", _("Forgot your password?"), {})
    form = ForgotPasswordForm(request.POST if request.method == "POST" else None, label_suffix="")
    if request.method != "POST" or not form.is_valid():
        return narrow_page(request, "forgot_password.html", _("Forgot your password?"), {"form": form})
    email = form.cleaned_data["email"]
    try:
        with transaction.atomic():  # The limit counts one request at a time.
            name = RESET_NAMES + hashlib.sha256(fold(email).encode()).hexdigest()[:32]
            refuse_if_locked(request, name)
            count_failure(request, name)
            ResetRequest.objects.create(email=email, asked_at=now)
    except ValidationError as error:  # The middleware of axes answers in place of this.
        messages.error(request, error.message)
        return redirect("account_login")
    transaction.on_commit(partial(hints.ring, send_resets))
    return redirect("forgot_password_sent")


@never_cache
@require_http_methods(["GET"])
def forgot_password_sent(request: HttpRequest) -> HttpResponse:
    return narrow_page(request, "forgot_password_sent.html", _("Check your inbox"), {})


@never_cache
@sensitive_variables()
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def reset_password(request: HttpRequest) -> HttpResponse:
    """Read the token from the link (GET), ask for a new password, and save it (POST). It signs nobody in."""
    if request.method == "GET":
        return _read_link(request, _("New password"))
    token = request.POST.get("token", "")
    try:
        with transaction.atomic():  # The limit counts one request at a time, and the link works once.
            refuse_if_locked(request, None)
            user = tokens.read_reset(token, timezone.now()) if not settings.OIDC_ONLY else None
            if user is None:
                count_failure(request, None)
            elif (form := _reset_form(request, user)).is_bound and form.is_valid():
                user.set_password(form.cleaned_data["password"])
                user.save(update_fields=["password"])
                SignInNotice.objects.filter(user=user, kind=SignInNotice.Kind.PASSWORD_SET).delete()
                log.warning("%s chose a new password by a link.", user)
                messages.success(request, _("Password changed. Log in with it."))
                return redirect("account_login")
    except ValidationError as error:
        messages.error(request, error.message)
        return redirect("account_login")
    if user is None:
        return _refused(request, _("This link has expired or was used already. Ask for a new one."))
    context = {"form": form, "token": token, "username": user.get_username()}
    return narrow_page(request, "reset_password.html", _("New password"), context)


def _reset_form(request: HttpRequest, user: User) -> ResetPasswordForm:
    """Return the form; the first request has the token alone."""
    return ResetPasswordForm(request.POST if "password" in request.POST else None, user)


@never_cache
@sensitive_variables()
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def accept_invitation(request: HttpRequest) -> HttpResponse:
    """Read the token from the link (GET), ask for name and password, and make the user and sign them in (POST)."""
    if request.method == "GET":
        return _read_link(request, _("Create your account"))
    token, made = request.POST.get("token", ""), None
    try:
        with transaction.atomic():  # The limit counts one request at a time, and the link works once.
            refuse_if_locked(request, None)
            invitation = tokens.read_invitation(token, timezone.now()) if not settings.OIDC_ONLY else None
            if invitation is None:
                count_failure(request, None)
            elif (form := _invitation_form(request, invitation)).is_bound and form.is_valid():
                made = _make_user(form, invitation)
    except ValidationError as error:
        messages.error(request, error.message)
        return redirect("account_login")
    if invitation is None:
        return _refused(request, _("This invitation has expired, was used or was revoked. Ask for a new one."))
    if made is None:
        context = {"form": form, "token": token, "invitation": invitation}
        return narrow_page(request, "accept_invitation.html", _("Create your account"), context)
    log.warning("%s accepted an invitation.", made)
    record_authentication(request, made, method="password")
    response: HttpResponse = perform_login(request, Login(user=made))
    return response


def _invitation_form(request: HttpRequest, invitation: Invitation) -> AcceptInvitationForm:
    given = {"first_name": invitation.first_name, "last_name": invitation.last_name, "email": invitation.email}
    data = request.POST if "password" in request.POST else None
    return AcceptInvitationForm(data, instance=User(**given), initial={"username": invitation.email}, label_suffix="")


def _make_user(form: AcceptInvitationForm, invitation: Invitation) -> User:
    user: User = form.save(commit=False)
    user.is_staff = True
    user.set_password(form.cleaned_data["password"])
    user.save()
    user.groups.add(invitation.role)
    said = f"Invited by {invitation.invited_by}."
    LogEntry.objects.log_actions(user.pk, [user], ADDITION, said, single_object=True)
    invitation.delete()
    return user


def _read_link(request: HttpRequest, title: str) -> HttpResponse:
    return narrow_page(request, "read_link.html", title, {})


def _refused(request: HttpRequest, why: str) -> HttpResponse:
    messages.error(request, why)
    return redirect("account_login")
