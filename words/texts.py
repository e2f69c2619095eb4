"""Texts that rules return: English, until an edge shows them in the language of their reader. No Django.

A Text is its English sentence. Logs, files and the database keep that. HTML and ``translated`` show it in the language
of the reader, because it also keeps its template and values. Without a translator everything is English.
"""

import datetime as dt
import functools
import html
import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

_NO_VALUES: Mapping[str, object] = MappingProxyType({})


def utc(instant: dt.datetime) -> str:
    """Return an instant as stored texts have it, in English: "09 November 2026 14:05 UTC"."""
    return f"{instant.astimezone(dt.UTC):%d %B %Y %H:%M} UTC"


class Translator:
    """How the process translates. The project names its functions once."""

    def __init__(self) -> None:
        self.gettext: Callable[[str], str] = str
        self.ngettext: Callable[[str, str, int], str] = lambda one, several, number: one if number == 1 else several
        self.instant: Callable[[dt.datetime], str] = utc


TRANSLATOR = Translator()


class Text(str):
    """A sentence in English that can still be translated."""

    __slots__ = ("_number", "_several", "_template", "_values")
    _template: str
    _several: str
    _number: int
    _values: Mapping[str, object]

    def __new__(
        cls, template: str, several: str = "", number: int = 1, values: Mapping[str, object] = _NO_VALUES
    ) -> "Text":
        chosen = several if several and number != 1 else template
        english = {name: utc(value) if isinstance(value, dt.datetime) else value for name, value in values.items()}
        found = super().__new__(cls, chosen % english if values else chosen)
        found._template, found._several, found._number, found._values = template, several, number, dict(values)
        return found

    @property
    def begins_with_name(self) -> bool:
        """Whether the first word is not ours, such as the host in “%(host)s answered”."""
        found = re.match(r"%\((\w+)\)s", self._template)
        first = self._values.get(found[1]) if found else self
        return first is not self and not (isinstance(first, Text) and not first.begins_with_name)

    def translated(self) -> str:
        """Return the text in the language of the reader."""
        template = (
            TRANSLATOR.ngettext(self._template, self._several, self._number)
            if self._several
            else TRANSLATOR.gettext(self._template)
        )
        if not self._values:
            return template
        return template % {name: _shown(value) for name, value in self._values.items()}

    def __html__(self) -> str:
        return html.escape(self.translated())


def text(template: str, **values: object) -> str:
    """Return a text that is translated later. Import it as ``_``, so that translators find the template.

    :param values: by name, as in "%(server)s is full."; a text or the error that has one is translated, too, and an
        instant is shown on the clock of the reader.
    """
    return Text(template, values=values)


def ngettext(one: str, several: str, number: int, **values: object) -> str:
    """Return a text that agrees with a number, which is ``%(n)s`` with separators."""
    return Text(one, several, number, {"n": f"{number:,}", **values})


def joined(parts: Iterable[str], by: str = "%(one)s %(other)s") -> str:
    """Return several texts as one; empty without any.

    :param by: a marked template for two of them.
    """
    found = list(parts)
    return functools.reduce(lambda one, other: text(by, one=one, other=other), found) if found else ""


def gettext_noop(template: str) -> str:
    """Mark the words of a table for translators, and return them unchanged."""
    return template


def translated(said: str | Exception) -> str:
    """Return a text, or that of an error, in the language of the reader; other words unchanged."""
    found = said.args[0] if isinstance(said, Exception) and said.args else said
    return found.translated() if isinstance(found, Text) else str(said)


def text_of(error: Exception) -> str:
    """Return the text of an error as it was raised with, which can still be translated; ``str`` cannot."""
    return error.args[0] if error.args and isinstance(error.args[0], str) else str(error)


def kept(said: object) -> object:
    """Return a text as JSON for a database, from which :func:`restored` makes it again; numbers and words unchanged."""
    if isinstance(said, Text):
        values = {name: kept(value) for name, value in said._values.items()}
        return {"template": said._template, "several": said._several, "number": said._number, "values": values}
    if isinstance(said, dt.datetime):
        return {"instant": said.isoformat()}
    if isinstance(said, Exception) and said.args:
        return kept(said.args[0])
    return said if isinstance(said, int | float) else str(said)


def restored(found: object) -> object:
    """Return what :func:`kept` was given.

    :raises ValueError: for anything else.
    """
    if not isinstance(found, dict):
        return found
    try:
        if "instant" in found:
            return dt.datetime.fromisoformat(found["instant"])
        values = {name: restored(value) for name, value in found["values"].items()}
        return Text(found["template"], found["several"], found["number"], values)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("this is no text") from error


def told(english: str, words: object, most: int | None = None) -> str:
    """Return the text that was kept as ``words`` beside its English; the English if they are not of it.

    Whoever stores other English need not know of the words. Nothing is read out of the English itself, since a server
    may have said it.

    :param most: the number of characters after which the English was cut.
    """
    try:
        found = restored(words)
    except ValueError:
        return english
    return found if isinstance(found, Text) and found[:most] == english else english


# Values without a blank, by their names. A hostile text can be split among few others, so that looking takes no time.
ONE_WORD = frozenset({"action", "address", "day", "domain", "host", "port", "rule", "seconds", "status"})


class Sentences:
    """The sentences of ours that a column may hold beside the words of others, for stored English without its words.

    A whole text must be one of ours, letter for letter but for the values. What stands in a value stays a value, even
    if somebody else said it: nothing stored is ever read as a template.

    :param templates: marked with :func:`text` or :func:`gettext_noop`.
    """

    def __init__(self, *templates: str) -> None:
        self._patterns = [(str(each), re.compile(_pattern(each), re.DOTALL)) for each in templates]

    def known(self, english: str) -> str:
        """Return the text of a stored sentence; the stored English if it is not one of ours."""
        for template, pattern in self._patterns:
            if found := pattern.fullmatch(english):
                return text(template, **{name: self.known(value) for name, value in found.groupdict().items()})
        return english


def _pattern(template: str) -> str:
    parts = re.split(r"%\((\w+)\)s", template)
    values = [f"(?P<{name}>{'[^ ]+' if name in ONE_WORD else '.+'})" for name in parts[1::2]]
    return "".join(map("".join, zip(map(re.escape, parts[::2]), [*values, ""], strict=True)))


def _shown(value: object) -> object:
    if isinstance(value, dt.datetime):
        return TRANSLATOR.instant(value)
    return translated(value) if isinstance(value, Text | Exception) else value
