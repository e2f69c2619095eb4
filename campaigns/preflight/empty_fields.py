"""Merge fields without a default: their names, and the words that people without a value read.

Nothing here asks the database; the conditions for counting these people are for the caller's query.
"""

import html
import re
from collections.abc import Iterator

from django.db.models import Q, TextField, Value
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.content.build import Built
from campaigns.preflight.checks.message import is_empty_greeting
from campaigns.preflight.finding import Finding, Severity, found
from contacts.attributes.rules import RESERVED
from mail.merge_fields import name_values, names_without_default, parse
from smtpservers.models import SmtpServer

MOST_FIELDS = 10  # Counted in one query.
_NAMES = {
    "first_name": Q(first_name=""),
    "last_name": Q(last_name=""),
    "full_name": Q(first_name="", last_name=""),
}
_WORDS = 4  # Shown on each side of the gap.
_NEAR = 400  # Characters on each side of the gap in which the words are looked for.
_FIELD = re.compile(r"\{\{-?\s*(?P<name>\w[\w-]*)(?![\w.\[-])(?![^{}]*\bdefault\b)[^{}]*\}\}")


def fields_of(built: Built, servers: list[SmtpServer]) -> dict[str, str]:
    """Return the fields that may leave a gap, and the words around the gap; no words inside a link or another tag.

    Fields of greetings come first. A field with several gaps has the words of a greeting, if one of them is one.

    :param servers: those that may send the content. A field that all of them fill in leaves no gap.
    """
    fields: dict[str, str] = {}
    for source, is_html in ((built.subject, False), (built.html, True), (built.text, False)):
        names = {
            name
            for name in names_without_default(parse(source))
            if (name in _NAMES or name not in RESERVED) and not _is_filled_in(name, servers)
        }
        fields |= {name: fields.get(name, "") for name in sorted(names)}
        for name, words in _gaps(source, is_html=is_html):
            if name in names and (is_empty_greeting(words) or not fields[name]):
                fields[name] = words
    return dict(sorted(fields.items(), key=lambda field: not is_empty_greeting(field[1])))


def counted_fields(fields: dict[str, str]) -> list[str]:
    """Return the names of the fields whose gaps are counted: the first ones of :func:`fields_of`."""
    return list(fields)[:MOST_FIELDS]


def is_missing(name: str) -> Q:
    """Return the condition for contacts who have no value of this field."""
    text = Coalesce(KeyTextTransform(name, "attributes"), Value(""), output_field=TextField())
    return _NAMES.get(name) or Q(Exact(text, Value("")))


def empty_fields(fields: dict[str, str], missing: dict[str, int], people: int) -> Iterator[Finding]:
    """M10: no merge field that is empty for some recipients. An incomplete greeting blocks.

    :param fields: the result of :func:`fields_of`.
    :param missing: the number of recipients without a value, by field; for the counted fields.
    :param people: the number of all recipients.
    """
    labels = {"first_name": _("first name"), "last_name": _("last name"), "full_name": _("name")}
    for name, words in fields.items():
        if not (number := missing.get(name, 0)):
            continue
        if words:
            sentence = ngettext(
                "%(n)s of %(all)s people has no %(field)s and reads “%(words)s”.",
                "%(n)s of %(all)s people have no %(field)s and read “%(words)s”.",
                number,
            )
        else:
            sentence = ngettext(
                "%(n)s of %(all)s people has no %(field)s.", "%(n)s of %(all)s people have no %(field)s.", number
            )
        sentence %= {
            "n": f"{number:,}",
            "all": f"{people:,}",
            "field": labels.get(name, f"“{name}”"),
            "words": words,
        }
        default = "friend" if name in ("first_name", "full_name") else "…"
        yield found(
            "M10",
            Severity.BLOCK if is_empty_greeting(words) else Severity.WARN,
            sentence,
            _("Give the field a default: %(field)s.") % {"field": f'{{{{ {name} | default: "{default}" }}}}'},
        )
    if unchecked := [words for name, words in fields.items() if name not in missing]:
        sentence = ngettext(
            "%(n)s more field wasn't checked for people without a value.",
            "%(n)s more fields weren't checked for people without a value.",
            len(unchecked),
        )
        yield found(
            "M10",
            Severity.BLOCK if any(map(is_empty_greeting, unchecked)) else Severity.WARN,
            sentence % {"n": f"{len(unchecked):,}"},
            _("Use fewer fields, or give each a default."),
        )


def _is_filled_in(name: str, servers: list[SmtpServer]) -> bool:
    return bool(servers) and all(
        name_values("", "", server.unknown_first_name, server.unknown_last_name).get(name) for server in servers
    )


def _gaps(source: str, *, is_html: bool) -> Iterator[tuple[str, str]]:
    """Yield each field that is shown without a default, and the words around it, in the order of the source."""
    for tag in _FIELD.finditer(source):
        start = source.rfind(">", 0, tag.start()) + 1 if is_html else 0
        before, after = source[max(start, tag.start() - _NEAR) : tag.start()], source[tag.end() : tag.end() + _NEAR]
        words = ""
        if not is_html:
            words = _words(before, after)
        elif source.find("<", start, tag.start()) < 0:
            words = _words(html.unescape(before), html.unescape(after.partition("<")[0]))
        yield tag["name"].rstrip("-"), words


def _words(before: str, after: str) -> str:
    before = re.split(r"[\n}]", before)[-1]
    after = re.split(r"(?<=[.,!?;:])|[\n{]", after)[0]
    ends_in_space = " " if before[-1:].isspace() else ""
    words = f"{' '.join(before.split()[-_WORDS:])}{ends_in_space}{' '.join(after.split(' ')[: _WORDS + 1])}"
    words = " ".join(words.split())
    return words if any(sign.isalpha() for sign in words) else ""
