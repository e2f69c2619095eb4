"""The form of the contact export."""

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget

from contacts.models import ContactList, Segment


class ExportForm(forms.Form):
    """Selects the contacts to export."""

    list = forms.ModelChoiceField(
        ContactList.objects.all(),
        required=False,
        label="Of which list",
        empty_label="Everyone, with or without a list",
        widget=UnfoldAdminSelectWidget,
    )
    segment = forms.ModelChoiceField(
        Segment.objects.all(),
        required=False,
        label="Of which segment",
        empty_label="Any, or none",
        widget=UnfoldAdminSelectWidget,
    )
    only_mailable = forms.BooleanField(required=False, label="Leave out who unsubscribed or is suppressed")
