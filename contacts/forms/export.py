"""The form of the contact export."""

from django import forms
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget

from adminpages.text_fields import RefusesControls
from contacts.models import ContactList, Segment


class ExportForm(RefusesControls, forms.Form):
    """Selects the contacts to export."""

    list = forms.ModelChoiceField(
        ContactList.objects.all(),
        required=False,
        label=_("List"),
        empty_label=_("All contacts"),
        widget=UnfoldAdminSelectWidget,
    )
    segment = forms.ModelChoiceField(
        Segment.objects.all(),
        required=False,
        label=_("Segment"),
        empty_label=_("No segment"),
        widget=UnfoldAdminSelectWidget,
    )
    only_mailable = forms.BooleanField(required=False, label=_("Exclude unsubscribed and suppressed"))
