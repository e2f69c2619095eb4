"""The form that chooses a server for account mail, as the page showed it."""

from typing import Any

from django import forms
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminRadioSelectWidget

from accounts.by_mail import servers
from accounts.models import AccountServer, destination_of
from adminpages.text_fields import RefusesControls
from delivery.content.test_inbox import leads_to_test_inbox
from smtpservers.models import SmtpServer


class _ServerField(forms.ModelChoiceField):  # type: ignore[type-arg]  # Django's own takes no parameter.
    """A choice of servers. Each value says what was shown of its server, and counts only while that is so."""

    def label_from_instance(self, obj: SmtpServer) -> SafeString:
        return format_html("<strong>{}</strong>{}", servers.named(obj), servers.described(obj))

    def prepare_value(self, value: Any) -> Any:
        return f"{value.pk}.{servers.version_of(value)}" if isinstance(value, SmtpServer) else value

    def to_python(self, value: Any) -> SmtpServer | None:
        pk, _dot, shown = str(value or "").partition(".")
        server: SmtpServer | None = super().to_python(pk)
        if server is not None and not servers.is_version(shown, server):
            raise forms.ValidationError(servers.STALE)
        return server


class AccountServerForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    server = _ServerField(
        label=gettext_lazy("Server"),
        queryset=SmtpServer.objects.exclude(pk__in=AccountServer.objects.values("server")).order_by("name"),
        empty_label=None,
        help_text=gettext_lazy("Whoever runs it can read these mails, with their links."),
        widget=UnfoldAdminRadioSelectWidget,
    )

    class Meta:
        model = AccountServer
        fields = ["server"]

    def clean_server(self) -> SmtpServer:
        server: SmtpServer = self.cleaned_data["server"]
        if leads_to_test_inbox(server):
            raise forms.ValidationError(
                _("This server leads to the Test inbox, which shows links. Choose another one.")
            )
        self.instance.destination = destination_of(server)
        return server
