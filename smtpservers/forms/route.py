"""The forms of routing: a rule, and a test of the rules with a message."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from adminpages.text_fields import RefusesControls
from mail.addresses import AddressInvalid, check_address, parse_mailbox
from smtpservers.models import Route
from smtpservers.routing.candidates import server_choices
from smtpservers.routing.rules import check_domains
from words.texts import translated

if TYPE_CHECKING:
    _RouteModelForm = forms.ModelForm[Route]
else:  # Django's own class takes no parameter.
    _RouteModelForm = forms.ModelForm


class RouteForm(RefusesControls, _RouteModelForm):
    """A routing rule; the default rule has only strategy and servers."""

    servers = forms.TypedMultipleChoiceField(
        label=_("Servers"),
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=_(
            "Only these servers send what this rule matches. If none is available, messages wait. Set weight and"
            " quota on each server's own page. Leave all unticked to use every server."
        ),
    )

    class Meta:
        model = Route
        fields = ("name", "is_active", "display_order", "from_domains", "recipient_domains", "strategy")
        widgets = {
            name: UnfoldAdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false"})
            for name in ("from_domains", "recipient_domains")
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "servers" in self.fields:
            named = list(self.instance.server_ids)
            servers: Any = self.fields["servers"]
            servers.choices = server_choices(named)
            servers.initial = named

    def clean_from_domains(self) -> str:
        return self._domains("from_domains")

    def clean_recipient_domains(self) -> str:
        return self._domains("recipient_domains")

    def _domains(self, name: str) -> str:
        return _checked(check_domains, self.cleaned_data[name])

    def clean_servers(self) -> list[int]:
        named: list[int] = self.cleaned_data["servers"]
        self.instance.server_ids = named
        return named


class TryForm(RefusesControls, forms.Form):
    """The sender and recipient of a test message that is never sent."""

    sender = forms.CharField(
        label=_("From"),
        required=False,
        max_length=400,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": _("Each server's own")}),
        help_text=_("The From address of the campaign. Leave empty to use each server's own."),
    )
    recipient = forms.CharField(
        label=_("Recipient"),
        max_length=320,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "ann@example.com"}),
        help_text=_("Nothing is sent."),
    )

    def clean_sender(self) -> str:
        text: str = self.cleaned_data["sender"]
        return _checked(lambda typed: str(parse_mailbox(typed)), text) if text else ""

    def clean_recipient(self) -> str:
        return _checked(check_address, self.cleaned_data["recipient"])


def _checked(check: Callable[[str], str], text: str) -> str:
    try:
        return check(text)
    except AddressInvalid as error:
        raise ValidationError(translated(error)) from error
