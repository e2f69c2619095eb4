"""The forms of signing in and of second factors. Every failed check counts towards the lock-out."""

import struct
from typing import Any

from allauth.account.forms import LoginForm
from allauth.core import context
from allauth.mfa.adapter import get_adapter
from allauth.mfa.base.internal.flows import post_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import generate_totp_secret
from allauth.mfa.webauthn.forms import AddWebAuthnForm, AuthenticateWebAuthnForm, LoginWebAuthnForm
from cryptography.fernet import InvalidToken
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from unfold.forms import AdminOwnPasswordChangeForm
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget, UnfoldBooleanSwitchWidget

from accounts import factors
from accounts.sign_in import rules
from accounts.sign_in.lockout import count_failure, refuse_if_locked
from adminpages.fresh_sign_in import WRONG, is_password
from adminpages.text_fields import RefusesControls
from adminpages.texts import read_json

WRONG_CODE = _("Wrong code. Each code works once: enter the one your app shows now.")
WRONG_RECOVERY_CODE = _("Wrong code. Each recovery code works once: enter one that you haven't used.")


class CodeInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]  # unfold has no types.
    """An input for a code, which comes back empty after a wrong one."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        usual = {"autocomplete": "one-time-code", "autocapitalize": "none", "spellcheck": "false"}
        super().__init__({**usual, **(attrs or {})})

    def format_value(self, value: Any) -> None:
        return None


class SignInForm(RefusesControls, LoginForm):  # type: ignore[misc]  # allauth announces no types.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Where there is single sign-on, its button comes first.
        has_focus = self.is_bound or not settings.OIDC_ISSUER
        self.fields["login"].widget = UnfoldAdminTextInputWidget(
            {"autocomplete": "username", "autocapitalize": "none", "autofocus": has_focus}
        )
        self.fields["password"].widget = UnfoldAdminPasswordWidget({"autocomplete": "current-password"})


def _has_app(user: User) -> bool:
    return factors.of(user).filter(type=factors.TOTP).exists()


def spend_code(request: HttpRequest, user: User, code: str) -> Authenticator | None:
    """Return the factor that the code belongs to, or None after counting a failure.

    :raises ValidationError: if too many checks failed for this user or network.
    """
    with transaction.atomic():  # The limit on failures counts one request at a time.
        refuse_if_locked(request, user.get_username())
        factor = factors.spend_code(user, code)
        if factor is None:
            count_failure(request, user.get_username())
        elif factor.type == factors.RECOVERY_CODES:
            left = factors.recovery_codes_left(user)
            counted = ngettext("%(n)s recovery code left.", "%(n)s recovery codes left.", left) % {"n": left}
            more = gettext("Is your phone or key lost? Replace it under Second factor in your account.")
            messages.warning(request, f"{counted} {more}")
        return factor


class SecondFactorCodeForm(RefusesControls, forms.Form):
    """A code from the user's authenticator app, or a recovery code."""

    code = forms.CharField(max_length=30, widget=CodeInput({"autofocus": True}))

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._user = user

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        factor = spend_code(context.request, self._user, code)
        if factor is None:
            raise forms.ValidationError(WRONG_CODE if _has_app(self._user) else WRONG_RECOVERY_CODE)
        self._factor = factor
        return code

    def save(self) -> None:
        post_authentication(context.request, self._factor)


# What the parsers of the library raise for answers that no key gives.
MALFORMED = (ValueError, TypeError, LookupError, AttributeError, struct.error)


class CredentialField(forms.JSONField):
    """The answer of a key, as the library's script writes it."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        read = read_json(value or "", most=20_000)
        if not isinstance(read, dict):
            raise forms.ValidationError(get_adapter().error_messages["incorrect_code"])
        return read


class _CountsFailures:
    """A mixin of forms that check the answer of a key."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["credential"] = CredentialField()  # type: ignore[attr-defined]  # A mixin of forms.

    def clean_credential(self) -> Authenticator:
        user = self.user  # type: ignore[attr-defined]  # Of the library's form; None before a passkey named somebody.
        name = user.get_username() if user is not None else None
        with transaction.atomic():  # The limit on failures counts one request at a time.
            refuse_if_locked(context.request, name)
            try:
                return super().clean_credential()  # type: ignore[misc]
            except (forms.ValidationError, *MALFORMED):
                count_failure(context.request, name)
        raise get_adapter().validation_error("incorrect_code")


class SecondFactorKeyForm(RefusesControls, _CountsFailures, AuthenticateWebAuthnForm):  # type: ignore[misc]
    """The answer of a key after the password."""


class PasskeyForm(RefusesControls, _CountsFailures, LoginWebAuthnForm):  # type: ignore[misc]
    """The answer of a passkey, which names the user and replaces the password."""


class TotpSetUpForm(RefusesControls, forms.Form):
    """Proves that the app knows the new secret, which stays encrypted in the page until then."""

    sealed = forms.CharField(widget=forms.HiddenInput, max_length=1000)
    code = forms.CharField(
        label=_("Code from the app"),
        max_length=30,
        widget=CodeInput({"inputmode": "numeric", "autofocus": True}),
    )

    def __init__(self, data: Any = None, *, user: User) -> None:
        super().__init__(data, label_suffix="")
        self._user = user
        self.secret = (data and self._opened(data.get("sealed", ""))) or generate_totp_secret()
        sealed = get_adapter().encrypt(f"{user.pk} {self.secret}")
        self.initial["sealed"] = sealed

    def clean_code(self) -> str:
        code = "".join(self.cleaned_data["code"].split())
        step = factors.step_of(self.secret, code)
        if step is None:
            raise forms.ValidationError(_("Wrong code. Scan the picture, then enter the code that the app shows now."))
        self.step = step
        return code

    def _opened(self, sealed: str) -> str:
        """Return the secret that was sealed for this user; empty if it was not."""
        try:
            owner, _, secret = get_adapter().decrypt(sealed).partition(" ")
        except InvalidToken:
            return ""
        return secret if owner == str(self._user.pk) else ""


class KeyForm(RefusesControls, AddWebAuthnForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"] = forms.CharField(
            label=_("Name of the key"), required=False, max_length=100, widget=UnfoldAdminTextInputWidget
        )
        self.fields["passwordless"] = forms.BooleanField(
            label=_("Log in without password"),
            required=False,
            widget=UnfoldBooleanSwitchWidget,
            help_text=_("Makes it a passkey. The device asks for a fingerprint, a face or a PIN."),
        )
        if settings.OIDC_ONLY:  # Passkeys would be refused.
            del self.fields["passwordless"]
        self.fields["credential"] = CredentialField()

    def clean(self) -> dict[str, Any]:
        try:
            cleaned: dict[str, Any] = super().clean()
        except MALFORMED:
            raise get_adapter().validation_error("incorrect_code") from None
        return cleaned


class OwnPasswordForm(RefusesControls, AdminOwnPasswordChangeForm):  # type: ignore[misc]  # unfold has no types.
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["old_password"].label = _("Current password")
        self.fields["new_password1"].help_text = rules.PASSWORD
        self.fields["new_password2"].label = _("Repeat new password")
        self.fields["new_password2"].help_text = ""

    def validate_password_for_user(self, user: User, password_field_name: str = "") -> None:
        """Say what is wrong with it beside the field that states the rules, and not beside the repetition."""
        super().validate_password_for_user(user, "new_password1")

    def clean_old_password(self) -> str:
        password: str = self.cleaned_data["old_password"]
        if not is_password(context.request, password):
            raise forms.ValidationError(WRONG)
        return password

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean()
        # Compared with the proved one: before that, an answer would let anybody guess without the lock-out.
        if "old_password" in cleaned and cleaned.get("new_password1") == cleaned["old_password"]:
            self.add_error("new_password1", rules.SAME_PASSWORD)
        return cleaned


class FreshSignInForm(RefusesControls, forms.Form):
    """Confirms a signed-in user by password or by a code from the app."""

    password = forms.CharField(
        label=_("Your password"),
        strip=False,
        required=False,
        max_length=4096,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "current-password", "autofocus": True}),
    )
    code = forms.CharField(
        label=_("Code from your app"),
        required=False,
        max_length=30,
        widget=CodeInput,
    )

    def __init__(self, request: HttpRequest, user: User, data: Any = None) -> None:
        super().__init__(data, label_suffix="")
        self._request = request
        self._user = user
        if settings.OIDC_ONLY or not user.has_usable_password():
            del self.fields["password"]
        if not _has_app(user):
            del self.fields["code"]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if password := values.get("password"):
            if not is_password(self._request, password):
                self.add_error("password", WRONG)
        elif code := values.get("code"):
            if spend_code(self._request, self._user, code) is None:
                self.add_error("code", _("Wrong code. Enter the one your app shows now."))
        else:
            raise forms.ValidationError(_("Fill in one of these."))
        return values
