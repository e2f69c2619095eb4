"""The parsing of one CSV row into a person, or the reasons against it, and its merge with the known person.

No database is involved. This runs for every row of files with a million rows, so cheap checks come first.
"""

import functools
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from adminpages.texts import one_line
from contacts.attributes.rules import DateReadTwoWays, Value, parse_consent, parse_value, too_long_together
from contacts.transfer.columns import ATTRIBUTE
from contacts.transfer.csv_file import REFUSED_CHARACTERS, CsvRow, printable, restore
from mail.addresses import AddressInvalid, fold, read_address
from words import time_zones
from words.texts import joined
from words.texts import text as _

LONGEST_PERSON_NAME = 150
# How formulas begin that a spreadsheet would run. With an apostrophe before it, as in an export, it is a text.
FORMULA = ("=", "+", "@")
LONGEST_KEPT = 20_000  # Characters kept of a refused row, over all cells.

SKIPPED = _("Imported with cells skipped.")  # Begins the reason of a person who came in without some cells.
_NAMES = {
    "email": _("email"),
    "first_name": _("first name"),
    "last_name": _("last name"),
    "language": _("language"),
    "time_zone": _("time zone"),
    "open_tracking": _("consent to count opens"),
    "click_tracking": _("consent to count clicks"),
}
CLOSED_KINDS = ("choice", "boolean")  # Kinds whose wrong cells are few, and count together by what they say.

SKIP, FILL, OVERWRITE = "skip", "fill", "overwrite"

# What a row can refuse.
MAIL, COUNT_OPENS, COUNT_CLICKS = "mail", "open_tracking", "click_tracking"


class ContactRow(NamedTuple):
    """The values of one person, from a file or from the database."""

    email: str
    key: str  # Folded address; see mail.addresses.fold.
    first_name: str
    last_name: str
    language: str
    time_zone: str
    attributes: dict[str, Value]
    # Whether a file says that the person agreed to have opens and clicks counted; None: nothing, as from the database.
    opens: bool | None = None
    clicks: bool | None = None


UNREADABLE = "\ufffd"  # Replaces bytes that are invalid in the file's encoding.


class Fault(NamedTuple):
    """What is wrong with a row or with one of its cells: a sentence, and what counts as the same fault elsewhere."""

    key: str  # One of contacts.transfer.reasons.
    text: str
    target: str = ""  # The field of the cell; empty: the fault is the row's.
    value: str = ""  # The cell, where equal cells count together.


class RowRefusal(NamedTuple):
    """A row that was refused, or accepted without some of its cells, with every reason."""

    line_number: int
    cells: list[str]
    content: str  # Instead of cells, if the row could not be split into cells.
    reason: str
    left_out: int = 0  # Cells left out of an accepted person; 0: the row was refused.
    faults: tuple[Fault, ...] = ()  # Why it was refused, or cells were left out. Empty: it could not be split.


class RowParser:
    """Parses rows into people.

    A row is refused if it has no valid address, or more cells than the first row. A cell that cannot be parsed, such as
    a word in a number column, is left out and reported; the person is accepted.

    :param mapping: the field of each column; see contacts.transfer.columns.
    :param kinds: kind and choices of the defined attributes, by name; all other attributes are text.
    :param languages: the codes of the languages with texts.
    :param date_order: the reading of 03/04/2026; see contacts.attributes.rules.
    :param meanings: what cells of ``time_zone`` and ``language`` mean that are neither, by :func:`fold_value`.
    :param subscribes_by: the position of the column that says who agreed to get mail; None: everybody did.
    """

    def __init__(
        self,
        mapping: Sequence[str],
        kinds: Mapping[str, tuple[str, Sequence[str]]],
        languages: Collection[str],
        date_order: str = "",
        meanings: Mapping[str, Mapping[str, str]] | None = None,
        subscribes_by: int | None = None,
    ) -> None:
        self._subscribes_by = subscribes_by
        self._mapping = mapping
        self._meanings = meanings or {}
        self._width = len(mapping)
        self._email_at = mapping.index("email")
        at = {target: position for position, target in enumerate(mapping) if target}
        self._first_name_at, self._last_name_at = at.get("first_name"), at.get("last_name")
        self._names = [(name, at[name]) for name in ("first_name", "last_name") if name in at]
        self._language_at, self._time_zone_at = at.get("language"), at.get("time_zone")
        self._opens_at, self._clicks_at = at.get(COUNT_OPENS), at.get(COUNT_CLICKS)
        asked = ((MAIL, subscribes_by), (COUNT_OPENS, self._opens_at), (COUNT_CLICKS, self._clicks_at))
        self._asked = [(topic, position) for topic, position in asked if position is not None]
        self._attributes = [
            (position, name, kinds.get(name, ("", ()))[0], _reader_of(*kinds.get(name, ("", ())), date_order))
            for target, position in at.items()
            if target.startswith(ATTRIBUTE) and (name := target.removeprefix(ATTRIBUTE))
        ]
        codes = functools.partial(_language_code, languages=languages)
        self._language = functools.lru_cache(maxsize=1000)(self._reader_of_closed("language", codes))
        self._time_zone = functools.lru_cache(maxsize=1000)(self._reader_of_closed("time_zone", time_zones.spelled))

    def __call__(self, row: CsvRow) -> tuple[ContactRow | None, RowRefusal | None]:
        """Return the person, if the row gives one, and the refusal of the row or of some of its cells, if any."""
        if row.problem:
            return None, RowRefusal(row.line_number, [], printable(row.cells[0]), row.problem)
        reasons: list[Fault] = []  # Reasons to refuse the row.
        left_out: list[Fault] = []  # Cells that are left out, and why.
        cells = self._cleaned(row.cells, reasons, left_out)
        email = cells[self._email_at]
        if email:
            try:
                email = read_address(email)
            except AddressInvalid as error:
                reasons.append(Fault("address", error.args[0], "email"))
        else:
            reasons.append(Fault("no_address", _("The row has no email address."), "email"))
        person = ContactRow(
            email,
            fold(email),
            self._name(cells, self._first_name_at, "first_name", left_out),
            self._name(cells, self._last_name_at, "last_name", left_out),
            "" if self._language_at is None else self._one_of(cells[self._language_at], "language", left_out),
            "" if self._time_zone_at is None else self._one_of(cells[self._time_zone_at], "time_zone", left_out),
            self._values(cells, left_out),
            self._consent(cells, self._opens_at, "open_tracking", left_out),
            self._consent(cells, self._clicks_at, "click_tracking", left_out),
        )
        if reasons:
            return None, refusal(row, [*reasons, *left_out])._replace(faults=tuple(reasons))
        if left_out:
            return person, refusal(row, left_out, SKIPPED)._replace(left_out=len(left_out))
        return person, None

    @property
    def asks_consent(self) -> bool:
        """Whether a column says what people agreed to."""
        return bool(self._asked)

    def is_to_subscribe(self, row: CsvRow) -> bool:
        """Return whether the row says yes where it is asked; an empty or another word is no yes."""
        return self._subscribes_by is None or _says(row, self._subscribes_by) is True

    def refusals(self, row: CsvRow) -> list[tuple[str, str]]:
        """Return what the row refuses, each with the folded address of the person, even if it cannot be imported.

        A word that nobody understands refuses mail; where it is about being counted, the cell is skipped and listed.
        """
        if row.problem:
            return []
        topics = []
        for topic, position in self._asked:
            said = _says(row, position)
            if said is False or (said is _UNCLEAR and topic == MAIL):
                topics.append(topic)
        if not topics or self._email_at >= len(row.cells):
            return []
        try:
            key = fold(read_address(unicodedata.normalize("NFC", restore(row.cells[self._email_at].strip()))))
        except AddressInvalid:
            return []
        return [(topic, key) for topic in topics]

    def _reader_of_closed(self, target: str, read: Callable[[str], str | None]) -> Callable[[str], str | None]:
        """Return the parser of a field that has one of a few values; what somebody said a cell means comes first."""
        meanings = self._meanings.get(target, {})
        return lambda text: meanings.get(fold_value(text)) or read(text)

    def _one_of(self, cell: str, target: str, left_out: list[Fault]) -> str:
        if not cell:
            return ""
        value = self._language(cell) if target == "language" else self._time_zone(cell)
        if value is None:
            left_out.append(Fault(target, _unknown(target, cell[:60]), target, cell))
        return value or ""

    def _cleaned(self, given: list[str], reasons: list[Fault], left_out: list[Fault]) -> list[str]:
        """Return one cell per column: trimmed, in NFC, without the apostrophes that an export adds."""
        cells = [cell.strip() for cell in given]
        if len(cells) != self._width:
            if any(cells[self._width :]):
                reasons.append(
                    Fault(
                        "width",
                        _(
                            "The row has %(n)s cells and the first row only %(most)s;"
                            " put quotation marks around cells that hold the delimiter.",
                            n=len(cells),
                            most=self._width,
                        ),
                    )
                )
            cells = [*cells[: self._width], *[""] * (self._width - len(cells))]
        together = "".join(cells)
        if not together.isprintable() or UNREADABLE in together:
            cells = [self._clean(cell, position, reasons, left_out) for position, cell in enumerate(cells)]
        for target, position in self._names:
            if cells[position][:1] in FORMULA:
                text = _(
                    "The %(name)s begins with %(mark)s like a spreadsheet formula.",
                    name=_NAMES[target],
                    mark=cells[position][0],
                )
                left_out.append(Fault("formula", text, target))
                cells[position] = ""
        if "'" in together:
            cells = [restore(cell) for cell in cells]
        if not together.isascii():
            cells = [unicodedata.normalize("NFC", cell) for cell in cells]
        return cells

    def _clean(self, cell: str, position: int, reasons: list[Fault], left_out: list[Fault]) -> str:
        target = self._mapping[position]
        name = _NAMES.get(target) or target.removeprefix(ATTRIBUTE).replace("_", " ")
        is_address = position == self._email_at
        if target and UNREADABLE in cell:
            text = _(
                "The %(name)s holds a character that the file's encoding does not have: %(cell)s.",
                name=name,
                cell=printable(cell)[:60],
            )
            (reasons if is_address else left_out).append(Fault("unreadable", text, target))
            return cell if is_address else ""
        if not target or is_address or cell.isprintable():
            return cell  # The address has its own rules.
        if found := REFUSED_CHARACTERS.search(cell):
            code = f"U+{ord(found[0]):04X}"
            text = _("The %(name)s holds a character that cannot be stored (%(code)s).", name=name, code=code)
            left_out.append(Fault("control", text, target))
            return ""
        if not target.startswith(ATTRIBUTE) and ("\n" in cell or "\r" in cell):
            text = _("The %(name)s holds a line break; is a quotation mark missing?", name=name)
            left_out.append(Fault("line_break", text, target))
            return ""
        return one_line(cell)

    @staticmethod
    def _name(cells: list[str], position: int | None, target: str, left_out: list[Fault]) -> str:
        if position is None:
            return ""
        name = cells[position]
        if len(name) > LONGEST_PERSON_NAME:
            text = _("The %(name)s is longer than %(most)s characters.", name=_NAMES[target], most=LONGEST_PERSON_NAME)
            left_out.append(Fault("long", text, target))
            return ""
        return name

    @staticmethod
    def _consent(cells: list[str], position: int | None, target: str, left_out: list[Fault]) -> bool | None:
        if position is None or not cells[position]:
            return None
        try:
            return parse_consent(cells[position])
        except ValueError as error:
            text = _("The %(name)s: %(why)s", name=_NAMES[target], why=error)
            left_out.append(Fault("consent", text, target, cells[position]))
            return None

    def _values(self, cells: list[str], left_out: list[Fault]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for position, name, kind, read in self._attributes:
            text = cells[position]
            if not text:
                continue
            if read is None:
                values[name] = text
                continue
            try:
                value = read(text)
            except ValueError as error:
                known_by_value = text if kind in CLOSED_KINDS else ""
                key = "date_order" if isinstance(error, DateReadTwoWays) else kind
                left_out.append(
                    Fault(key, _("%(name)s: %(why)s", name=name, why=error), ATTRIBUTE + name, known_by_value)
                )
                continue
            if value is not None:
                values[name] = value
        if why := too_long_together(values):
            left_out.append(Fault("too_much", why))
            return {}
        return values


class TooMuchKnown(ValueError):
    """A person would have more attributes than one person may have; the message says so."""


def refusal(row: CsvRow, faults: Sequence[Fault], beginning: str = "") -> RowRefusal:
    """Return the row as refused, with its cells; very long ones are cut."""
    room = LONGEST_KEPT
    kept = []
    for cell in row.cells:
        kept.append(cell if len(cell) <= room else f"{cell[:room]}…")
        room = max(0, room - len(cell))
    reason = joined(part for part in (beginning, *(fault.text for fault in faults)) if part)
    return RowRefusal(row.line_number, kept, "", reason, faults=tuple(faults))


_UNCLEAR = "unclear"


def _says(row: CsvRow, position: int) -> bool | str | None:
    """Return whether the cell says that the person agreed; None: it says nothing, ``_UNCLEAR``: an unknown word."""
    if position >= len(row.cells):
        return None
    try:
        return parse_consent(restore(row.cells[position].strip()))
    except ValueError:
        return _UNCLEAR


def _unknown(target: str, value: str) -> str:
    if target == "language":
        return _("“%(value)s” is not a language of the public pages.", value=value)
    return _("“%(value)s” is not a time zone; write it like Europe/Berlin.", value=value)


def fold_value(text: str) -> str:
    """Return a cell as it is compared with other cells of the same meaning: in any case, with any spaces."""
    return " ".join(text.casefold().split())


def merge(known: ContactRow, told: ContactRow, policy: str) -> ContactRow:
    """Return the known person updated from the file; ``known`` itself if nothing changes.

    The spelling of the address stays. An empty cell never erases a known value, whatever the policy. Consents to count
    opens and clicks stay as ``known`` has them.

    :param policy: ``skip``: nothing changes; ``fill``: empty values are filled; ``overwrite``: values from the file
        replace known ones.
    :raises TooMuchKnown: if the attributes of both are too long together.
    """
    if policy == SKIP:
        return known
    first, second = (known, told) if policy == FILL else (told, known)
    if policy == FILL:
        filled = {name: value for name, value in known.attributes.items() if value not in (None, "")}
        attributes = {**known.attributes, **told.attributes, **filled}
    else:
        attributes = {**known.attributes, **told.attributes}
    if told.attributes and (why := too_long_together(attributes)):
        raise TooMuchKnown(why)
    merged = ContactRow(
        known.email,
        known.key,
        first.first_name or second.first_name,
        first.last_name or second.last_name,
        first.language or second.language,
        first.time_zone or second.time_zone,
        attributes,
        known.opens,
        known.clicks,
    )
    return known if merged == known else merged


def stricter(one: ContactRow, other: ContactRow) -> tuple[bool | None, bool | None]:
    """Return what two rows about a person say together about opens and clicks: one refusal is enough."""
    both = ((one.opens, other.opens), (one.clicks, other.clicks))
    opens, clicks = (False if False in pair else pair[0] or pair[1] for pair in both)
    return opens, clicks


def _reader_of(kind: str, choices: Sequence[str], date_order: str) -> Callable[[str], Value | None] | None:
    """Return the parser for this kind; None for text, which needs no further parsing."""
    if kind in ("", "text"):
        return None
    return functools.lru_cache(maxsize=10_000)(functools.partial(parse_value, kind, choices, date_order=date_order))


def _language_code(text: str, languages: Collection[str]) -> str | None:
    """Return the code of a language with texts: ``de-AT`` gives ``de``; None for an unknown one, such as ``xx``."""
    code = text.lower().replace("_", "-").partition("-")[0]
    return code if code in languages else None
