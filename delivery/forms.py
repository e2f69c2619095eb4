"""The forms of delivery's pages: a send test, and a search in the outbox."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from adminpages.text_fields import RefusesControls
from delivery.models import NOT_ACCEPTED, TODAY, Message
from mail.addresses import AddressInvalid, read_address
from smtpservers.models import SmtpServer
from words.texts import translated


class SendTestForm(RefusesControls, forms.Form):
    recipient = forms.CharField(
        label=_("Send test to"),
        max_length=320,
        help_text=_("Use a mailbox you can check."),
        error_messages={"required": _("Enter an address for the test message.")},
        widget=UnfoldAdminTextInputWidget({"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}),
    )

    with_copies = forms.BooleanField(
        label=_("Send copies too"), required=False, initial=True, widget=UnfoldBooleanWidget()
    )

    def __init__(self, *args: Any, copies: Sequence[str] = (), proposed: str = "", **kwargs: Any) -> None:
        """Build the form; the question about copies appears only if there are any.

        :param copies: the addresses that get copies.
        :param proposed: the server's own test address, if it has one, which is filled in.
        """
        super().__init__(*args, **kwargs)
        if proposed:
            self.fields["recipient"].help_text += " " + gettext("The server's Mail to is suggested.")
        if copies:
            self.fields["with_copies"].help_text = gettext("To %(addresses)s. Each copy uses quota.") % {
                "addresses": ", ".join(copies)
            }
        else:
            del self.fields["with_copies"]
        if self.is_bound and self.errors:
            self.fields["recipient"].widget.attrs["aria-invalid"] = "true"

    def clean_recipient(self) -> str:
        try:
            return read_address(self.cleaned_data["recipient"])
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from None


class MessageSearch(RefusesControls, forms.Form):
    """A search in the outbox. Empty fields match everything."""

    address = forms.CharField(
        required=False,
        max_length=320,
        label=_("Address"),
        widget=UnfoldAdminTextInputWidget({"placeholder": _("ann@example.org, or part of it"), "type": "search"}),
    )
    status = forms.ChoiceField(
        required=False,
        choices=[
            ("", _("Any")),
            *Message.Status.choices,
            (NOT_ACCEPTED, _("Bounced, failed or unconfirmed")),
        ],
        label=_("Status"),
        widget=UnfoldAdminSelectWidget,
    )
    server = forms.ModelChoiceField(
        required=False,
        queryset=SmtpServer.objects.only("name"),
        empty_label=_("Any"),
        label=_("Server"),
        widget=UnfoldAdminSelectWidget,
    )
    changed = forms.ChoiceField(
        required=False,
        choices=[("", _("Any time")), (TODAY, _("Today"))],
        label=_("Last change"),
        widget=UnfoldAdminSelectWidget,
    )
