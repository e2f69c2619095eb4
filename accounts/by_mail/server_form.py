"""The form that chooses a server for account mail."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from accounts.by_mail import servers
from accounts.models import AccountServer, destination_of
from delivery.content.test_inbox import leads_to_test_inbox
from smtpservers.models import SmtpServer


class AccountServerForm(forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = AccountServer
        fields = ["server"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields.get("server")
        if not isinstance(field, forms.ModelChoiceField):  # A page that only shows it.
            return
        field.help_text = _("Whoever runs it can read these mails, with their links.")
        field.label_from_instance = servers.named  # type: ignore[method-assign, assignment]  # A hook of Django's.

    def clean_server(self) -> SmtpServer:
        server: SmtpServer = self.cleaned_data["server"]
        if leads_to_test_inbox(server):
            raise forms.ValidationError(
                _("This server leads to the Test inbox, which shows links. Choose another one.")
            )
        self.instance.destination = destination_of(server)
        return server
