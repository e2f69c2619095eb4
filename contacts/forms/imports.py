"""The forms of an import: the file, and the mapping of its columns."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.files.uploadedfile import UploadedFile
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelect2MultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from contacts.models import Attribute, ContactImport, ContactList
from contacts.transfer.columns import ATTRIBUTE, FIELDS, MappingInvalid, check_mapping, describe, new_name, propose
from contacts.transfer.csv_file import DELIMITERS, ENCODINGS, CsvLayout, CsvRefused, CsvRow, look

FOUND = "Detect automatically"
CONSENT_CHARACTERS = 300


class ImportUploadForm(forms.Form):
    """A file, and its delimiter and encoding if detection fails. A valid form has the detected ``layout``."""

    file = forms.FileField(
        label="CSV file",
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        help_text="Up to 200 MB, with column names in the first row. You choose what each column means on the next"
        " page.",
    )
    delimiter = forms.ChoiceField(
        choices=[("", FOUND), *DELIMITERS.items()],
        required=False,
        label="Delimiter",
        widget=UnfoldAdminSelectWidget,
    )
    encoding = forms.ChoiceField(
        choices=[("", FOUND), *ENCODINGS.items()], required=False, label="Encoding", widget=UnfoldAdminSelectWidget
    )
    layout: CsvLayout

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        upload: UploadedFile[bytes] | None = cleaned.get("file")
        if upload is not None and not self.errors:
            try:
                self.layout = look(upload.file, cleaned["encoding"], cleaned["delimiter"])  # type: ignore[arg-type]  # Django's uploads are binary files.
            except CsvRefused as error:
                self.add_error("file", str(error))
        return cleaned


class ReadingForm(forms.Form):
    """The delimiter and encoding of a stored file."""

    delimiter = forms.ChoiceField(choices=list(DELIMITERS.items()), label="Delimiter", widget=UnfoldAdminSelectWidget)
    encoding = forms.ChoiceField(choices=list(ENCODINGS.items()), label="Encoding", widget=UnfoldAdminSelectWidget)


class MappingForm(forms.Form):
    """The mapping of the columns, the target lists, and the policy for known people.

    :param remembered: the mapping of an earlier file with the same headings.
    """

    lists = forms.ModelMultipleChoiceField(
        ContactList.objects.all(), required=False, label="Add to lists", widget=UnfoldAdminSelect2MultipleWidget
    )
    new_list = forms.CharField(
        required=False,
        max_length=150,
        label="New list",
        help_text="Creates a list with this name.",
        widget=UnfoldAdminTextInputWidget,
    )
    consent = forms.CharField(
        required=False,
        max_length=CONSENT_CHARACTERS,
        label="How did they agree?",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text="Required to add people to a list, e.g. “Ticked the newsletter box in our shop, spring 2026”. Saved"
        " with"
        " your name in each person's consent history.",
    )
    policy = forms.ChoiceField(
        choices=[
            (ContactImport.Policy.FILL, "Only fill in empty fields"),
            (ContactImport.Policy.OVERWRITE, "Overwrite with values from the file (empty cells are ignored)"),
            (ContactImport.Policy.SKIP, "Leave unchanged"),
        ],
        initial=ContactImport.Policy.FILL,
        label="Existing contacts",
        widget=UnfoldAdminSelectWidget,
        help_text="Unsubscribed and suppressed people never get mail again, whatever you choose.",
    )

    date_order = forms.ChoiceField(
        choices=[
            ("", "Skip and list them"),
            (ContactImport.DateOrder.DAY_FIRST, "3 April (day first)"),
            (ContactImport.DateOrder.MONTH_FIRST, "4 March (month first)"),
        ],
        required=False,
        label="Dates such as 03/04/2026",
        widget=UnfoldAdminSelectWidget,
        help_text="Only for columns imported as dates. 2026-04-03 and 3.4.2026 always work.",
    )

    def __init__(
        self,
        *args: Any,
        layout: CsvLayout,
        rows: Sequence[CsvRow],
        remembered: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.layout = layout
        self.rows = rows
        labels = dict(Attribute.objects.values_list("name", "label"))
        proposed = remembered if remembered and len(remembered) == len(layout.headings) else None
        proposed = proposed or propose(layout.headings, labels, [row.cells for row in rows if not row.problem])
        before = (target for target in remembered or () if target.startswith(ATTRIBUTE))
        self.known = {*labels, *(target.removeprefix(ATTRIBUTE) for target in before)}
        for position, (heading, target) in enumerate(zip(layout.headings, proposed, strict=True)):
            self.fields[f"column_{position}"] = forms.ChoiceField(
                choices=_choices(labels, heading, position, target),
                initial=target,
                required=False,
                label=heading or f"Column {position + 1}",
                widget=UnfoldAdminSelectWidget,
            )

    def columns(self) -> list[dict[str, Any]]:
        """Return each column for the page: its form field and the cells of the first rows."""
        return [
            {
                "field": self[f"column_{position}"],
                "heading": heading or f"Column {position + 1}",
                "cells": [row.cells[position] for row in self.rows if position < len(row.cells) and not row.problem],
            }
            for position, heading in enumerate(self.layout.headings)
        ]

    def clean_new_list(self) -> str:
        name: str = self.cleaned_data["new_list"]
        if name and ContactList.objects.filter(name=name).exists():
            raise forms.ValidationError(f"A list named “{name}” already exists. Select it above.")
        return name

    def clean_consent(self) -> str:
        return " ".join(self.cleaned_data["consent"].split())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        mapping = [cleaned.get(f"column_{position}", "") for position in range(len(self.layout.headings))]
        try:
            check_mapping(mapping, len(self.layout.headings), self.known)
        except MappingInvalid as error:
            raise forms.ValidationError(str(error)) from None
        email_at = mapping.index("email")
        cells = [row.cells[email_at] for row in self.rows if email_at < len(row.cells)]
        if cells and not any("@" in cell or "＠" in cell for cell in cells):
            self.add_error(f"column_{email_at}", "The first rows contain no address. Choose another column.")
        if (cleaned.get("lists") or cleaned.get("new_list")) and not cleaned.get("consent"):
            self.add_error(
                "consent", "Describe how these people gave consent. It's required for adding them to a list."
            )
        return {**cleaned, "mapping": mapping}


def _choices(labels: dict[str, str], heading: str, position: int, target: str) -> list[Any]:
    """Return the choices for a column: standard fields, defined attributes, a new attribute, or nothing."""
    defined = [(ATTRIBUTE + name, label or name) for name, label in labels.items()]
    new = ATTRIBUTE + new_name(heading, position)
    chosen = {new, target if target.startswith(ATTRIBUTE) else new}
    fresh = [(each, f"New attribute: {describe(each)}") for each in sorted(chosen) if each not in dict(defined)]
    return [
        ("", "Don't import"),
        ("Standard fields", list(FIELDS.items())),
        *([("Attributes", defined)] if defined else []),
        *([("New", fresh)] if fresh else []),
    ]
