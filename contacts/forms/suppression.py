"""The forms of suppressions: add one, import a file, export, lift."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q, QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from adminpages.instants import day
from adminpages.text_fields import RefusesControls
from contacts.consent import changes, suppressed
from contacts.models import Suppression
from contacts.transfer.import_suppressions import MOST_BYTES
from contacts.transfer.suppression_row import read_what
from mail.addresses import AddressInvalid, fold
from words.texts import translated

if TYPE_CHECKING:
    SuppressionModelForm = forms.ModelForm[Suppression]
else:
    SuppressionModelForm = forms.ModelForm


class SuppressionForm(RefusesControls, SuppressionModelForm):
    now: dt.datetime  # Set by the caller.

    class Meta:
        model = Suppression
        fields = ["email", "reason", "source", "expires_at"]
        labels = {"email": _("Address or domain")}
        help_texts = {"email": _("E.g. ann@example.com, or @example.com for everyone at exactly that domain.")}

    def clean_email(self) -> str:
        try:
            return read_what(self.cleaned_data["email"])
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        until: dt.datetime | None = cleaned.get("expires_at")
        if until is not None and until <= self.now:
            self.add_error("expires_at", gettext("This date is in the past. Choose a later one or leave it empty."))
        if self.errors:
            return cleaned
        email: str = cleaned["email"]
        present = Suppression.objects.filter(email_key=fold(email)).first()
        if present and not changes.gives_way(present, cleaned["reason"], until, self.now):
            self.add_error(
                "email",
                gettext("%(email)s has been suppressed since %(day)s.")
                % {"email": email, "day": day(present.created_at)},
            )
        return cleaned


class SuppressionFileForm(RefusesControls, forms.Form):
    file = forms.FileField(
        label=_("CSV file"),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        help_text=_(
            "The first row names the columns: email or domain, and optionally reason, source and expires"
            " (e.g. 2027-03-31). A plain list of addresses needs no headings."
        ),
    )
    reason = forms.ChoiceField(
        label=_("Default reason"),
        choices=Suppression.Reason.choices,
        initial=Suppression.Reason.MANUAL,
        widget=UnfoldAdminSelectWidget,
    )

    def clean_file(self) -> "UploadedFile[bytes]":
        upload: UploadedFile[bytes] = self.cleaned_data["file"]
        if (upload.size or 0) > MOST_BYTES:
            raise forms.ValidationError(
                gettext("The file is larger than %(megabytes)s MB. Split it.")
                % {"megabytes": MOST_BYTES // 1024 // 1024}
            )
        return upload


class SuppressionExportForm(RefusesControls, forms.Form):
    which = forms.ChoiceField(
        label=_("Suppressions"),
        choices=[("holding", _("Active")), ("all", _("All, including expired"))],
        widget=UnfoldAdminSelectWidget,
    )
    reason = forms.ChoiceField(
        label=_("Reason"),
        required=False,
        choices=[("", _("Any reason")), *Suppression.Reason.choices],
        widget=UnfoldAdminSelectWidget,
    )

    def chosen(self, now: dt.datetime) -> QuerySet[Suppression]:
        """Return the selected suppressions; the form must be valid."""
        which = suppressed.active(now) if self.cleaned_data["which"] == "holding" else Q()
        reason = self.cleaned_data["reason"]
        return Suppression.objects.filter(which, **({"reason": reason} if reason else {}))


class LiftForm(RefusesControls, forms.Form):
    """The reason for lifting some suppressions, which have to be the ones that the page showed."""

    why = forms.CharField(
        label=_("Reason"),
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("Saved with your name and the time, e.g. “Mailbox works again, she wrote on 3 March”."),
    )

    def __init__(self, suppressions: Iterable[Suppression], sent: Mapping[str, Any] | None) -> None:
        super().__init__(sent, label_suffix="")
        shown = sorted((each.pk, each.reason, each.created_at.isoformat()) for each in suppressions)
        self.shown = hashlib.blake2b(repr(shown).encode(), digest_size=12).hexdigest()  # Sent back as ``shown``.

    def clean(self) -> dict[str, Any] | None:
        if self.data.get("shown") != self.shown:
            raise forms.ValidationError(
                gettext(
                    "These suppressions changed while you had the page open, so nothing was lifted. Check them again."
                )
            )
        return super().clean()
