"""The pages behind *Forgot your password?* and behind the links of mails.

A link has its token behind the #, which a browser sends to nobody. A script of ours puts it into a form. Every token
that is not valid counts as a failure for its network.
"""

import datetime as dt
import hashlib
import logging
from functools import partial
from typing import Any

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django.conf import settings
from django.contrib import messages
from django.contrib.admin.models import ADDITION, LogEntry
from django.contrib.auth.models import User
from django.db import transaction
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import View
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


class _LinkView(View):
    """A page behind a link: it reads the token (GET), asks what is missing, and uses the link up (POST)."""

    http_method_names = ["get", "post"]
    title: str | Promise
    template: str
    refusal: str | Promise  # What the link's reader is told if it is not valid.

    @method_decorator(never_cache)
    @method_decorator(sensitive_variables())
    @method_decorator(sensitive_post_parameters())
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        return super().dispatch(request, *args, **kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        return narrow_page(request, "read_link.html", str(self.title), {})

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest) -> HttpResponse:
        token, user = request.POST.get("token", ""), None
        try:
            with transaction.atomic():  # The limit counts one request at a time, and the link works once.
                refuse_if_locked(request, None)
                subject = self.read(token, timezone.now()) if not settings.OIDC_ONLY else None
                if subject is None:
                    count_failure(request, None)
                elif (form := self.form(self._given(request), subject)).is_bound and form.is_valid():
                    user = self.use(form, subject)
        except ValidationError as error:
            return _refused(request, str(error.message))
        if subject is None:
            return _refused(request, str(self.refusal))
        if user is None:
            context = {"form": form, "token": token, "subject": subject}
            return narrow_page(request, self.template, str(self.title), context)
        return self.done(request, user)

    @staticmethod
    def _given(request: HttpRequest) -> QueryDict | None:
        """Return what was typed; the first request has the token alone."""
        return request.POST if "password" in request.POST else None

    def read(self, token: str, now: dt.datetime) -> Any:
        """Return what the link is about; None if it is not valid."""
        raise NotImplementedError

    def form(self, given: QueryDict | None, subject: Any) -> Any:
        raise NotImplementedError

    def use(self, form: Any, subject: Any) -> User:
        """Do what the link is for, and use it up."""
        raise NotImplementedError

    def done(self, request: HttpRequest, user: User) -> HttpResponse:
        raise NotImplementedError


class ResetPassword(_LinkView):
    """Ask for a new password, and save it. It signs nobody in."""

    title = gettext_lazy("New password")
    template = "reset_password.html"
    refusal = gettext_lazy(
        "This link has expired or was used already, or isn't whole. Ask for a new one with “Forgot your password?”."
    )

    def read(self, token: str, now: dt.datetime) -> User | None:
        return tokens.read_reset(token, now)

    def form(self, given: QueryDict | None, subject: User) -> ResetPasswordForm:
        return ResetPasswordForm(given, subject)

    @method_decorator(sensitive_variables())
    def use(self, form: ResetPasswordForm, subject: User) -> User:
        subject.set_password(form.cleaned_data["password"])
        subject.save(update_fields=["password"])
        SignInNotice.objects.filter(user=subject, kind=SignInNotice.Kind.PASSWORD_SET).delete()
        log.warning("%s chose a new password by a link.", subject)
        return subject

    def done(self, request: HttpRequest, user: User) -> HttpResponse:
        messages.success(request, _("Password changed. Log in with it."))
        return redirect("account_login")


class AcceptInvitation(_LinkView):
    """Ask for name and password, make the user, and sign them in."""

    title = gettext_lazy("Create your account")
    template = "accept_invitation.html"
    refusal = gettext_lazy(
        "This invitation has expired, was used or was revoked, or its link isn't whole. If you accepted it, log in."
        " Otherwise ask whoever invited you for a new one."
    )

    def read(self, token: str, now: dt.datetime) -> Invitation | None:
        return tokens.read_invitation(token, now)

    def form(self, given: QueryDict | None, subject: Invitation) -> AcceptInvitationForm:
        known = {"first_name": subject.first_name, "last_name": subject.last_name, "email": subject.email}
        initial = {"username": subject.email}
        return AcceptInvitationForm(given, instance=User(**known), initial=initial, label_suffix="")

    @method_decorator(sensitive_variables())
    def use(self, form: AcceptInvitationForm, subject: Invitation) -> User:
        user: User = form.save(commit=False)
        user.is_staff = True
        user.set_password(form.cleaned_data["password"])
        user.save()
        user.groups.add(subject.role)
        said = f"Invited by {subject.invited_by}."
        LogEntry.objects.log_actions(user.pk, [user], ADDITION, said, single_object=True)
        subject.delete()
        return user

    def done(self, request: HttpRequest, user: User) -> HttpResponse:
        log.warning("%s accepted an invitation.", user)
        record_authentication(request, user, method="password")
        response: HttpResponse = perform_login(request, Login(user=user))
        return response


def _refused(request: HttpRequest, why: str) -> HttpResponse:
    messages.error(request, why)
    return redirect("account_login")
