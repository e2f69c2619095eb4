"""The form of an account: the fields of its flow. Secrets are write-only, and asked for again for another identity."""

import json
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordToggleWidget, UnfoldAdminTextareaWidget

from adminpages.text_fields import RefusesControls
from encryption.secret_field import Secret
from encryption.secret_states import SecretState, say, state_of
from mail.addresses import AddressInvalid, check_address
from oauth.client import providers
from oauth.client.assertions import KeyUnusable, private_key, public_certificate
from oauth.models import SECRETS, OAuthAccount
from words.texts import translated

if TYPE_CHECKING:
    _AccountModelForm = forms.ModelForm[OAuthAccount]
else:  # Django's own class takes no parameter.
    _AccountModelForm = forms.ModelForm

Flow = OAuthAccount.Flow
FIELDS = {
    Flow.MICROSOFT_APP: (
        *("name", "mailbox", "tenant", "client_id", "client_secret", "certificate", "private_key", "cloud"),
    ),
    Flow.MICROSOFT_USER: ("name", "mailbox", "tenant", "client_id", "client_secret", "cloud"),
    Flow.GOOGLE_SERVICE: ("name", "mailbox", "key_file"),
    Flow.GOOGLE_USER: ("name", "mailbox", "client_id", "client_secret"),
    Flow.POSTMASTER_SERVICE: ("name", "mailbox", "key_file"),
    Flow.POSTMASTER_USER: ("name", "mailbox", "client_id", "client_secret"),
}
# The secret that an account of a flow can't do without.
NEEDED = {
    Flow.GOOGLE_SERVICE: "key_file",
    Flow.GOOGLE_USER: "client_secret",
    Flow.POSTMASTER_SERVICE: "key_file",
    Flow.POSTMASTER_USER: "client_secret",
}
LONGEST_KEY_FILE = 20_000


class SecretTextarea(forms.PasswordInput):
    """An input of several lines that is never filled in again."""

    template_name = "django/forms/widgets/textarea.html"


class AccountForm(RefusesControls, _AccountModelForm):
    """An account's settings. An empty secret means unchanged."""

    client_secret = forms.CharField(
        label=_("Client secret"), required=False, max_length=1000, widget=UnfoldAdminPasswordToggleWidget
    )
    private_key = forms.CharField(
        label=_("Private key"), required=False, max_length=20_000, strip=False, widget=SecretTextarea
    )
    key_file = forms.CharField(
        label=_("Key file"), required=False, max_length=LONGEST_KEY_FILE, strip=False, widget=SecretTextarea
    )

    class Meta:
        model = OAuthAccount
        fields = ("name", "mailbox", "tenant", "client_id", "certificate", "cloud")
        widgets: ClassVar = {"certificate": UnfoldAdminTextareaWidget({"rows": 4})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._identity_before = self.instance.destination
        shown = FIELDS[Flow(self.instance.flow)]
        for name in [name for name in self.fields if name not in shown]:
            del self.fields[name]
        if not self.instance.is_for_mail:
            self.fields["name"].help_text = gettext("Shown in the reports of your domains, e.g. “Postmaster Tools”.")
            self.fields["mailbox"].label = gettext("Google user")
            self.fields["mailbox"].help_text = gettext(
                "Address of the Google user who sees your domains in Postmaster Tools."
            )
        for name in ("client_secret", "private_key", "key_file"):
            if name in self.fields:
                self._describe_secret(name)
        if "certificate" in self.fields:
            attributes = {"spellcheck": "false", "placeholder": "-----BEGIN CERTIFICATE-----"}
            self.fields["certificate"].widget.attrs |= attributes
            self.fields["certificate"].help_text = gettext(
                "Instead of a client secret: the certificate you uploaded to Microsoft (PEM)."
            )
        if "tenant" in self.fields:
            self.fields["tenant"].required = True
            if self.instance.flow == Flow.MICROSOFT_USER:
                self.fields["tenant"].help_text += " " + gettext("For Outlook.com: consumers.")
            self.fields["client_id"].help_text = gettext("Application (client) ID of the app at Microsoft.")
        elif "client_id" in self.fields:
            self.fields["client_id"].help_text = gettext("Ends in apps.googleusercontent.com.")

    def _describe_secret(self, name: str) -> None:
        field, stored = self.fields[name], _stored(name)
        state = secret_state(self.instance, stored)
        said = {
            "client_secret": gettext("Stored encrypted and never shown again."),
            "private_key": gettext("The certificate's private key (PEM). Stored encrypted and never shown again."),
            "key_file": gettext("The service account's key as a JSON file. Stored encrypted and never shown again."),
        }
        field.help_text = f"{state} {said[name]}"
        if getattr(self.instance, stored):
            field.help_text += " " + gettext("Leave empty to keep the current value.")
        field.widget.attrs |= {"autocomplete": "new-password", "spellcheck": "false"}
        if isinstance(field.widget, SecretTextarea):
            field.widget.attrs |= {"rows": 4, "class": " ".join(UnfoldAdminTextareaWidget().attrs["class"].split())}

    # --- validation

    def clean_name(self) -> str:
        return " ".join(self.cleaned_data["name"].split())

    def clean_mailbox(self) -> str:
        try:
            return check_address(self.cleaned_data["mailbox"].strip())
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from None

    def clean_tenant(self) -> str:
        text: str = self.cleaned_data["tenant"].strip()
        if not providers.is_tenant(text):
            raise forms.ValidationError(gettext("Enter a directory (tenant) ID or a domain, e.g. contoso.com."))
        return text

    def clean_client_id(self) -> str:
        text: str = self.cleaned_data["client_id"].strip()
        if not text.isprintable() or " " in text:
            raise forms.ValidationError(gettext("Enter the client ID without spaces."))
        return text

    def clean_certificate(self) -> str:
        text: str = self.cleaned_data["certificate"].strip()
        if text:
            try:
                public_certificate(text)
            except KeyUnusable:
                message = gettext(
                    "This isn't a certificate in PEM form. Paste all of it, with its BEGIN and END lines."
                )
                raise forms.ValidationError(message) from None
        return text

    def clean_private_key(self) -> str:
        return _checked_key(self.cleaned_data["private_key"])

    def clean_key_file(self) -> str:
        """Return the private key of the file; its email is the client ID."""
        text: str = self.cleaned_data["key_file"]
        if not text:
            return ""
        try:
            found = json.loads(text)
            email, key = check_address(str(found["client_email"])), str(found["private_key"])
        except (ValueError, TypeError, KeyError, RecursionError):
            message = gettext("This isn't a service account's key file. Paste the whole JSON file.")
            raise forms.ValidationError(message) from None
        self.instance.client_id = email
        return _checked_key(key)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if self.instance.flow == Flow.MICROSOFT_APP:
            self._clean_proof(cleaned)
        missing = NEEDED.get(Flow(self.instance.flow))
        if missing and missing not in self.errors and not self._will_have(missing):
            self.add_error(missing, gettext("Enter the %(what)s.") % {"what": str(self.fields[missing].label).lower()})
        return cleaned

    def _clean_proof(self, cleaned: dict[str, Any]) -> None:
        """Require a client secret, or a certificate with its private key."""
        if cleaned.get("certificate"):
            if cleaned.get("client_secret"):
                self.add_error("client_secret", gettext("Enter a client secret or a certificate, not both."))
            elif not self._will_have("private_key") and "private_key" not in self.errors:
                self.add_error("private_key", gettext("Enter the certificate's private key."))
        elif cleaned.get("private_key"):
            self.add_error("certificate", gettext("Enter the certificate that belongs to the private key."))
        elif "certificate" not in self.errors and not self._will_have("client_secret"):
            self.add_error("client_secret", gettext("Enter a client secret, or a certificate and its private key."))

    def _will_have(self, name: str) -> bool:
        return bool(self.cleaned_data.get(name)) or bool(getattr(self.instance, _stored(name)))

    def _post_clean(self) -> None:
        """Require a kept secret again if it was entered for another mailbox, app or tenant."""
        super()._post_clean()  # type: ignore[misc]  # Django's own step after clean(), missing in the stubs.
        if self.errors:
            return
        for name in ("client_secret", "private_key", "key_file"):
            if name not in self.fields or self.cleaned_data.get(name) or self._is_dropped(name):
                continue
            said = {
                SecretState.ELSEWHERE: gettext("The account changed: enter the %(what)s again."),
                SecretState.UNREADABLE: gettext("The stored %(what)s can't be read. Enter it again."),
            }.get(state_of(getattr(self.instance, _stored(name)), self.instance.destination))
            if said:
                self.add_error(name, said % {"what": str(self.fields[name].label).lower()})

    def _is_dropped(self, name: str) -> bool:
        """Tell whether the secret goes: an app has a client secret or a certificate, never both."""
        if self.instance.flow != Flow.MICROSOFT_APP:
            return False
        return (name == "client_secret") == bool(self.cleaned_data.get("certificate"))

    def save(self, commit: bool = True) -> OAuthAccount:
        """Store the account. Other settings need other tokens: those of before are dropped."""
        account = self.instance
        typed = [name for name in ("client_secret", "private_key", "key_file") if self.cleaned_data.get(name)]
        for name in typed:
            setattr(account, _stored(name), Secret.seal(self.cleaned_data[name], account.destination))
        for name in SECRETS:
            if self._is_dropped(name):
                setattr(account, name, Secret(""))
        if account.destination != self._identity_before:
            account.refresh_token = Secret("")
        if typed or account.destination != self._identity_before or "certificate" in self.changed_data:
            account.access_token, account.expires_at, account.renewing_until = Secret(""), None, None
            account.state, account.last_error = OAuthAccount.State.NEW, ""
            account.retry_at, account.failures = None, 0
        return super().save(commit)


def secret_state(account: OAuthAccount, name: str) -> str:
    """Return a sentence on whether a secret is set and usable; it reveals nothing of the secret."""
    state = state_of(getattr(account, name), account.destination)
    return say(state, elsewhere=gettext("Set, but for a different account. Enter it again."))


def _stored(name: str) -> str:
    """Return the column that a field's secret is stored in."""
    return "private_key" if name == "key_file" else name


def _checked_key(text: str) -> str:
    if text:
        try:
            private_key(text)
        except KeyUnusable:
            message = gettext("This isn't an RSA private key in PEM form without a password, of 2,048 bits or more.")
            raise forms.ValidationError(message) from None
    return text
