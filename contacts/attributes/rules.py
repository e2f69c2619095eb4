"""Rules for the names of custom attributes, so that each can be a merge field, and for their values.

No database is involved.
"""

import datetime as dt
import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal

from mail.merge_fields import Flag
from words.texts import text as _

# The headings by which an import recognises the standard columns.
_HEADINGS = {
    "email": "email e_mail mail email_address e_mail_address mail_address address_email e_mail_adresse email_adresse"
    " adresse_email adresse_e_mail correo correo_electronico",
    "first_name": "first_name firstname first given_name givenname forename vorname prenom",
    "last_name": "last_name lastname last surname family_name familyname nachname nom_de_famille",
    "language": "language lang locale sprache langue",
    "time_zone": "time_zone timezone tz zeitzone fuseau_horaire zona_horaria",
    "open_tracking": "open_tracking opens_counted count_opens track_opens tracking_opens opens_tracking",
    "click_tracking": "click_tracking clicks_counted count_clicks track_clicks tracking_clicks clicks_tracking",
}
COLUMN_OF = {heading: column for column, headings in _HEADINGS.items() for heading in headings.split()}
# Columns that the export adds for people to read. An import never subscribes anybody by a column.
CONSENT_COLUMNS = ("subscribed_to", "unsubscribed_from", "suppressed")

# Keywords of the merge language: a field of that name is an error, or shows something else than the value.
MERGE_WORDS = frozenset(
    [
        *("true", "false", "nil", "null", "empty", "blank", "and", "or", "not", "contains", "in", "if", "else", "for"),
        *("as", "with", "limit", "offset", "reversed", "cols", "continue", "required", "forloop", "tablerowloop"),
    ]
)
# Names with a fixed meaning, in files and in messages.
_LINKS = ("unsubscribe_url", "preferences_url", "tracking_url", "web_version_url")
RESERVED = frozenset([*COLUMN_OF, *CONSENT_COLUMNS, "full_name", *_LINKS])

LONGEST_NAME = 64
LONGEST_VALUE = 10_000
LONGEST_TOGETHER = 100_000  # Characters of all names and values of one person: pages and workers read them together.
_LONGEST_NUMBER = 20

_NAME = re.compile(r"[a-z][a-z0-9_]*")


class NameInvalid(ValueError):
    """The name cannot be a merge field; the message says what to write instead."""


def check_name(name: str, known: Collection[str] = ()) -> str:
    """Return ``name``, or raise :class:`NameInvalid` with a sentence that says what to do.

    :param known: names in use already; these may be keywords or reserved, since earlier rules allowed them.
    """
    if not _NAME.fullmatch(name):
        proposal = propose_name(name)
        hint = _("; write for example %(proposal)s", proposal=proposal) if proposal and proposal != name else ""
        raise NameInvalid(
            _(
                "“%(name)s” cannot be the name of an attribute%(hint)s. Names start with a letter a to"
                " z, followed by letters, digits and underscores, all lower case.",
                name=name[:60],
                hint=hint,
            )
        )
    if len(name) > LONGEST_NAME:
        raise NameInvalid(
            _(
                "The name “%(name)s…” is longer than %(most)s characters. Shorten it.",
                name=name[:30],
                most=LONGEST_NAME,
            )
        )
    if name in known:
        return name
    if name in MERGE_WORDS:
        raise NameInvalid(
            _(
                "“%(name)s” is a word of the merge language, so {{ %(name)s }} couldn't show it. Choose"
                " another name, for example my_%(name)s.",
                name=name,
            )
        )
    if name in RESERVED:
        raise NameInvalid(
            _("“%(name)s” has a meaning of its own. Choose another name, for example my_%(name)s.", name=name)
        )
    return name


def propose_name(heading: str) -> str:
    """Return a name made from a column heading: ``Date of Birth`` gives ``date_of_birth``. May be empty."""
    plain = unicodedata.normalize("NFKD", heading.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "_", plain).strip("_")
    if name and name[0].isdigit():
        name = f"column_{name}"
    return name


# --- values


class DateReadTwoWays(ValueError):
    """A date with the day or the month first, and no order was chosen; the message says so."""


Value = str | int | float | bool

_YES = frozenset(["yes", "y", "true", "t", "1", "on", "x", "ja", "oui", "si", "sí", "sim", "da"])
_NO = frozenset(["no", "n", "false", "f", "0", "off", "nein", "non", "não", "nee", "nej"])
_AGREED = frozenset(["agreed", "granted", "consented", "personal"])
_NOT_AGREED = frozenset(["none", "not agreed", "refused", "denied", "withdrawn", "declined"])
_NOT_ASKED = frozenset(["unset", "not asked", "unknown", "anonymous", "-", "–"])
_NUMBER = re.compile(r"[+-]?(\d{1,15}|\d{1,3}(?: \d{3}){1,4})([.,]\d{1,15})?", re.ASCII)
# Ambiguous: 1,000 and 1,234. 1.234 is not, because an export writes decimals with a point; but it never writes a
# trailing zero, so 1.000 is ambiguous too.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3}|\.\d{2}0)", re.ASCII)
# With both marks the last one is the decimal's: 1.234,50 and 1,234.50.
_BOTH_MARKS = re.compile(r"[+-]?\d{1,3}(?:(?:\.\d{3})+,|(?:,\d{3})+\.)\d{1,15}", re.ASCII)
_ISO_DATE = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})(?:[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_TWO_WAYS_DATE = re.compile(r"(\d{1,2})[-/](\d{1,2})[-/](\d{4})", re.ASCII)
_DOTTED_DATE = re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})", re.ASCII)
_DECIMAL = re.compile(r"[.,]\d{1,2}$")
_CONSENT_HEADING = re.compile(r"(?<!no_)(consent|opt_?in|einwillig|zustimmung|permission|consens|toestemming|samtykke)")
_FIRST_YEAR = 1000  # An earlier year has fewer than four digits and is a typing error.


# The reading of 03/04/2026.
DAY_FIRST, MONTH_FIRST = "day", "month"


def parse_value(kind: str, choices: Sequence[str], text: str, date_order: str = "") -> Value | None:
    """Return ``text`` as a value of an attribute; None if it is blank.

    Numbers become ``int`` or ``float``, dates a text such as ``2026-11-23``, yes/no a ``bool``, and a choice the
    spelling of the attribute's own list. These are the types in JSON, so that filters can compare them.

    :param kind: one of ``Attribute.Kind``.
    :param choices: the choices of a choice attribute; other kinds ignore them.
    :param date_order: ``DAY_FIRST`` or ``MONTH_FIRST``, for dates such as 03/04/2026; empty: these are refused.
    :raises ValueError: with a sentence for the person who typed it.
    """
    text = unicodedata.normalize("NFC", text).strip()
    if not text:
        return None
    if len(text) > LONGEST_VALUE:
        raise ValueError(
            _(
                "A value must have at most %(most)s characters, and this one has %(n)s.",
                most=f"{LONGEST_VALUE:,}",
                n=f"{len(text):,}",
            )
        )
    if "\0" in text:
        raise ValueError(_("The value holds a NUL character, which can't be stored. Remove it."))
    match kind:
        case "number":
            return _parse_number(text)
        case "date":
            return _parse_date(text, date_order)
        case "boolean":
            return _parse_boolean(text)
        case "choice":
            return _parse_choice(choices, text)
        case _:
            return text


def parse_consent(text: str) -> bool | None:
    """Return whether a cell says that the person agreed to be counted; None if they were not asked.

    :raises ValueError: with a sentence for the person who typed it.
    """
    word = " ".join(text.casefold().split())
    if not word or word in _NOT_ASKED:
        return None
    if word in _YES or word in _AGREED:
        return True
    if word in _NO or word in _NOT_AGREED:
        return False
    raise ValueError(
        _("“%(text)s” says neither that they agreed nor that they didn't. Write yes, none or unset.", text=_shown(text))
    )


def likely_kind(cells: Sequence[str]) -> str:
    """Return the kind of a new attribute that its first cells suggest.

    Numbers only with decimals: postcodes, telephone numbers and customer numbers are texts of digits.
    """
    cells = [cell.strip() for cell in cells if cell.strip()]
    if not cells:
        return "text"
    if any(all(_is_value("date", cell, order) for cell in cells) for order in (DAY_FIRST, MONTH_FIRST)):
        return "date"
    if all(len(cell) > 1 and not cell.isdigit() and _is_value("boolean", cell) for cell in cells):
        return "boolean"
    if any(_DECIMAL.search(cell) for cell in cells) and all(_is_value("number", cell) for cell in cells):
        return "number"
    return "text"


def likely_consent(heading: str, cells: Sequence[str]) -> bool:
    """Return whether a column says by its heading and its first cells who agreed to get mail."""
    return bool(_CONSENT_HEADING.search(propose_name(heading))) and all(map(_is_consent, cells))


def _is_value(kind: str, cell: str, date_order: str = "") -> bool:
    try:
        parse_value(kind, (), cell, date_order)
    except ValueError:
        return False
    return True


def _is_consent(cell: str) -> bool:
    try:
        parse_consent(cell)
    except ValueError:
        return False
    return True


def too_long_together(attributes: Mapping[str, object]) -> str:
    """Return why one person cannot have all these attributes; empty if they can."""
    length = sum(
        len(name) + (len(value) if isinstance(value, str) else _LONGEST_NUMBER) for name, value in attributes.items()
    )
    if length <= LONGEST_TOGETHER:
        return ""
    return _(
        "The attributes have %(length)s characters together, and one person may have"
        " %(most)s. Shorten them, or leave some out.",
        length=f"{length:,}",
        most=f"{LONGEST_TOGETHER:,}",
    )


def value_text(value: object) -> str:
    """Return a stored value as text: ``yes`` and ``no``, numbers without ``.0``, empty for no value.

    The same in messages, files and pages; :func:`parse_value` reads it back.
    """
    if type(value) is str:  # As nearly always.
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        plain = format(Decimal(repr(value)), "f")  # No exponent.
        return plain.removesuffix(".0")
    if isinstance(value, list | dict):  # Never written here; another program may have.
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def merge_values(attributes: Mapping[str, object]) -> dict[str, str]:
    """Return a contact's attributes as merge values: each as text; a yes/no value also works as a condition."""
    return {
        str(name): value if type(value) is str else Flag(value) if isinstance(value, bool) else value_text(value)
        for name, value in attributes.items()
    }


def _parse_number(text: str) -> int | float:
    if _THOUSANDS.fullmatch(text):
        raise ValueError(
            _(
                "“%(text)s” can be read as two numbers. Write thousands without a mark, decimals with a point.",
                text=text,
            )
        )
    if _BOTH_MARKS.fullmatch(text) and len(text) <= _LONGEST_NUMBER:
        decimal = max(",", ".", key=text.rfind)
        text = text.replace("." if decimal == "," else ",", "")
    found = _NUMBER.fullmatch(text.replace("\u00a0", " ").replace("\u202f", " ").replace("−", "-"))
    if not found:
        raise ValueError(_("“%(text)s” is not a number. Write it like 38 or 38.5.", text=_shown(text)))
    number = float(found[0].replace(" ", "").replace(",", "."))
    return int(number) if number.is_integer() else number


def _parse_date(text: str, order: str) -> str:
    if found := _ISO_DATE.fullmatch(text):
        year, month, day = found.groups()
    elif found := _DOTTED_DATE.fullmatch(text):
        day, month, year = found.groups()
    elif (found := _TWO_WAYS_DATE.fullmatch(text)) and order:
        day, month, year = found.groups()
        if order == MONTH_FIRST:
            day, month = month, day
    elif found:
        raise DateReadTwoWays(
            _(
                "“%(text)s” can be read with the day or the month first. Write the year first, like 2026-11-23.",
                text=text,
            )
        )
    else:
        raise ValueError(_("“%(text)s” is not a date. Write the year first, like 2026-11-23.", text=_shown(text)))
    try:
        if int(year) < _FIRST_YEAR:
            raise ValueError
        return dt.date(int(year), int(month), int(day)).isoformat()
    except ValueError:
        raise ValueError(
            _("There is no %(text)s in the calendar. Write the year first, like 2026-11-23.", text=_shown(text))
        ) from None


def _parse_boolean(text: str) -> bool:
    word = text.casefold()
    if word in _YES or word in _NO:
        return word in _YES
    raise ValueError(_("“%(text)s” is neither yes nor no. Write one of the two.", text=_shown(text)))


def _parse_choice(choices: Sequence[str], text: str) -> str:
    if text in choices:
        return text
    for choice in choices:
        if choice.casefold() == text.casefold():
            return choice
    shown = ", ".join(choices[:10]) + (" …" if len(choices) > 10 else "")
    raise ValueError(
        _("“%(text)s” is none of the choices. They are: %(shown)s.", text=_shown(text), shown=shown or _("(none yet)"))
    )


def _shown(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
