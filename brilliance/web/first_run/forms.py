"""The forms of the first run: the organisation, and a list with its first people."""

from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from adminpages.text_fields import RefusesControls
from brilliance.web.first_run import people
from contacts.models import ContactList
from contacts.transfer.csv_file import CsvRefused, look
from installation.forms import SiteSettingsForm
from installation.models import SiteSettings
from words.texts import translated

# Counting by name is never a first choice: it needs people's consent.
OFF, ANONYMOUS = SiteSettings.TrackingLevel.OFF, SiteSettings.TrackingLevel.ANONYMOUS
CONSENT_CHARACTERS = 300
PASTED_CHARACTERS = 1_000_000

TAKEN = _("A list has this name already. Choose another name.")


class OrganisationForm(SiteSettingsForm):
    tracking = forms.ChoiceField(
        label=_("Count opens and clicks?"),
        required=False,
        help_text=_("Counting people by name needs their consent. You can allow it later in Settings."),
        widget=UnfoldAdminSelectWidget,
    )

    class Meta(SiteSettingsForm.Meta):
        model = SiteSettings
        fields = ["organisation", "postal_address", "time_zone", "language", "tracking"]
        widgets = {
            "organisation": UnfoldAdminTextInputWidget({"autocomplete": "organization", "autofocus": True}),
            "postal_address": UnfoldAdminTextareaWidget,
            "language": UnfoldAdminSelectWidget,
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        for name in ("organisation", "postal_address"):
            self.fields[name].required = True
            self.fields[name].help_text = SiteSettings._meta.get_field(name).help_text  # type: ignore[union-attr]
            self.fields[name].widget.attrs.pop("placeholder", None)
        tracking: Any = self.fields["tracking"]
        tracking.choices = [
            choice for choice in tracking.choices if choice[0] in ("", OFF, ANONYMOUS, self.instance.tracking)
        ]


class PeopleForm(RefusesControls, forms.Form):
    """A new list, and who comes onto it: pasted addresses, a file, or the user alone."""

    name = forms.CharField(label=_("Name of the list"), max_length=150, widget=UnfoldAdminTextInputWidget)
    pasted = forms.CharField(
        label=_("Paste addresses"),
        required=False,
        max_length=PASTED_CHARACTERS,
        help_text=_("One per line, e.g. Ann Lee <ann@example.com>, or address and name from a spreadsheet."),
        widget=UnfoldAdminTextareaWidget({"rows": 5}),
    )
    file = forms.FileField(
        label=_("CSV file"),
        required=False,
        help_text=_("Instead of pasting. You choose next what its columns mean."),
        widget=UnfoldAdminFileFieldWidget({"accept": ".csv,.txt,.tsv,text/csv"}),
    )
    consent = forms.CharField(
        label=_("How did they agree?"),
        max_length=CONSENT_CHARACTERS,
        error_messages={"required": _("Say how these people agreed. Without consent nobody comes onto a list.")},
        help_text=_("E.g. “Ticked the newsletter box in our shop, spring 2026”. Saved in their consent history."),
        widget=UnfoldAdminTextInputWidget,
    )

    def __init__(self, *args: Any, only_me: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self._only_me = only_me
        self.fields["consent"].required = not only_me
        self.initial.setdefault("name", gettext("Newsletter"))

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if ContactList.objects.filter(name__iexact=name).exists():
            raise forms.ValidationError(TAKEN)
        return name

    def clean_file(self) -> "UploadedFile[bytes] | None":
        upload: UploadedFile[bytes] | None = self.cleaned_data["file"]
        if upload is not None and not self._only_me:
            try:
                self.layout = look(upload.file)  # type: ignore[arg-type]  # Django's uploads are binary files.
            except CsvRefused as error:
                raise forms.ValidationError(translated(error)) from error
        return upload

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if self._only_me or set(self.errors) - {"consent"}:
            return cleaned
        pasted, upload = self.cleaned_data["pasted"].strip(), self.cleaned_data["file"]
        if bool(pasted) == (upload is not None):
            self.add_error("pasted", gettext("Paste addresses or choose a file, one of them."))
        elif pasted and not (rows := people.read(pasted)):
            self.add_error("pasted", gettext("Paste at least one email address."))
        elif pasted:
            self.rows = rows
        return cleaned
