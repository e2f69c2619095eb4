"""The first person: while there is no user, a link from the command line lets one become administrator."""

import logging
from typing import Any
from urllib.parse import urlencode

from allauth.account.internal.flows.login import perform_login, record_authentication
from allauth.account.models import Login
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core import signing
from django.db import transaction
from django.forms import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_http_methods
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from accounts.pages import narrow_page
from accounts.sign_in import rules
from accounts.sign_in.lockout import count_failure, refuse_if_locked
from adminpages.text_fields import RefusesControls

VALID_SECONDS = 24 * 60 * 60
SALT = "accounts.sign_in.first_admin"
NOT_VALID = _(
    "This link isn't valid or has expired. Open it exactly as printed. To get a new one, restart Brilliance or run"
    " manage.py first_admin."
)
NOT_NEEDED = _("There is an administrator already. Log in, or ask them to invite you.")
ROLE = "admin"
log = logging.getLogger(__name__)


class FirstAdminForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    password = forms.CharField(
        strip=False,
        help_text=rules.PASSWORD,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
        max_length=4096,
    )

    class Meta:
        model = User
        fields = ["username", "email"]
        widgets = {
            "username": UnfoldAdminTextInputWidget(
                {"autocomplete": "username", "autocapitalize": "none", "autofocus": True}
            ),
            "email": UnfoldAdminTextInputWidget({"type": "email", "autocomplete": "email"}),
        }
        labels = {"username": _("Username"), "email": _("Email")}
        help_texts = {
            "username": rules.USERNAME,
            "email": _("Gets alerts, e.g. when a server stops working."),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = True

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if password := self.cleaned_data.get("password"):
            user = User(**{name: self.cleaned_data.get(name, "") for name in ("username", "email")})
            try:
                validate_password(password, user)
            except ValidationError as error:
                self.add_error("password", error)
        return cleaned


def is_needed() -> bool:
    """Whether nobody can sign in yet, by a password or otherwise."""
    return not User.objects.exists()


def make_link() -> str:
    """Return the address at which the first person becomes administrator; it works for a day, and once."""
    token = signing.dumps(True, salt=SALT)
    return f"{settings.BASE_URL}{reverse('first_admin')}?{urlencode({'token': token})}"


@never_cache
@sensitive_variables()
@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def first_admin(request: HttpRequest) -> HttpResponse:
    """Show the form (GET); make the user an administrator, and sign them in (POST)."""
    token = request.POST.get("token", "") if request.method == "POST" else request.GET.get("token", "")
    if problem := _problem(request, token):
        messages.error(request, problem)
        return redirect("account_login")
    form = FirstAdminForm(request.POST if request.method == "POST" else None)
    if request.method != "POST" or not form.is_valid():
        return narrow_page(request, "first_admin.html", _("Create your account"), {"form": form, "token": token})
    with transaction.atomic():
        role = Group.objects.select_for_update().get(name=ROLE)  # Whoever comes second waits here.
        if is_needed():
            given = form.cleaned_data
            user = User.objects.create_user(given["username"], given["email"], given["password"], is_staff=True)
            user.groups.add(role)
        else:
            user = None
    if user is None:
        messages.error(request, NOT_NEEDED)
        return redirect("account_login")
    log.warning("%s became the first administrator.", user)
    record_authentication(request, user, method="password")
    response: HttpResponse = perform_login(request, Login(user=user))
    return response


def _problem(request: HttpRequest, token: str) -> str:
    """Return why this link lets nobody in; empty if it does."""
    if not is_needed():
        return str(NOT_NEEDED)
    try:
        with transaction.atomic():  # The limit on failures counts one request at a time.
            refuse_if_locked(request, None)
            try:
                signing.loads(token, salt=SALT, max_age=VALID_SECONDS)
            except signing.BadSignature:
                count_failure(request, None)
                return str(NOT_VALID)
    except ValidationError as error:
        return str(error.message)
    return ""
