"""The form of the settings. Each field says which value holds while it is empty."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _

from adminpages.text_fields import RefusesControls
from installation.models import SiteSettings
from installation.site import from_environment, site
from mail.addresses import AddressInvalid, parse_mailbox
from mail.links.levels import PERSONAL
from mail.visits.gateways import Networks
from words import time_zones
from words.texts import translated

SHOWN_CHARACTERS = 60  # Of a line that is refused.


def from_configuration(value: object) -> str:
    """Return a choice that nobody saved, with where it comes from: the environment that the processes start with."""
    return _("%(value)s, from the installation's configuration") % {"value": value}


class SiteSettingsForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = SiteSettings
        fields = [
            "organisation",
            "postal_address",
            "time_zone",
            "language",
            "alert_address",
            "tracking",
            "gateway_networks",
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        environment = from_environment()
        usual = {
            "organisation": environment.organisation,
            "postal_address": environment.postal_address,
            "time_zone": str(environment.time_zone),
            "gateway_networks": ", ".join(environment.gateway_networks),
        }
        for name, value in usual.items():
            if name in self.fields:
                usually = _("Leave empty to use the installation's configuration, which has none.")
                if value:
                    usually = _("Leave empty to use the installation's configuration: %(value)s.") % {"value": value}
                self.fields[name].help_text = f"{self.fields[name].help_text} {usually}"
                self.fields[name].widget.attrs["placeholder"] = value
        if "time_zone" in self.fields:
            self.fields["time_zone"].widget.attrs["list"] = "time-zones"
        if "gateway_networks" in self.fields:
            self.fields["gateway_networks"].strip = False  # type: ignore[attr-defined]  # An error counts the lines.
        for name in ("postal_address", "gateway_networks"):
            if name in self.fields:
                self.fields[name].widget.attrs["rows"] = 4
        if "language" in self.fields:
            usual_language = dict(settings.LANGUAGES)[environment.language]
            choices = [("", from_configuration(usual_language)), *settings.LANGUAGES]
            self.fields["language"].choices = choices  # type: ignore[attr-defined]
        if "tracking" in self.fields:
            levels = SiteSettings.TrackingLevel
            usual_level = _("Not decided (off for now)")
            if settings.TRACKING_LEVEL:
                usual_level = from_configuration(levels(environment.tracking).label)
            self.fields["tracking"].choices = [("", usual_level), *levels.choices]  # type: ignore[attr-defined]
            if site().tracking == PERSONAL:
                lost = _(
                    "A lower level spoils the past: segments will never know who did not open or click campaigns that"
                    " began before, even if you choose Personal again."
                )
                self.fields["tracking"].help_text = f"{self.fields['tracking'].help_text} {lost}"

    @property
    def time_zone_names(self) -> tuple[str, ...]:
        """The suggestions of the field for the time zone, which also accepts other spellings."""
        return time_zones.names()

    def clean_time_zone(self) -> str:
        text = self.cleaned_data["time_zone"].strip()
        if not text:
            return ""
        name = time_zones.spelled(text)
        if name is None:
            said = _("“%(text)s” is not a time zone. Choose one from the list, e.g. Europe/Berlin.")
            raise forms.ValidationError(said % {"text": text})
        return name

    def clean_alert_address(self) -> str:
        text: str = self.cleaned_data["alert_address"].strip()
        if not text:
            return ""
        try:
            return parse_mailbox(text).address
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from error

    def clean_gateway_networks(self) -> str:
        text: str = self.cleaned_data["gateway_networks"]
        for number, line in enumerate(text.splitlines(), 1):
            try:
                Networks([line])
            except ValueError as error:
                said = _(
                    "Line %(line)s isn't a network: “%(text)s”. Write its first address and size, e.g. %(example)s."
                )
                values = {"line": number, "text": line.strip()[:SHOWN_CHARACTERS], "example": "192.0.2.0/24"}
                raise forms.ValidationError(said % values) from error
        return text.strip()
