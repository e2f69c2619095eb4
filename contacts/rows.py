"""What a row of a file says about a person, or why it cannot be taken; and what it changes about somebody known.

Knows no database. It is asked for every row of files with a million of them: the first tries are the cheap ones.
"""

import functools
import unicodedata
import zoneinfo
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from contacts.attributes import Value, parse_value
from contacts.csvfiles import REFUSED_CHARACTERS, Row, printable, restore
from contacts.mapping import ATTRIBUTE
from mail.addresses import AddressInvalid, check_address, fold

LONGEST_PERSON_NAME = 150
LONGEST_KEPT = 20_000  # Characters kept of the cells of a refused row, all together.

SKIP, FILL, OVERWRITE = "skip", "fill", "overwrite"


class Person(NamedTuple):
    """What a file, or the database, says about somebody."""

    email: str
    key: str  # Folded; see mail.addresses.fold.
    first_name: str
    last_name: str
    language: str
    time_zone: str
    attributes: dict[str, Value]


class Refusal(NamedTuple):
    """A row that cannot be taken, and every reason for it."""

    line_number: int
    cells: list[str]
    content: str  # Instead of cells, where the row could not be divided into them.
    reason: str


class Judge:
    """Turns rows into people.

    A value that does not fit the kind of its attribute, or is no time zone, refuses the row: what it would lose
    comes back with the reason. A language nobody has words for is left out: it is a wish, and the person is taken.

    :param mapping: what each column becomes; see contacts.mapping.
    :param kinds: kind and choices of the defined attributes, by name; others are text.
    :param languages: the codes of the languages there are words for.
    """

    def __init__(
        self,
        mapping: Sequence[str],
        kinds: Mapping[str, tuple[str, Sequence[str]]],
        languages: Collection[str],
    ) -> None:
        self._mapping = mapping
        self._width = len(mapping)
        self._email_at = mapping.index("email")
        at = {target: position for position, target in enumerate(mapping) if target}
        self._first_name_at, self._last_name_at = at.get("first_name"), at.get("last_name")
        self._language_at, self._time_zone_at = at.get("language"), at.get("time_zone")
        self._attributes = [
            (position, target.removeprefix(ATTRIBUTE), _reader_of(*kinds.get(target.removeprefix(ATTRIBUTE), ("", ()))))
            for target, position in at.items()
            if target.startswith(ATTRIBUTE)
        ]
        self._language = functools.lru_cache(maxsize=1000)(lambda text: _language_code(text, languages))

    def __call__(self, row: Row) -> Person | Refusal:
        if row.problem:
            return Refusal(row.line_number, [], printable(row.cells[0]), row.problem)
        reasons: list[str] = []
        cells = self._cleaned(row.cells, reasons)
        email = cells[self._email_at]
        if email:
            try:
                email = check_address(email)
            except AddressInvalid as error:
                reasons.append(str(error))
        else:
            reasons.append("The row has no e-mail address.")
        person = Person(
            email,
            fold(email),
            self._name(cells, self._first_name_at, "first name", reasons),
            self._name(cells, self._last_name_at, "last name", reasons),
            "" if self._language_at is None else self._language(cells[self._language_at]),
            "" if self._time_zone_at is None else _time_zone(cells[self._time_zone_at], reasons),
            self._values(cells, reasons),
        )
        return refusal(row, " ".join(reasons)) if reasons else person

    def _cleaned(self, given: list[str], reasons: list[str]) -> list[str]:
        """Return as many cells as there are columns: trimmed, in NFC, without the marks of a safe export."""
        cells = [cell.strip() for cell in given]
        if len(cells) != self._width:
            if any(cells[self._width :]):
                reasons.append(
                    f"The row has {len(cells)} cells and the first row only {self._width};"
                    " put quotation marks around cells that hold the delimiter."
                )
            cells = [*cells[: self._width], *[""] * (self._width - len(cells))]
        together = "".join(cells)
        if not together.isprintable():
            cells = [self._clean(cell, position, reasons) for position, cell in enumerate(cells)]
        if "'" in together:
            cells = [restore(cell) for cell in cells]
        if not together.isascii():
            cells = [unicodedata.normalize("NFC", cell) for cell in cells]
        return cells

    def _clean(self, cell: str, position: int, reasons: list[str]) -> str:
        target = self._mapping[position]
        if not target or position == self._email_at or cell.isprintable():
            return cell  # The address is judged by its own rules.
        name = target.removeprefix(ATTRIBUTE).replace("_", " ")
        if found := REFUSED_CHARACTERS.search(cell):
            reasons.append(f"The {name} holds a character that cannot be stored (U+{ord(found[0]):04X}).")
        elif not target.startswith(ATTRIBUTE) and ("\n" in cell or "\r" in cell):
            reasons.append(f"The {name} holds a line break; is a quotation mark missing?")
        return " ".join(cell.split())

    @staticmethod
    def _name(cells: list[str], position: int | None, words: str, reasons: list[str]) -> str:
        if position is None:
            return ""
        name = cells[position]
        if len(name) > LONGEST_PERSON_NAME:
            reasons.append(f"The {words} is longer than {LONGEST_PERSON_NAME} characters.")
        return name

    def _values(self, cells: list[str], reasons: list[str]) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for position, name, read in self._attributes:
            text = cells[position]
            if not text:
                continue
            if read is None:
                values[name] = text
                continue
            try:
                value = read(text)
            except ValueError as error:
                reasons.append(f"{name}: {error}")
                continue
            if value is not None:
                values[name] = value
        return values


def refusal(row: Row, reason: str) -> Refusal:
    """Return the row as refused, with its cells; very long ones are cut."""
    room = LONGEST_KEPT
    kept = []
    for cell in row.cells:
        kept.append(cell if len(cell) <= room else f"{cell[:room]}…")
        room = max(0, room - len(cell))
    return Refusal(row.line_number, kept, "", reason)


def merge(known: Person, told: Person, policy: str) -> Person:
    """Return what is known of somebody after the file told about them; ``known`` itself if nothing changes.

    The spelling of the address stays. A cell that is empty never erases what is known, whatever the policy.

    :param policy: ``skip``: nothing changes; ``fill``: what is empty is filled; ``overwrite``: what the file tells
        replaces what was known.
    """
    if policy == SKIP:
        return known
    first, second = (known, told) if policy == FILL else (told, known)
    if policy == FILL:
        filled = {name: value for name, value in known.attributes.items() if value not in (None, "")}
        attributes = {**known.attributes, **told.attributes, **filled}
    else:
        attributes = {**known.attributes, **told.attributes}
    merged = Person(
        known.email,
        known.key,
        first.first_name or second.first_name,
        first.last_name or second.last_name,
        first.language or second.language,
        first.time_zone or second.time_zone,
        attributes,
    )
    return known if merged == known else merged


def _reader_of(kind: str, choices: Sequence[str]) -> Callable[[str], Value | None] | None:
    """Return what reads a value of this kind; None for text, which the row's cleaning has made ready."""
    if kind in ("", "text"):
        return None
    return functools.lru_cache(maxsize=10_000)(functools.partial(parse_value, kind, choices))


def _language_code(text: str, languages: Collection[str]) -> str:
    """Return the code of a language there are words for, or nothing: ``de-AT`` is ``de``, ``xx`` is left out."""
    code = text.lower().replace("_", "-").partition("-")[0]
    return code if code in languages else ""


@functools.lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones()}


def _time_zone(text: str, reasons: list[str]) -> str:
    if not text:
        return ""
    zone = _zones().get(text.lower().replace(" ", "_"))
    if zone is None:
        reasons.append(f"“{text[:60]}” is not a time zone; write it like Europe/Berlin.")
    return zone or ""
