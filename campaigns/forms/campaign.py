"""The form of a campaign, validated field by field. Whether it may be sent is decided by :mod:`campaigns.preflight`."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminTextInputWidget,
)

from adminpages.text_fields import RefusesControls
from campaigns.forms.audience import AudienceForm
from campaigns.forms.content import WritingForm
from campaigns.models import Campaign
from contacts.models import ContactList
from installation.site import site
from mail.addresses import AddressInvalid, parse_mailbox, parse_mailboxes, read_address
from mail.links import utm
from smtpservers.forms.validators import FieldInvalid, check_utm
from smtpservers.models import SmtpServer
from smtpservers.routing.candidates import server_choices
from words.texts import translated

MOST_REPLY_TO = 10


class SuggestingInput(UnfoldAdminTextInputWidget):  # type: ignore[misc]
    """A text input that suggests values and accepts any."""

    suggestions: tuple[str, ...] = ()

    def render(self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None) -> SafeString:
        named = {"list": f"{name}-suggestions"} if self.suggestions else {}
        field: SafeString = super().render(name, value, {**(attrs or {}), **named}, renderer)
        if not self.suggestions:
            return field
        options = format_html_join("", '<option value="{}"></option>', ((text,) for text in self.suggestions))
        return format_html('{}<datalist id="{}-suggestions">{}</datalist>', field, name, options)


class CampaignForm(AudienceForm, WritingForm):
    servers = forms.TypedMultipleChoiceField(
        coerce=int,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        label=_("Servers"),
        help_text=_("Sends only through these servers, within the routing rules. Leave empty to use all servers."),
    )

    class Meta(WritingForm.Meta):
        fields = [
            *WritingForm.Meta.fields,
            "name",
            "mail_from",
            "reply_to",
            "lists",
            "sends_copies",
            "confirms_copies",
            "tracking",
            "track_text",
            "is_tagged",
            *utm.NAMES,
        ]
        widgets = {
            **WritingForm.Meta.widgets,
            **{name: SuggestingInput() for name in utm.PER_LINK},
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "servers" in self.fields:
            named = list(self.instance.server_ids)
            servers: Any = self.fields["servers"]
            servers.choices = server_choices(named)
            servers.initial = named
        for name in utm.PER_LINK:
            if name in self.fields:
                self._suggest(name)
        if "tracking" in self.fields:
            field: Any = self.fields["tracking"]
            field.choices = [("", gettext("As the lists say")), *ContactList.Tracking.choices]
            most = gettext("This installation counts at most: %(level)s.")
            level = ContactList.Tracking(site().tracking).label
            field.help_text = format_html("{} {}", most % {"level": level}, field.help_text)

    def _suggest(self, name: str) -> None:
        """Suggest the servers' values of a UTM parameter that servers do not add to every link by themselves."""
        held = SmtpServer.objects.filter(is_active=True, **{utm.switch_of(name): False}).exclude(**{name: ""})
        found = tuple(held.order_by(name).values_list(name, flat=True).distinct()[:20])
        widget = self.fields[name].widget
        widget.suggestions = found
        if found:
            self.fields[name].help_text = format_html(gettext("Your servers suggest: {}."), ", ".join(found))

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        for name, value in list((cleaned or {}).items()):
            if (
                name not in (*Campaign.Markup.values, "text")
                and isinstance(value, str)
                and any(ord(sign) < 32 for sign in value)
            ):
                self.add_error(name, gettext("Use one line without control characters."))
            elif name in utm.NAMES:
                try:
                    check_utm(value)
                except FieldInvalid as error:
                    self.add_error(name, translated(error))
        return cleaned

    def clean_servers(self) -> list[int]:
        named: list[int] = self.cleaned_data["servers"]
        self.instance.server_ids = named
        return named

    def clean_mail_from(self) -> str:
        return self._mailboxes("mail_from")

    def clean_reply_to(self) -> str:
        return self._mailboxes("reply_to")

    def _mailboxes(self, name: str) -> str:
        text = str(self.cleaned_data[name])
        try:
            if text and name == "mail_from":
                parse_mailbox(text)
            elif text:
                parse_mailboxes(text, most=MOST_REPLY_TO)
        except AddressInvalid as error:
            raise ValidationError(translated(error)) from error
        return text


class CampaignTestForm(RefusesControls, forms.Form):
    """The address for a test message."""

    recipient = forms.CharField(label=_("Recipient"), max_length=320)

    def clean_recipient(self) -> str:
        try:
            return read_address(self.cleaned_data["recipient"])
        except AddressInvalid as error:
            raise ValidationError(translated(error)) from error


class DraftForm(CampaignForm):
    """The form for autosave: incomplete content is valid."""

    is_draft = True
