"""What people type about people: suppressions and exports. A contact's own form is contacts.person_forms."""

from typing import TYPE_CHECKING

from django import forms
from unfold.widgets import (
    UnfoldAdminSelectWidget,
)

from contacts.models import ContactList, Suppression
from contacts.person_forms import checked_address
from mail.addresses import fold

if TYPE_CHECKING:
    SuppressionModelForm = forms.ModelForm[Suppression]
else:
    SuppressionModelForm = forms.ModelForm


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
