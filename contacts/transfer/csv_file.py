"""Reading and writing tables as CSV: encodings, delimiters, headings, rows, and cells that are safe in a spreadsheet.

Knows files and text, and nothing about people or what is stored. Nothing here holds more than one row in memory.
"""

import codecs
import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO, NamedTuple

MOST_BYTES = 200 * 1024 * 1024
MOST_COLUMNS = 500
LONGEST_CELL = 10_000
LONGEST_LINE = 1_000_000  # Characters without a line end; more is no table of people.
LONGEST_ROW = 5_000_000  # Characters of one row, which may span lines: as many cells of the longest as columns.
LONGEST_HEADING = 200
LONGEST_CONTENT = 2_000  # What is kept of a row that cannot be divided into cells.
SAMPLED_ROWS = 20

UTF8 = "utf-8-sig"
# What can be chosen where it is not found rightly. Windows-1252 is Latin-1 and the characters Excel adds to it.
ENCODINGS = {
    UTF8: "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16 LE without mark",
    "utf-16-be": "UTF-16 BE without mark",
    "cp1252": "Windows-1252 / Latin-1 (Western Europe)",
    "cp1250": "Windows-1250 (Central Europe)",
    "cp1251": "Windows-1251 (Cyrillic)",
    "mac-roman": "Mac OS Roman",
    "shift_jis": "Shift JIS (Japanese)",
}
DELIMITERS = {
    ",": "comma ,",
    ";": "semicolon ;",
    "\t": "tab",
    "|": "vertical bar |",
    ":": "colon :",
    "^": "caret ^",
    "~": "tilde ~",
    "#": "hash #",
    "\x1f": "unit separator (0x1F)",
}
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"PK\x05\x06": "an empty zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "a compressed file (gzip)",
    b"BZh": "a compressed file (bzip2)",
    b"\xfd7zXZ": "a compressed file (xz)",
    b"7z\xbc\xaf": "a compressed file (7-Zip)",
    b"Rar!": "a compressed file (RAR)",
    b"\x28\xb5\x2f\xfd": "a compressed file (zstd)",
    b"%PDF": "a PDF document",
}
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_EXCEL_HINT = re.compile(r'"?sep=(.?)"?', re.IGNORECASE)  # Tells Excel the delimiter.
_ADDRESS = re.compile(r"[^@\s,;|:]+@[^@\s,;|:]+\.[^@\s,;|:]+")
# Control characters, and the bidirectional ones that make a text look like another one.
REFUSED_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


class CsvRefused(ValueError):
    """The file as a whole cannot be read; the words of the error say why and what to do."""


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """How a file is written."""

    encoding: str
    delimiter: str
    headings: tuple[str, ...]
    has_headings: bool = True  # False: the first row is a person, and ``headings`` are made up.
    unreadable: int = 0  # How many times the file holds what is nothing in its encoding.


class CsvRow(NamedTuple):
    """One row as it stands in the file."""

    line_number: int  # Of its first line, from 1.
    cells: list[str]
    problem: str = ""  # Why it could not be divided into cells; then the only cell is its text.


# --- what kind of file it is


def look(file: BinaryIO, encoding: str = "", delimiter: str = "") -> CsvLayout:
    """Return how the file is written, as found in it or as chosen; leaves it at its start.

    :raises FileRefused: if it is too large, not a text, or has no row to read.
    """
    found, not_utf8 = inspect(file)
    encoding = encoding or found
    text = io.TextIOWrapper(file, encoding, errors="replace", newline="")
    try:
        lines, hint = _sample(text)
    finally:
        text.detach()
        file.seek(0)
    if not delimiter:
        delimiter = hint if hint in DELIMITERS else sniff_delimiter(lines)
    try:
        first = next(_reader(iter(lines), delimiter))
    except csv.Error as error:
        raise CsvRefused(f"The first row cannot be read. {_in_words(error)}") from None
    return replace(_layout(encoding, delimiter, first), unreadable=not_utf8 if encoding == UTF8 else 0)


def _layout(encoding: str, delimiter: str, first: Sequence[str]) -> CsvLayout:
    cells = [cell.strip() for cell in first]
    if len(cells) > MOST_COLUMNS:
        raise CsvRefused(f"The file has {len(cells):,} columns; at most {MOST_COLUMNS} can be imported.")
    if any(REFUSED_CHARACTERS.search(cell) for cell in cells):
        raise CsvRefused(
            "The first row holds characters that no heading can have; is this a CSV file, in the encoding chosen?"
        )
    if _is_of_a_person(cells):
        return CsvLayout(
            encoding, delimiter, tuple(f"Column {n}" for n in range(1, len(cells) + 1)), has_headings=False
        )
    return CsvLayout(encoding, delimiter, tuple(" ".join(restore(cell).split())[:LONGEST_HEADING] for cell in cells))


def _is_of_a_person(cells: Sequence[str]) -> bool:
    return any(_ADDRESS.fullmatch(restore(cell.strip())) for cell in cells)


def inspect(file: BinaryIO) -> tuple[str, int]:
    """Return the encoding of the file, after one look at every byte of it, and what of it is not UTF-8.

    UTF-16 is told by its byte order mark or by its zeros. UTF-8 is told by its mark, or by having at least as many
    characters of several bytes as places that are no UTF-8: a stray byte makes a file no Windows-1252, which has
    hardly ever two letters that together look like UTF-8. Everything else is taken for Windows-1252.

    Leaves the file at its start.

    :raises FileRefused: if it is too large, not a text, or has a line no table of people would have.
    """
    if file.seek(0, io.SEEK_END) > MOST_BYTES:
        raise CsvRefused(f"The file is larger than {MOST_BYTES // 1024 // 1024} MB; split it.")
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    for magic, what in _NOT_TEXT.items():
        if head.startswith(magic):
            raise CsvRefused(f"This is {what}; save the table as CSV and upload that.")
    if not head.strip():
        raise CsvRefused("The file is empty.")
    good, bad = _look_through(file)
    file.seek(0)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", bad
    if len(head) >= 4 and head[1::2].count(0) * 3 > len(head):
        return "utf-16-le", bad
    if len(head) >= 4 and head[0::2].count(0) * 3 > len(head):
        return "utf-16-be", bad
    return (UTF8 if good >= bad or head.startswith(codecs.BOM_UTF8) else "cp1252"), bad


def _look_through(file: BinaryIO) -> tuple[int, int]:
    """Return how many characters of several bytes the file has as UTF-8, and how many places that are none.

    :raises FileRefused: for a line that would fill the memory.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = bad = 0
    since_line_end = 0
    while chunk := file.read(256 * 1024):
        # A line within one chunk is short enough already; only one that crosses chunks can be too long.
        ends = [end for end in (chunk.find(b"\n"), chunk.find(b"\r")) if end >= 0]
        longest = since_line_end + min(ends, default=len(chunk))
        if longest > LONGEST_LINE:
            raise CsvRefused(f"A line of the file is longer than {LONGEST_LINE:,} characters; is this a CSV file?")
        since_line_end = len(chunk) - max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) - 1 if ends else longest
        text = decoder.decode(chunk)
        if not text.isascii():
            found = text.count("\ufffd")
            bad += found
            good += len(_BEYOND_ASCII.findall(text)) - found
    return good, bad + decoder.decode(b"", final=True).count("\ufffd")


def _sample(text: io.TextIOWrapper) -> tuple[list[str], str]:
    """Return the first lines that hold something, and the delimiter that a line for Excel names."""
    lines: list[str] = []
    hint = ""
    while len(lines) <= SAMPLED_ROWS and (line := _read_line(text)):
        if not lines and (told := _EXCEL_HINT.fullmatch(line.strip("\r\n "))):
            hint = told[1]
        elif line.strip():
            lines.append(line)
    if not lines:
        raise CsvRefused("The file is empty.")
    return lines, hint


def sniff_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter under which the first lines look most like a table of people; a comma if none does."""
    return max(DELIMITERS, key=lambda delimiter: _likeness(lines, delimiter))


def _likeness(lines: Sequence[str], delimiter: str) -> tuple[bool, bool, int, int]:
    """Return a measure: more than one column, a cell that is an address, rows as wide as the first, how wide."""
    rows: list[list[str]] = []
    # The last row of the sample may be cut; an error before it counts against this delimiter.
    with contextlib.suppress(csv.Error):
        rows.extend(_reader(iter(lines), delimiter))
    if not rows or len(rows[0]) < 2:
        return False, False, 0, 0
    width = len(rows[0])
    has_address = any(_ADDRESS.fullmatch(cell.strip()) for row in rows for cell in row)
    return True, has_address, sum(len(row) == width for row in rows), width


# --- rows


class Rows:
    """The rows below the headings, one after the other, and where the next one starts.

    :param position: of an earlier object's, to go on there.
    :param line: how many lines lie before that position.
    """

    def __init__(self, file: BinaryIO, layout: CsvLayout, position: str = "", line: int = 0) -> None:
        self.line = line
        self.characters = 0  # Read so far, through this object.
        self._text = io.TextIOWrapper(file, layout.encoding, errors="replace", newline="")
        self._lines_of_row: list[str] = []
        self._row_length = 0
        self._reader = _reader(self._lines(), layout.delimiter)
        if position:
            self._text.seek(int(position))
        else:
            self._pass_over_headings(layout.delimiter)

    @property
    def position(self) -> str:
        """Where the next row starts, in the reader's own terms: a byte, and what the decoder must know there."""
        return str(self._text.tell())

    @property
    def read_bytes(self) -> int:
        return self._text.tell() & 0xFFFF_FFFF_FFFF_FFFF

    def close(self) -> None:
        """Let go of the file, which stays open."""
        self._text.detach()

    def _pass_over_headings(self, delimiter: str) -> None:
        while True:
            start, line = self._text.tell(), self.line
            first = _read_line(self._text)
            self.line += 1
            if not first or (first.strip() and not _EXCEL_HINT.fullmatch(first.strip("\r\n "))):
                break
        self._text.seek(start)
        self.line = line
        if _is_of_a_person(next(self._reader, [])):
            self._text.seek(start)
            self._reader = _reader(self._lines(), delimiter)
            self.line = line
        self._lines_of_row.clear()

    def _lines(self) -> Iterator[str]:
        """Hand lines to the reader, and remember those of the current row."""
        kept = self._lines_of_row
        # By readline and not by iterating: that would disable the position.
        while line := _read_line(self._text):
            if kept:
                self._row_length += len(line)
                if self._row_length > LONGEST_ROW:
                    raise CsvRefused(f"A row is longer than {LONGEST_ROW:,} characters; is this a CSV file?")
            else:
                self._row_length = len(line)
            self.characters += len(line)
            self.line += 1
            kept.append(line)
            yield line

    def __iter__(self) -> Iterator[CsvRow]:
        while True:
            line_number = self.line + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                lines = f" It spans the lines {line_number} to {self.line}." if self.line > line_number else ""
                start = "".join(self._lines_of_row)[:LONGEST_CONTENT].strip()
                yield CsvRow(line_number, [start], _in_words(error) + lines)
            else:
                if any(cells):
                    yield CsvRow(line_number, cells)
            self._lines_of_row.clear()


def first_rows(file: BinaryIO, layout: CsvLayout, most: int) -> list[CsvRow]:
    """Return the first rows below the headings; leaves the file at its start."""
    rows = Rows(file, layout)
    try:
        return list(itertools.islice(rows, most))
    finally:
        rows.close()
        file.seek(0)


def _read_line(text: io.TextIOWrapper) -> str:
    line = text.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
        raise CsvRefused(f"A line of the file is longer than {LONGEST_LINE:,} characters; is this a CSV file?")
    return line


def _reader(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    # The csv module keeps this limit for the whole process; nothing else here reads CSV.
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _in_words(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"A cell is longer than {LONGEST_CELL:,} characters; is a quotation mark missing?"
    return "The quotation marks of this row do not match; each cell opens and closes with one, or has none."


# --- cells


def printable(text: str) -> str:
    """Return ``text`` with a replacement character for each that cannot be shown."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def neutralise(cell: str) -> str:
    """Return ``cell`` so that a spreadsheet takes it for text and not for a formula (OWASP: CSV injection)."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """Undo :func:`neutralise`: drop the apostrophe in front of what a spreadsheet takes for a formula."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell
