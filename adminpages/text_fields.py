"""How forms take texts: with one kind of line ends, and without characters that nobody sees.

Which texts programs may send is in ``texts``.
"""

import re
from collections.abc import Mapping
from typing import Any
from unicodedata import category

from django import forms
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from adminpages.texts import CONTROL, STAND_IN
from mail.addresses import JOINERS

_MARKS = frozenset({"Cf", "Zl", "Zp"})  # Unicode's categories of marks of format and of ends of lines.
_FILLERS = "\u115f\u1160\u3164\uffa0"  # Letters of Hangul without a form.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # They turn around what stands behind them (UAX #9).


class RefusesControls:
    """A mixin of all forms that refuses what nobody sees in a text.

    Control characters are refused everywhere, but for tabs and line ends. A field of one line, such as a name, holds no
    other invisible character either: with a right-to-left override it would turn around what stands beside it in a
    list, and two names would look the same.
    """

    prose: frozenset[str] = frozenset()  # Fields of one line with sentences: marks that turn nothing are taken.
    fields: dict[str, forms.Field]
    data: Mapping[str, Any]
    cleaned_data: dict[str, Any]

    def _clean_fields(self) -> None:
        """Store one kind of line ends: browsers send another one, and the history would list an untouched text."""
        super()._clean_fields()  # type: ignore[misc]  # A mixin of forms.
        for name, value in self.cleaned_data.items():
            if isinstance(value, str):
                self.cleaned_data[name] = _with_line_feeds(value)

    @cached_property
    def changed_data(self) -> list[str]:
        """The fields that a person changed: line ends as browsers send them, and outer space, change no text."""
        changed: list[str] = super().changed_data  # type: ignore[misc]  # A mixin of forms.
        return [name for name in changed if not self._is_same_text(name)]

    def _is_same_text(self, name: str) -> bool:
        field = self.fields.get(name)
        if not isinstance(field, forms.CharField) or not field.strip or field.show_hidden_initial:
            return False
        bound = self[name]  # type: ignore[index]
        stored, sent = bound.initial, bound.data
        return isinstance(stored, str) and isinstance(sent, str) and _with_plain_ends(stored) == _with_plain_ends(sent)

    def full_clean(self) -> None:
        super().full_clean()  # type: ignore[misc]  # A mixin of forms.
        for name, value in list(getattr(self, "cleaned_data", {}).items()):
            if isinstance(value, str) and (why := _refusal(value) or self._refusal_of_marks(name, value)):
                self.add_error(name, why)  # type: ignore[attr-defined]

    def _refusal_of_marks(self, name: str, text: str) -> str:
        field = self.fields.get(name)
        if not isinstance(field, forms.CharField) or isinstance(field.widget, forms.Textarea | forms.PasswordInput):
            return ""
        turn = _TURNS.search(text)
        if not (found := turn[0] if turn else "" if name in self.prose else _unseen(text)):
            return ""
        sentence = _("This has an invisible character (%(code)s). Delete the text and type it again.")
        return sentence % {"code": _code(found)}


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _with_plain_ends(text: str) -> str:
    return _with_line_feeds(text).strip()


def _refusal(text: str) -> str:
    if (found := CONTROL.search(text)) is None:
        return ""
    line = text.count("\n", 0, found.start()) + 1
    if found[0] == STAND_IN:
        return _("Line %(line)s has an invisible control character. Delete it and save again.") % {"line": line}
    sentence = _("Line %(line)s has an invisible control character (%(code)s). Delete it and save again.")
    return sentence % {"line": line, "code": _code(found[0])}


def _unseen(text: str) -> str:
    return next((each for each in text if each not in JOINERS and (each in _FILLERS or category(each) in _MARKS)), "")


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"
