"""Edit conflicts: a page refuses to overwrite values that somebody else changed after it was opened.

A single form carries a digest of each stored value; a row of a list carries the values themselves, as Django's hidden
initial values. Who changed what is the history's subject, not this module's.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import Model, QuerySet
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from adminpages.texts import read_json

SEEN = "seen"  # The name of the hidden input.
LONGEST_SHOWN = 120  # Characters of a stored value in a sentence.


class NoticesChanges:
    """A mixin of forms that refuses a save if a stored value has changed since the page was opened.

    The page has to contain ``seen_input``, and the form needs the values stored now as its initial values. After a
    refusal each field shows the stored value. Only a field that both people changed keeps the typed value: its error
    names the stored one, and saving again replaces it.
    """

    fields: dict[str, forms.Field]
    data: Mapping[str, Any]
    cleaned_data: dict[str, Any]
    called: Any = gettext_lazy("page")  # The noun of the error; a model's form uses the model's name instead.

    @property
    def seen_input(self) -> SafeString:
        """A hidden input with a digest of each stored value, which the browser sends back."""
        name = self.add_prefix(SEEN)  # type: ignore[attr-defined]  # A mixin of forms.
        return format_html('<input type="hidden" name="{}" value="{}">', name, json.dumps(self._stored()))

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]
        seen = _read_digests(self.data.get(self.add_prefix(SEEN), ""))  # type: ignore[attr-defined]
        if seen:
            self._refuse_conflicts(seen)

    def _stored(self) -> dict[str, str]:
        return {
            name: _digest(self.get_initial_for_field(field, name))  # type: ignore[attr-defined]
            for name, field in self.fields.items()
            if not field.disabled
        }

    def _refuse_conflicts(self, seen: Mapping[str, str]) -> None:
        typed = {name: _digest(value) for name, value in self.cleaned_data.items()}
        changed = {
            name: digest
            for name, digest in self._stored().items()
            if seen.get(name, digest) != digest and typed.get(name) != digest  # Two equal changes are no conflict.
        }
        if not changed:
            return
        instance = getattr(self, "instance", None)
        called = instance._meta.verbose_name if instance is not None else self.called
        labels = ", ".join(f"“{self[name].label}”" for name in changed)  # type: ignore[index]
        self.add_error(  # type: ignore[attr-defined]
            None,
            _(
                "Someone else changed this %(called)s while you had it open, so nothing was saved. Changed:"
                " %(labels)s. Check the page and save again."
            )
            % {"called": called, "labels": labels},
        )
        for name in changed:
            if typed.get(name) == seen[name]:
                _show_stored(self.fields[name])
            else:
                self.add_error(name, _conflict_error(self[name]))  # type: ignore[attr-defined, index]


class RowNoticesChanges:
    """A mixin of model forms that are saved together: the rows of a list, or of another model's page.

    A row without changes is not saved, even if it shows an old value. A changed row is saved only if the stored value
    is still the one that the page showed.
    """

    fields: dict[str, forms.Field]
    instance: Model

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.show_hidden_initial = self.instance.pk is not None

    def clean(self) -> Any:
        cleaned = super().clean()  # type: ignore[misc]  # A mixin of ModelForm.
        for name in self.changed_data:  # type: ignore[attr-defined]
            bound = self[name]  # type: ignore[index]
            if not bound.field.show_hidden_initial:
                continue
            shown = self._widget_data_value(bound.field.hidden_widget(), bound.html_initial_name)  # type: ignore[attr-defined]
            if _digest(shown) != _digest(bound.initial):
                _show_stored(bound.field)
                self.add_error(  # type: ignore[attr-defined]
                    name, _("Someone else changed this while you had the page open. Open the page again to change it.")
                )
        return cleaned


def _show_stored(field: forms.Field) -> None:
    """Make the field show the stored value in place of the sent one."""
    field.bound_data = lambda data, initial: initial  # type: ignore[method-assign]


def _conflict_error(bound: forms.BoundField) -> str:
    stored = bound.initial
    if isinstance(stored, str) and 0 < len(stored) <= LONGEST_SHOWN and not hasattr(bound.field, "choices"):
        return _("Someone else set this to “%(stored)s” meanwhile. Save again to replace it with your value.") % {
            "stored": stored
        }
    return _("Someone else changed this meanwhile. Save again to replace it with your value.")


def _read_digests(sent: str) -> dict[str, str]:
    """Return the digests that a page sent back; empty if the text is not a JSON object."""
    read = read_json(sent)
    return read if isinstance(read, dict) else {}


def _digest(value: Any) -> str:
    return hashlib.blake2b(json.dumps(_plain(value)).encode(), digest_size=6).hexdigest()


def _plain(value: Any) -> Any:
    """Return a value in one spelling, so that a stored value equals the value that a form makes of it."""
    match value:
        case None | False | "":
            return ""
        case Model():
            return str(value.pk)
        case Mapping():
            return {str(key): _plain(each) for key, each in sorted(value.items(), key=lambda pair: str(pair[0]))}
        case QuerySet():
            return sorted(str(row.pk) for row in value)
        case list() | tuple() | set():
            written = [_plain(each) for each in value]
            return sorted(written) if any(isinstance(each, Model) for each in value) else written
        case _:
            return str(value).replace("\r\n", "\n").strip()
