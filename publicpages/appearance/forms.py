"""The form of the appearance: readable colours, and a safe logo."""

from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminFileFieldWidget, UnfoldBooleanSwitchWidget

from adminpages.text_fields import RefusesControls
from publicpages.appearance.contrast import ColourInvalid, check_accent
from publicpages.appearance.logo import MOST_BYTES, LogoInvalid, check_logo
from publicpages.models import Appearance
from words.texts import translated


class AppearanceForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    new_logo = forms.FileField(
        label=_("Logo"),
        required=False,
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": "image/png,image/jpeg,image/webp"}),
        help_text=format_lazy(_("PNG, JPEG or WebP up to {} KB. Shown up to 64 pixels high."), MOST_BYTES // 1024),
    )
    without_logo = forms.BooleanField(label=_("Remove logo"), required=False, widget=UnfoldBooleanSwitchWidget)

    class Meta:
        model = Appearance
        fields = ["name", "accent", "postal_address", "imprint_url", "privacy_url"]

    def clean_accent(self) -> str:
        try:
            return check_accent(self.cleaned_data["accent"])
        except ColourInvalid as error:
            raise forms.ValidationError(translated(error)) from error

    def clean_new_logo(self) -> tuple[bytes, str] | None:
        upload = self.cleaned_data["new_logo"]
        if not upload:
            return None
        content = upload.read(MOST_BYTES + 1)
        try:
            return content, check_logo(content)
        except LogoInvalid as error:
            raise forms.ValidationError(translated(error)) from error

    def save(self, commit: bool = True) -> Any:
        if self.cleaned_data.get("without_logo"):
            self.instance.logo, self.instance.logo_type = None, ""
        if new := self.cleaned_data.get("new_logo"):
            self.instance.logo, self.instance.logo_type = new
        return super().save(commit)
