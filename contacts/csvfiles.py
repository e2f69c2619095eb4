"""Reading and writing people as CSV: encodings, delimiters, headings, and which rows can be taken.

Knows files and text, and nothing about what is stored. Nothing here holds more than one row in memory.
"""

import codecs
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, TextIO

from contacts.attributes import COLUMN_OF, CONSENT_COLUMNS, NameInvalid, check_name, propose_name
from mail.addresses import check_address

MOST_BYTES = 200 * 1024 * 1024
MOST_COLUMNS = 500
LONGEST_CELL = 10_000
LONGEST_LINE = 1_000_000  # Bytes without a line end; more is no table of people.
LONGEST_ROW = 5_000_000  # Characters of one row, which may span lines: as many cells of the longest as columns.
LONGEST_PERSON_NAME = 150
LONGEST_CONTENT = 500  # What is kept of a refused row.
LONGEST_REASON = 300

DELIMITERS = ",;\t|"
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a compressed file",
    b"%PDF": "a PDF document",
}
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_EXCEL_HINT = re.compile(r'"?sep=.?"?', re.IGNORECASE)  # Tells Excel the delimiter; the headings show it as well.
_WHITE_SPACE = re.compile(r"\s+")
# Control characters, and the bidirectional ones that make a text look like another one.
_REFUSED_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


class FileRefused(ValueError):
    """The file as a whole cannot be read; the words of the error say why and what to do."""


@dataclass(frozen=True, slots=True)
class Person:
    """One row that can be taken."""

    email: str
    first_name: str = ""
    last_name: str = ""
    language: str = ""
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that cannot be taken, and why."""

    line_number: int
    content: str
    reason: str


@dataclass(frozen=True, slots=True)
class Headings:
    """What each column of the file is: a field of :class:`Person`, ``attributes.<name>``, or nothing."""

    columns: tuple[str, ...]

    @classmethod
    def read(cls, cells: Sequence[str]) -> "Headings":
        if len(cells) > MOST_COLUMNS:
            raise FileRefused(f"The file has {len(cells):,} columns; at most {MOST_COLUMNS} can be imported.")
        columns = tuple(_column_for(cell.strip()) for cell in cells)
        for column in columns:
            if column and columns.count(column) > 1:
                name = column.removeprefix("attributes.")
                raise FileRefused(f"Two columns mean “{name}”; remove or rename one of them.")
        if "email" not in columns:
            shown = ", ".join(cell.strip()[:40] for cell in cells[:8])
            raise FileRefused(
                "The first row must name the columns, and one of them must be “email”;"
                f" it reads: {_printable(shown) or '(nothing)'}."
            )
        return cls(columns)


def _column_for(heading: str) -> str:
    if len(heading) > LONGEST_CELL or _REFUSED_CHARACTERS.search(heading):
        raise FileRefused("The first row holds characters that no heading can have; is this a CSV file?")
    name = propose_name(heading)
    if name in COLUMN_OF:
        return COLUMN_OF[name]
    if name in CONSENT_COLUMNS or not heading:
        return ""
    try:
        return f"attributes.{check_name(name)}"
    except NameInvalid as error:
        raise FileRefused(f"The column “{heading[:60]}” cannot be imported: {error}") from None


def inspect(file: BinaryIO) -> str:
    """Return the encoding of the file, after one look at every byte of it; leaves it at its start.

    UTF-16 is told by its byte order mark, UTF-8 by being valid; everything else is taken for Windows-1252, which
    is Latin-1 and the characters Excel adds to it.

    :raises FileRefused: if it is too large, not a text, or has a line no table of people would have.
    """
    if file.seek(0, io.SEEK_END) > MOST_BYTES:
        raise FileRefused(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB; split it.")
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    for magic, what in _NOT_TEXT.items():
        if head.startswith(magic):
            raise FileRefused(f"This is {what}; save the table as CSV and upload that.")
    if not head.strip():
        raise FileRefused("The file is empty.")
    is_utf8 = _look_through(file)
    file.seek(0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if is_utf8 else "cp1252"


def check(file: BinaryIO) -> None:
    """Raise :class:`FileRefused` if the file, or its first row, cannot be read; leaves it open, at its start."""
    text = open_text(file)
    try:
        PeopleFile(text)
    finally:
        text.detach()
        file.seek(0)


def open_text(file: BinaryIO) -> io.TextIOWrapper:
    """Return the file as text, from its start.

    A byte that Windows-1252 does not know, or half a UTF-16 character, becomes a replacement character.
    """
    return io.TextIOWrapper(file, inspect(file), errors="replace", newline="")


def _look_through(file: BinaryIO) -> bool:
    """Return whether the bytes are valid UTF-8; refuse a line that would fill the memory."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8 = True
    since_line_end = 0
    while chunk := file.read(256 * 1024):
        # A line within one chunk is short enough already; only one that crosses chunks can be too long.
        ends = [end for end in (chunk.find(b"\n"), chunk.find(b"\r")) if end >= 0]
        longest = since_line_end + min(ends, default=len(chunk))
        if longest > LONGEST_LINE:
            raise FileRefused(f"A line of the file is longer than {LONGEST_LINE:,} characters; is this a CSV file?")
        since_line_end = len(chunk) - max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) - 1 if ends else longest
        if is_utf8:
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError:
                is_utf8 = False
    if is_utf8:
        try:
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            is_utf8 = False
    return is_utf8


class PeopleFile:
    """The rows of one open CSV file, one after the other: a :class:`Person`, or a :class:`Refusal`.

    :raises FileRefused: when it is made, if the first row does not name the columns.
    """

    def __init__(self, text: TextIO) -> None:
        # The csv module keeps this limit for the whole process; nothing else here reads CSV.
        csv.field_size_limit(LONGEST_CELL)
        self._blank_lines = 0
        self._row_length = 0
        self._row_start = ""
        heading = self._first_line(text)
        self._delimiter = sniff_delimiter(heading)
        self._reader = csv.reader(
            self._lines(heading, text), delimiter=self._delimiter, skipinitialspace=True, strict=True
        )
        try:
            cells = next(self._reader)
        except csv.Error as error:
            raise FileRefused(f"The first row cannot be read: {_in_words(error)}") from None
        self.headings = Headings.read(cells)
        self._positions = tuple((index, column) for index, column in enumerate(self.headings.columns) if column)
        self._email_at = self.headings.columns.index("email")

    def _first_line(self, text: TextIO) -> str:
        while line := text.readline():
            if line.strip() and not _EXCEL_HINT.fullmatch(line.strip()):
                return line
            self._blank_lines += 1
        raise FileRefused("The file is empty.")

    def _lines(self, heading: str, text: TextIO) -> Iterator[str]:
        """Hand lines to the reader, and remember how the current row started and how long it is."""
        for line in itertools.chain([heading], text):
            self._row_length += len(line)
            if self._row_length > LONGEST_ROW:
                raise FileRefused(f"A row is longer than {LONGEST_ROW:,} characters; is this a CSV file?")
            if len(self._row_start) < LONGEST_CONTENT:
                self._row_start += line
            yield line

    def __iter__(self) -> Iterator[Person | Refusal]:
        while True:
            self._row_length = 0
            self._row_start = ""
            line_number = self._blank_lines + self._reader.line_num + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                last = self._blank_lines + self._reader.line_num
                lines = f" It spans the lines {line_number} to {last}." if last > line_number else ""
                yield Refusal(line_number, _printable(self._row_start), _in_words(error) + lines)
                continue
            if any(cells):
                yield self._judge(cells, line_number)

    def _judge(self, cells: list[str], line_number: int) -> Person | Refusal:
        try:
            return self._person(cells)
        except ValueError as error:
            return Refusal(line_number, _printable(self._row_start), str(error)[:LONGEST_REASON])

    def _person(self, cells: list[str]) -> Person:
        columns = len(self.headings.columns)
        if len(cells) > columns and any(cells[columns:]):
            raise ValueError(
                f"The row has {len(cells)} cells and the first row only {columns};"
                " put quotation marks around cells that hold the delimiter."
            )
        email = restore(cells[self._email_at].strip()) if self._email_at < len(cells) else ""
        if not email:
            raise ValueError("The row has no e-mail address.")
        values: dict[str, str] = {}
        attributes: dict[str, str] = {}
        for index, column in self._positions:
            cell = cells[index].strip() if index < len(cells) else ""
            if not cell or index == self._email_at:
                continue
            if not cell.isprintable():
                cell = _clean(cell, column)
            if column.startswith("attributes."):
                attributes[column[11:]] = restore(cell)
            else:
                values[column] = restore(cell)
        for column in ("first_name", "last_name"):
            if len(values.get(column, "")) > LONGEST_PERSON_NAME:
                raise ValueError(f"The {column.replace('_', ' ')} is longer than {LONGEST_PERSON_NAME} characters.")
        return Person(check_address(email), attributes=attributes, **values)


def _clean(cell: str, column: str) -> str:
    name = column.removeprefix("attributes.").replace("_", " ")
    if found := _REFUSED_CHARACTERS.search(cell):
        raise ValueError(f"The {name} holds a character that cannot be stored (U+{ord(found[0]):04X}).")
    if not column.startswith("attributes.") and ("\n" in cell or "\r" in cell):
        raise ValueError(f"The {name} holds a line break; is a quotation mark missing?")
    return _WHITE_SPACE.sub(" ", cell)


def _in_words(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"A cell is longer than {LONGEST_CELL:,} characters; is a quotation mark missing?"
    return "The quotation marks of this row do not match; each cell opens and closes with one, or has none."


def _printable(text: str) -> str:
    shown = text.strip()[:LONGEST_CONTENT]
    return shown if shown.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in shown)


def sniff_delimiter(heading: str) -> str:
    """Return the delimiter that occurs most often in the heading outside quotation marks; a comma if none does."""
    outside = re.sub(r'"[^"]*"', "", heading)
    return max(DELIMITERS, key=outside.count)


def neutralise(cell: str) -> str:
    """Return ``cell`` so that a spreadsheet takes it for text and not for a formula (OWASP: CSV injection)."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """Undo :func:`neutralise`: drop the apostrophe in front of what a spreadsheet takes for a formula."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell
