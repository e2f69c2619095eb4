"""What people type about people: suppressions, uploads and exports. A contact's own form is contacts.person_forms."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from contacts.csvfiles import MOST_BYTES, FileRefused, check
from contacts.models import ContactImport, ContactList, Suppression
from contacts.person_forms import checked_address
from mail.addresses import fold

if TYPE_CHECKING:
    SuppressionModelForm = forms.ModelForm[Suppression]
    ImportModelForm = forms.ModelForm[ContactImport]
else:
    SuppressionModelForm = ImportModelForm = forms.ModelForm


class SuppressionForm(SuppressionModelForm):
    class Meta:
        model = Suppression
        fields = ["email", "reason", "source"]

    def clean_email(self) -> str:
        email = checked_address(self.cleaned_data["email"])
        known = Suppression.objects.filter(email_key=fold(email)).first()
        if known:
            raise forms.ValidationError(
                f"{email} has been suppressed since {known.created_at:%d %B %Y}; nothing is sent to it."
            )
        return email


class ImportForm(ImportModelForm):
    """A file, and the list its people go to: one that is there, or a new one."""

    file = forms.FileField(
        label="CSV file",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        help_text="The first row names the columns. A column called email is needed; first_name, last_name and"
        " language are understood, and every other column becomes a custom attribute.",
    )
    list = forms.ModelChoiceField(
        ContactList.objects.all(),
        required=False,
        label="Add to list",
        empty_label="Select a list",
        widget=UnfoldAdminSelectWidget,
    )
    new_list = forms.CharField(
        required=False,
        max_length=150,
        label="Or to a new list named",
        widget=UnfoldAdminTextInputWidget,
        help_text="Import only people who agreed to get this mail. People who unsubscribed stay unsubscribed.",
    )

    class Meta:
        model = ContactImport
        fields = ["list"]

    def clean_file(self) -> "UploadedFile[bytes]":
        upload: UploadedFile[bytes] = self.cleaned_data["file"]
        if (upload.size or 0) > MOST_BYTES:
            raise forms.ValidationError(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB; split it.")
        try:
            check(upload.file)  # type: ignore[arg-type]  # Django's uploads are binary files.
        except FileRefused as error:
            raise forms.ValidationError(str(error)) from None
        return upload

    def clean_new_list(self) -> str:
        name: str = self.cleaned_data["new_list"]
        if name and ContactList.objects.filter(name=name).exists():
            raise forms.ValidationError(f"There is a list named “{name}” already; select it above.")
        return name

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "new_list" in cleaned and bool(cleaned.get("list")) == bool(cleaned["new_list"]):
            self.add_error("list", "Select a list, or name a new one: one of the two.")
        return cleaned


class ExportForm(forms.Form):
    """Whose rows the exported file has."""

    list = forms.ModelChoiceField(
        ContactList.objects.all(),
        required=False,
        label="Of which list",
        empty_label="Everyone, with or without a list",
        widget=UnfoldAdminSelectWidget,
    )
    only_mailable = forms.BooleanField(required=False, label="Leave out who unsubscribed or is suppressed")
