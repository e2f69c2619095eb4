"""The forms of a webhook's page: the keys that prove posts, and the recipient of a probe."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminPasswordToggleWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from adminpages.text_fields import RefusesControls
from feedback.webhooks.adapter import Adapter, KeyField
from mail.addresses import AddressInvalid, read_address
from words.texts import translated


class KeysForm(RefusesControls, forms.Form):
    """The key fields of an adapter. A secret that is stored already may stay empty, and is kept then."""

    def __init__(self, adapter: Adapter, stored: dict[str, str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adapter, self._stored = adapter, stored
        for key in adapter.keys:
            self.fields[key.name] = _field(key, stored.get(key.name, ""))

    def clean(self) -> dict[str, Any]:
        """Return the values by name, with stored secrets in place of empty ones."""
        cleaned = super().clean() or self.cleaned_data
        for key in self._adapter.keys:
            value = (cleaned.get(key.name) or "").strip()
            if not value and key.is_secret:
                value = self._stored.get(key.name, "")
            if value and key.check is not None:
                try:
                    value = key.check(value)
                except ValueError as error:
                    self.add_error(key.name, translated(error))
            cleaned[key.name] = value
        return cleaned


def _field(key: KeyField, stored: str) -> forms.CharField:
    help_text = translated(key.help)
    if key.is_secret and stored:
        help_text = gettext("%(help)s Leave empty to keep the current value.") % {"help": help_text}
    widget: forms.Widget = UnfoldAdminTextInputWidget({"autocomplete": "off", "spellcheck": "false"})
    if key.is_secret:
        widget = UnfoldAdminPasswordToggleWidget({"autocomplete": "new-password"})
    elif key.is_long:
        widget = UnfoldAdminTextareaWidget({"rows": 4, "spellcheck": "false"})
    return forms.CharField(
        label=translated(key.label),
        help_text=help_text,
        max_length=4000,
        required=False,
        widget=widget,
        initial="" if key.is_secret else stored,
    )


class ProbeForm(RefusesControls, forms.Form):
    recipient = forms.CharField(
        label=_("Send probe to"),
        max_length=320,
        widget=UnfoldAdminTextInputWidget({"autocomplete": "email", "inputmode": "email", "spellcheck": "false"}),
        error_messages={"required": _("Enter an address for the probe.")},
    )

    def clean_recipient(self) -> str:
        try:
            return read_address(self.cleaned_data["recipient"])
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from None
