"""The form of a mailbox. Its password is write-only, and asked for again where the mailbox is another one."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordToggleWidget,
    UnfoldAdminTextareaWidget,
)

from adminpages.text_fields import RefusesControls
from encryption.secret_field import Secret
from encryption.secret_states import SecretState, state_of
from feedback.mailboxes import changes
from feedback.models import Mailbox
from mail.addresses import AddressInvalid, check_host, readable_domain
from oauth.models import OAuthAccount
from smtpservers.forms import validators
from smtpservers.forms.validators import FieldInvalid
from smtpservers.models import SmtpServer
from words.texts import translated

if TYPE_CHECKING:
    _MailboxModelForm = forms.ModelForm[Mailbox]
    _ServerChoice = forms.ModelMultipleChoiceField[SmtpServer]
else:  # Django's own classes take no parameter.
    _MailboxModelForm = forms.ModelForm
    _ServerChoice = forms.ModelMultipleChoiceField

IMAP, POP3 = Mailbox.Protocol.IMAP, Mailbox.Protocol.POP3
IMPLICIT, STARTTLS = Mailbox.Security.IMPLICIT, Mailbox.Security.STARTTLS
# The registered ports; other ones are taken as they are typed.
PORTS = {(IMAP, IMPLICIT): 993, (IMAP, STARTTLS): 143, (POP3, IMPLICIT): 995, (POP3, STARTTLS): 110}
CHECKS = {
    "name": validators.check_line,
    "username": validators.check_username,
    "folder": validators.check_line,
    "authserv_id": validators.check_line,
    "trusted_certificate": validators.check_certificate,
}


class _Servers(_ServerChoice):
    def label_from_instance(self, obj: SmtpServer) -> str:
        return f"{obj.name} ({obj.return_path})" if obj.return_path else obj.name


class MailboxForm(RefusesControls, _MailboxModelForm):
    """All settings of a mailbox. An empty password means unchanged."""

    password = forms.CharField(
        label=_("Password"), required=False, strip=False, max_length=1000, widget=UnfoldAdminPasswordToggleWidget
    )
    servers = _Servers(
        label=_("Return path of"),
        required=False,
        queryset=SmtpServer.objects.filter(use_return_path=True).exclude(return_path="").order_by("name", "pk"),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_("The servers whose bounces arrive here. Only servers with a return path are listed."),
    )

    class Meta:
        model = Mailbox
        fields = (
            *("name", "is_active", "protocol", "host", "port", "security", "trusted_certificate"),
            *("username", "oauth_account", "folder", "after_reading", "servers", "authserv_id"),
        )
        widgets: ClassVar = {
            "trusted_certificate": UnfoldAdminTextareaWidget(
                {"rows": 3, "spellcheck": "false", "placeholder": "-----BEGIN CERTIFICATE-----"}
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._before = (self.instance.destination, self.instance.folder)
        if self.instance.host:  # Stored as A-labels, shown in its own script.
            self.initial["host"] = readable_domain(self.instance.host)
        self.fields["oauth_account"].queryset = OAuthAccount.for_mail()  # type: ignore[attr-defined]
        password = self.fields["password"]
        # Otherwise browsers fill in the password of the signed-in user.
        password.widget.attrs["autocomplete"] = "new-password"
        self.fields["username"].widget.attrs["autocomplete"] = "off"
        password.help_text = gettext("Stored encrypted and never shown again.")
        if self.instance.password:
            password.help_text = gettext(
                "A password is set. Leave empty to keep it. Enter it again when you change the server, port,"
                " encryption, trusted certificate or username."
            )

    # --- validation

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name, check in CHECKS.items():
            if cleaned.get(name):
                try:
                    cleaned[name] = check(cleaned[name])
                except FieldInvalid as error:
                    self.add_error(name, translated(error))
        self._clean_host(cleaned)
        self._clean_port(cleaned)
        self._clean_sign_in(cleaned)
        return cleaned

    def _clean_host(self, cleaned: dict[str, Any]) -> None:
        if not cleaned.get("host"):
            return
        try:
            cleaned["host"], pasted = check_host(cleaned["host"])
        except AddressInvalid as error:
            self.add_error("host", translated(error))
            return
        if pasted is not None:
            cleaned["port"] = pasted

    def _clean_port(self, cleaned: dict[str, Any]) -> None:
        port, chosen = cleaned.get("port"), (cleaned.get("protocol"), cleaned.get("security"))
        if port not in PORTS.values() or chosen not in PORTS or PORTS[chosen] == port:
            return
        protocol, security = next(pair for pair, usual in PORTS.items() if usual == port)
        self.add_error(
            "port",
            gettext("Port %(port)s is for %(protocol)s with %(security)s. Change the port, or these two.")
            % {"port": port, "protocol": protocol.label, "security": security.label},
        )

    def _clean_sign_in(self, cleaned: dict[str, Any]) -> None:
        if cleaned.get("oauth_account"):
            return
        if not cleaned.get("username") and "username" not in self.errors:
            self.add_error("username", gettext("Enter a username."))
        if not cleaned.get("password") and not self.instance.password:
            self.add_error("password", gettext("Enter a password."))

    def _post_clean(self) -> None:
        """Require a kept password again if the mailbox is not the one that it was entered for."""
        super()._post_clean()  # type: ignore[misc]  # Django's own step after clean(), missing in the stubs.
        if self.errors or self.cleaned_data.get("password") or self.cleaned_data.get("oauth_account"):
            return
        said = {
            SecretState.ELSEWHERE: gettext("The mailbox changed: enter the password again."),
            SecretState.UNREADABLE: gettext("The stored password can't be read. Enter it again."),
        }.get(state_of(self.instance.password, self.instance.destination))
        if said:
            self.add_error("password", said)

    def save(self, commit: bool = True) -> Mailbox:
        """Store the mailbox; a typed password replaces the stored one."""
        if not self.errors and self.cleaned_data.get("password"):
            self.instance.password = Secret.seal(self.cleaned_data["password"], self.instance.destination)
        return super().save(commit)

    def apply(self) -> None:
        """Have the stored mailbox polled with its new settings; another mailbox from its beginning."""
        if (self.instance.destination, self.instance.folder) != self._before:
            changes.start_over(self.instance)
        changes.poll_soon(self.instance)
