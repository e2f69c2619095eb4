"""The form of the settings. Each field says which value holds while it is empty."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget

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


def time_zone_choices() -> list[tuple[str, str]]:
    usual = from_configuration(from_environment().time_zone)
    return [("", usual), ("UTC", "UTC"), *((name, name) for name in time_zones.inhabited())]


def _keep_choice(field: Any, stored: str) -> None:
    """Offer the stored time zone too, if it is a name without a place, such as CET."""
    if stored not in dict(field.choices):
        field.choices = [*time_zone_choices(), (stored, stored)]


class SiteSettingsForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        required=False,
        choices=time_zone_choices,
        help_text=gettext_lazy("Times on pages and days in reports use this zone."),
        widget=UnfoldAdminSelectWidget,
    )

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
            _keep_choice(self.fields["time_zone"], self.instance.time_zone)
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
