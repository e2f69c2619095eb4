"""The forms behind links by mail: asking for one, choosing a password, and creating an account by invitation."""

from typing import Any

from django import forms
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from accounts.sign_in import rules
from accounts.sign_in.usernames import RefusesTakenUsername
from adminpages.text_fields import RefusesControls


class ForgotPasswordForm(RefusesControls, forms.Form):
    email = forms.EmailField(
        label=_("Email"),
        max_length=254,
        widget=UnfoldAdminTextInputWidget({"type": "email", "autocomplete": "email", "autofocus": True}),
    )


class _NewPassword(forms.Form):
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=4096,
        help_text=rules.PASSWORD,
        widget=UnfoldAdminPasswordWidget({"autocomplete": "new-password"}),
    )

    def check_password(self, user: User) -> None:
        """Add an error if this password is too easy to guess for this user."""
        if password := self.cleaned_data.get("password"):
            try:
                validate_password(password, user)
            except forms.ValidationError as error:
                self.add_error("password", error)


class ResetPasswordForm(RefusesControls, _NewPassword):
    """A new password for a user who has forgotten the old one."""

    def __init__(self, data: Any, user: User) -> None:
        super().__init__(data, label_suffix="")
        self._user = user
        self.fields["password"].label = _("New password")

    def clean(self) -> None:
        self.check_password(self._user)
        # A valid guess that is wrong uses the link up, so nobody can look for the present password this way.
        password = self.cleaned_data.get("password")
        if password and check_password(password, self._user.password):
            self.add_error("password", rules.SAME_PASSWORD)


class AcceptInvitationForm(RefusesControls, _NewPassword, RefusesTakenUsername):
    """Name and password of who was invited."""

    class Meta:
        model = User
        fields = ["username"]
        labels = {"username": _("Username")}
        help_texts = {"username": rules.USERNAME}
        widgets = {"username": UnfoldAdminTextInputWidget({"autocomplete": "username", "autocapitalize": "none"})}

    field_order = ["username", "password"]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        self.check_password(self.instance)
        return cleaned
