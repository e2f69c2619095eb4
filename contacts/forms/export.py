"""The form of the contact export."""

from django import forms
from unfold.widgets import UnfoldAdminSelectWidget

from contacts.models import ContactList, Segment


class ExportForm(forms.Form):
    """Selects the contacts to export."""

    list = forms.ModelChoiceField(
        ContactList.objects.all(),
        required=False,
        label="List",
        empty_label="All contacts",
        widget=UnfoldAdminSelectWidget,
    )
    segment = forms.ModelChoiceField(
        Segment.objects.all(),
        required=False,
        label="Segment",
        empty_label="No segment",
        widget=UnfoldAdminSelectWidget,
    )
    only_mailable = forms.BooleanField(required=False, label="Exclude unsubscribed and suppressed")
