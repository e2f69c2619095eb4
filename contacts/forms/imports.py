"""The forms of an import: the file, and the mapping of its columns."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from django import forms
from django.conf import settings
from django.conf.locale import LANG_INFO
from django.core.files.uploadedfile import UploadedFile
from django.http import QueryDict
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminFileFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from adminpages.text_fields import RefusesControls
from contacts.attributes.rules import likely_consent, likely_kind
from contacts.forms.contact import checked_new_list
from contacts.models import Attribute, ContactImport, ContactList
from contacts.transfer.columns import (
    ATTRIBUTE,
    COUNTED,
    FIELDS,
    MappingInvalid,
    check_mapping,
    describe,
    new_name,
    propose,
)
from contacts.transfer.contact_row import fold_value
from contacts.transfer.csv_file import UTF8, CsvLayout, CsvRefused, CsvRow, look
from contacts.transfer.reasons import LONGEST_VALUE, Reason
from words import time_zones
from words.texts import translated

FOUND = _("Detect automatically")
# The names of what contacts.transfer.csv_file reads.
DELIMITER_NAMES = {
    ",": _("Comma ,"),
    ";": _("Semicolon ;"),
    "\t": _("Tab"),
    "|": _("Vertical bar |"),
    ":": _("Colon :"),
    "^": _("Caret ^"),
    "~": _("Tilde ~"),
    "#": _("Hash #"),
    "\x1f": _("Unit separator (0x1F)"),
}
# Windows-1252 extends Latin-1 by the characters that Excel uses.
ENCODING_NAMES = {
    UTF8: _("UTF-8"),
    "utf-16": _("UTF-16"),
    "utf-16-le": _("UTF-16 LE without mark"),
    "utf-16-be": _("UTF-16 BE without mark"),
    "cp1252": _("Windows-1252 / Latin-1 (Western Europe)"),
    "cp1250": _("Windows-1250 (Central Europe)"),
    "cp1251": _("Windows-1251 (Cyrillic)"),
    "mac-roman": _("Mac OS Roman"),
    "shift_jis": _("Shift JIS (Japanese)"),
}
CONSENT_CHARACTERS = 300
# The fields with a few valid values; of each so many unknown cells are asked about, the most frequent first.
CLOSED = ("time_zone", "language")
MOST_ASKED = 20
MOST_KEPT = 600  # Values of one field that are kept for the next visit: lists, and answers.


class ImportUploadForm(RefusesControls, forms.Form):
    """A file, and its delimiter and encoding if detection fails. A valid form has the detected ``layout``."""

    file = forms.FileField(
        label=_("CSV file"),
        widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv,.tsv,.txt,text/csv"}),
        help_text=_(
            "Up to 200 MB, with column names in the first row. You choose what each column means on the next page."
        ),
    )
    delimiter = forms.ChoiceField(
        choices=[("", FOUND), *DELIMITER_NAMES.items()],
        required=False,
        label=_("Delimiter"),
        widget=UnfoldAdminSelectWidget,
    )
    encoding = forms.ChoiceField(
        choices=[("", FOUND), *ENCODING_NAMES.items()],
        required=False,
        label=_("Encoding"),
        widget=UnfoldAdminSelectWidget,
    )
    layout: CsvLayout

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        upload: UploadedFile[bytes] | None = cleaned.get("file")
        if upload is not None and not self.errors:
            try:
                self.layout = look(upload.file, cleaned["encoding"], cleaned["delimiter"])  # type: ignore[arg-type]  # Django's uploads are binary files.
            except CsvRefused as error:
                self.add_error("file", translated(error))
        return cleaned


class ReadingForm(RefusesControls, forms.Form):
    """The delimiter and encoding of a stored file."""

    delimiter = forms.ChoiceField(
        choices=list(DELIMITER_NAMES.items()), label=_("Delimiter"), widget=UnfoldAdminSelectWidget
    )
    encoding = forms.ChoiceField(
        choices=list(ENCODING_NAMES.items()), label=_("Encoding"), widget=UnfoldAdminSelectWidget
    )


class Question(NamedTuple):
    """An unknown time zone or language of the file, and the answer so far."""

    target: str
    value: str
    meaning: str  # A name of a time zone, or the code of a language; empty: skip it.
    cells: int = 0  # Cells that say so; 0: not counted.
    error: str = ""  # What is wrong with the meaning.


class MappingForm(RefusesControls, forms.Form):
    """The mapping of the columns, the target lists, the policy for known people, and the meaning of unknown values.

    :param remembered: the last import of a file with the same headings.
    :param kept: what was chosen on an earlier visit of the page, by field.
    """

    lists = forms.ModelMultipleChoiceField(
        ContactList.objects.all(),
        required=False,
        label=_("Add to lists"),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
    )
    new_list = forms.CharField(
        required=False,
        max_length=150,
        label=_("New list"),
        help_text=_("Creates a list with this name."),
        widget=UnfoldAdminTextInputWidget,
    )
    consent = forms.CharField(
        required=False,
        max_length=CONSENT_CHARACTERS,
        label=_("How did they agree?"),
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
        help_text=_(
            "Required to add people to a list or to count them by name, e.g. “Ticked the newsletter box in our shop,"
            " spring 2026”. Saved with your name in each person's consent history."
        ),
    )
    policy = forms.ChoiceField(
        choices=[
            (ContactImport.Policy.FILL, _("Only fill in empty fields")),
            (ContactImport.Policy.OVERWRITE, _("Overwrite with values from the file (empty cells are ignored)")),
            (ContactImport.Policy.SKIP, _("Leave unchanged")),
        ],
        initial=ContactImport.Policy.FILL,
        label=_("Existing contacts"),
        widget=UnfoldAdminSelectWidget,
        help_text=_(
            "Whatever you choose, an import never brings back people who unsubscribed or are suppressed, and never"
            " counts people by name who refused."
        ),
    )

    date_order = forms.ChoiceField(
        choices=[
            ("", _("Skip and list them")),
            (ContactImport.DateOrder.DAY_FIRST, _("3 April (day first)")),
            (ContactImport.DateOrder.MONTH_FIRST, _("4 March (month first)")),
        ],
        required=False,
        label=_("Dates such as 03/04/2026"),
        widget=UnfoldAdminSelectWidget,
        help_text=_("Only for columns imported as dates. 2026-04-03 and 3.4.2026 always work."),
    )

    def __init__(
        self,
        *args: Any,
        layout: CsvLayout,
        rows: Sequence[CsvRow],
        remembered: ContactImport | None = None,
        kept: Mapping[str, Sequence[str]] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.layout = layout
        self.rows = rows
        self._kept = kept or {}
        self._remembered_meanings: dict[str, dict[str, str]] = remembered.meanings if remembered else {}
        before: Sequence[str] = remembered.mapping if remembered else ()
        self.labels = dict(Attribute.objects.values_list("name", "label"))
        proposed = before if len(before) == len(layout.headings) else None
        proposed = proposed or propose(layout.headings, self.labels, [row.cells for row in rows if not row.problem])
        names_before = (target.removeprefix(ATTRIBUTE) for target in before if target.startswith(ATTRIBUTE))
        self.known = {*self.labels, *names_before}
        self._new_targets: list[list[str]] = []  # By column: the choices that define a new attribute.
        for position, (heading, target) in enumerate(zip(layout.headings, proposed, strict=True)):
            label = _heading(heading, position)
            new = _new_targets(self.labels, heading, position, target)
            self._new_targets.append(new)
            self.fields[f"column_{position}"] = forms.ChoiceField(
                choices=_choices(self.labels, new),
                initial=target,
                required=False,
                label=label,
                widget=UnfoldAdminSelectWidget,
            )
            self.fields[f"kind_{position}"] = forms.ChoiceField(
                choices=[each for each in Attribute.Kind.choices if each[0] != Attribute.Kind.CHOICE],
                initial=likely_kind(self._cells(position)),
                required=False,
                widget=UnfoldAdminSelectWidget(attrs={"aria-label": gettext("Kind of %(column)s") % {"column": label}}),
            )
        self._ask_whom_to_subscribe(remembered, proposed)
        for name, values in self._kept.items():
            if name in self.fields and values:
                is_several = isinstance(self.fields[name], forms.ModelMultipleChoiceField)
                self.initial[name] = list(values) if is_several else values[-1]

    def _ask_whom_to_subscribe(self, remembered: ContactImport | None, proposed: Sequence[str]) -> None:
        """Ask it if a column says yes and no, and propose one that is about consent.

        Who agreed to be counted has not agreed to get mail.
        """
        about_consent, offered = [], []
        for position, heading in enumerate(self.layout.headings):
            if proposed[position] in COUNTED:
                continue
            cells = self._cells(position)
            if likely_consent(heading, cells):
                about_consent.append(position)
            elif likely_kind(cells) != Attribute.Kind.BOOLEAN:
                continue
            offered.append(position)
        if not offered:
            return
        words = gettext("Only rows where “%(column)s” says yes")
        columns = [(at, words % {"column": _heading(self.layout.headings[at], at)}) for at in offered]
        initial = remembered.subscribes_by if remembered else next(iter(about_consent), None)
        self.fields["subscribes_by"] = forms.TypedChoiceField(
            choices=[("", _("Everyone in the file")), *columns],
            coerce=int,
            empty_value=None,
            required=False,
            initial=initial,
            label=_("People to subscribe"),
            widget=UnfoldAdminSelectWidget,
            help_text=_(
                "Rows that say no, or nothing, come in as contacts and aren't added to the lists. One no is enough for"
                " all rows of a person."
            ),
        )

    def _cells(self, position: int) -> list[str]:
        return [row.cells[position] for row in self.rows if position < len(row.cells) and not row.problem]

    def columns(self) -> list[dict[str, Any]]:
        """Return each column for the page: its form fields and the cells of the first rows."""
        return [
            {
                "field": self[f"column_{position}"],
                "kind": self[f"kind_{position}"],
                "new": self._new_targets[position],
                "heading": _heading(heading, position),
                "cells": self._cells(position),
            }
            for position, heading in enumerate(self.layout.headings)
        ]

    def to_keep(self) -> dict[str, list[str]]:
        """Return what was chosen and typed, valid or not, of bounded size."""
        names = [*self.fields, "unknown", "meaning"]
        assert isinstance(self.data, QueryDict)
        return {
            name: [value[:CONSENT_CHARACTERS] for value in self.data.getlist(name)[:MOST_KEPT]]
            for name in names
            if name in self.data
        }

    # --- unknown values

    @property
    def was_asked(self) -> bool:
        """Whether the page asked what unknown time zones and languages mean."""
        return "asked" in self.data

    def answers(self) -> list[Question]:
        """Return the questions that came back with the form, or were kept, each with what is wrong with its answer."""
        given = dict(self.data.lists()) if isinstance(self.data, QueryDict) else self._kept
        pairs = zip(given.get("unknown", ()), given.get("meaning", ()), strict=False)
        found = []
        for name, meaning in list(pairs)[: MOST_ASKED * len(CLOSED)]:
            target, _colon, value = name.partition(":")
            if target in CLOSED and value.isprintable() and 0 < len(value) < LONGEST_VALUE:
                question = Question(target, value, meaning.strip())
                found.append(question._replace(error=_wrong_meaning(question)))
        return found

    def has_wrong_answers(self) -> bool:
        """Return whether an answer has to be corrected before the import; a trial run skips the values it is about."""
        return any(each.error for each in self.answers())

    def questions(self, reasons: Sequence[Reason]) -> list[Question]:
        """Return what is asked about unknown values: what came back, and what ``reasons`` count besides."""
        asked = self.answers()
        answered = {(each.target, fold_value(each.value)): position for position, each in enumerate(asked)}
        for target in CLOSED:
            room = MOST_ASKED - sum(each.target == target for each in asked)
            for reason in reasons:
                if reason.key != target or not reason.value or len(reason.value) >= LONGEST_VALUE:
                    continue
                position = answered.get((target, fold_value(reason.value)))
                if position is not None:
                    asked[position] = asked[position]._replace(cells=reason.left_out)
                elif room > 0:
                    room -= 1
                    meaning = self._likely_meaning(target, reason.value)
                    asked.append(Question(target, reason.value, meaning, reason.left_out))
        return asked

    def _likely_meaning(self, target: str, value: str) -> str:
        before = self._remembered_meanings.get(target, {}).get(fold_value(value))
        return before or (_likely_language(value) if target == "language" else time_zones.likely(value))

    # --- checks

    def clean_new_list(self) -> str:
        return checked_new_list(self.cleaned_data["new_list"])

    def clean_consent(self) -> str:
        return " ".join(self.cleaned_data["consent"].split())

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        positions = range(len(self.layout.headings))
        mapping = [cleaned.get(f"column_{position}", "") for position in positions]
        try:
            check_mapping(mapping, len(self.layout.headings), self.known)
        except MappingInvalid as error:
            raise forms.ValidationError(translated(error)) from None
        email_at = mapping.index("email")
        cells = [row.cells[email_at] for row in self.rows if email_at < len(row.cells)]
        if cells and not any("@" in cell or "＠" in cell for cell in cells):
            self.add_error(f"column_{email_at}", gettext("The first rows contain no address. Choose another column."))
        has_lists, has_consents = cleaned.get("lists") or cleaned.get("new_list"), not set(mapping).isdisjoint(COUNTED)
        if has_consents and not cleaned.get("consent"):
            self.add_error(
                "consent",
                gettext(
                    "Describe how these people agreed to be counted, or don't import “Count opens” and “Count clicks”."
                ),
            )
        elif has_lists and not cleaned.get("consent"):
            self.add_error(
                "consent",
                gettext("Describe how these people gave consent. It's required for adding them to a list."),
            )
        if cleaned.get("consent") and not has_lists and not has_consents and not self.errors:
            self.add_error(
                "lists",
                gettext(
                    "Choose a list or name a new one: people on no list get no campaigns. To import them without one,"
                    " empty “How did they agree?”."
                ),
            )
        kinds = {
            mapping[position].removeprefix(ATTRIBUTE): cleaned.get(f"kind_{position}") or Attribute.Kind.TEXT
            for position in positions
            if mapping[position].startswith(ATTRIBUTE) and mapping[position].removeprefix(ATTRIBUTE) not in self.labels
        }
        return {**cleaned, "mapping": mapping, "kinds": kinds, "meanings": self._clean_meanings()}

    def _clean_meanings(self) -> dict[str, dict[str, str]]:
        meanings: dict[str, dict[str, str]] = {}
        for question in self.answers():
            if meaning := _meaning(question):
                meanings.setdefault(question.target, {})[fold_value(question.value)] = meaning
        return meanings


def _meaning(question: Question) -> str:
    """Return the answer as it is stored; empty for none and for a wrong one."""
    if question.target == "time_zone":
        return time_zones.spelled(question.meaning) or ""
    return question.meaning if question.meaning in dict(settings.LANGUAGES) else ""


def _wrong_meaning(question: Question) -> str:
    """Return what is wrong with an answer; empty: nothing."""
    if not question.meaning or _meaning(question):
        return ""
    if question.target == "language":
        return gettext("Choose a language from the list for “%(value)s”.") % {"value": question.value}
    return gettext("“%(meaning)s” isn't a time zone. Choose one from the list for “%(value)s”.") % {
        "meaning": question.meaning[:LONGEST_VALUE],
        "value": question.value,
    }


def _heading(heading: str, position: int) -> str:
    return heading or gettext("Column %(number)s") % {"number": position + 1}


def _likely_language(value: str) -> str:
    """Return the code of the language whose name in English or in itself this is; empty: unknown."""
    for code, _name in settings.LANGUAGES:
        if fold_value(value) in (LANG_INFO[code]["name"].casefold(), LANG_INFO[code]["name_local"].casefold()):
            return code
    return ""


def _new_targets(labels: dict[str, str], heading: str, position: int, target: str) -> list[str]:
    """Return the names of new attributes that are offered for a column: the one proposed, and one of its heading."""
    new = ATTRIBUTE + new_name(heading, position)
    chosen = {new, target if target.startswith(ATTRIBUTE) else new}
    return sorted(each for each in chosen if each.removeprefix(ATTRIBUTE) not in labels)


def _choices(labels: dict[str, str], new: Sequence[str]) -> list[Any]:
    """Return the choices for a column: standard fields, defined attributes, a new attribute, or nothing."""
    defined = [(ATTRIBUTE + name, label or name) for name, label in labels.items()]
    fresh = [(each, gettext("New attribute: %(name)s") % {"name": describe(each)}) for each in new]
    return [
        ("", _("Don't import")),
        (_("Standard fields"), list(FIELDS.items())),
        *([(_("Attributes"), defined)] if defined else []),
        *([(_("New"), fresh)] if fresh else []),
    ]
