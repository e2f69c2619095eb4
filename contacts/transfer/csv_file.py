"""CSV files: detection of encoding and delimiter, reading of rows, and cells that are safe in a spreadsheet.

This module knows files and text, nothing about people or storage. It holds one row in memory at a time.
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

from words.texts import joined
from words.texts import text as _

MOST_BYTES = 200 * 1024 * 1024
MOST_COLUMNS = 500
LONGEST_CELL = 10_000
LONGEST_LINE = 1_000_000  # Characters without a line end; a table of people has no longer line.
LONGEST_ROW = 5_000_000  # Characters of one row, which may span lines: MOST_COLUMNS cells of LONGEST_CELL.
LONGEST_HEADING = 200
LONGEST_CONTENT = 2_000  # Characters kept of a row that cannot be split into cells.
SAMPLED_ROWS = 20

UTF8 = "utf-8-sig"
DELIMITERS = (",", ";", "\t", "|", ":", "^", "~", "#", "\x1f")
_NOT_TEXT = {
    b"PK\x03\x04": _("an Excel workbook or a zip archive"),
    b"PK\x05\x06": _("an empty zip archive"),
    b"\xd0\xcf\x11\xe0": _("an old Excel workbook"),
    b"\x1f\x8b": _("a compressed file (gzip)"),
    b"BZh": _("a compressed file (bzip2)"),
    b"\xfd7zXZ": _("a compressed file (xz)"),
    b"7z\xbc\xaf": _("a compressed file (7-Zip)"),
    b"Rar!": _("a compressed file (RAR)"),
    b"\x28\xb5\x2f\xfd": _("a compressed file (zstd)"),
    b"%PDF": _("a PDF document"),
}
_BEYOND_ASCII = re.compile("[^\x00-\x7f]")
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_EXCEL_HINT = re.compile(r'"?sep=(.?)"?', re.IGNORECASE)  # A line that gives Excel the delimiter.
_ADDRESS = re.compile(r"(?<![^@\s,;|:])[^@\s,;|:]+@[^@\s,;|:]+\.[^@\s,;|:]+")
# Control characters, and the bidirectional ones that disguise a text.
REFUSED_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u202a-\u202e\u2066-\u2069]")


class CsvRefused(ValueError):
    """The whole file cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class CsvLayout:
    """The encoding, delimiter and headings of a file."""

    encoding: str
    delimiter: str
    headings: tuple[str, ...]
    has_headings: bool = True  # False: the first row is a person, and ``headings`` are generated.
    unreadable: int = 0  # Number of places that are invalid in its encoding.


class CsvRow(NamedTuple):
    """One row of the file."""

    line_number: int  # Its first line, counted from 1.
    cells: list[str]
    problem: str = ""  # Why it could not be split; its text is then the only cell.


# --- what kind of file it is


def look(file: BinaryIO, encoding: str = "", delimiter: str = "") -> CsvLayout:
    """Return the layout of the file, as detected or as given; rewinds the file.

    :raises CsvRefused: if it is too large, not text, or has no row.
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
        raise CsvRefused(_("The first row cannot be read. %(error)s", error=_in_words(error))) from None
    return replace(_layout(encoding, delimiter, first), unreadable=not_utf8 if encoding == UTF8 else 0)


def _layout(encoding: str, delimiter: str, first: Sequence[str]) -> CsvLayout:
    cells = [cell.strip() for cell in first]
    if len(cells) > MOST_COLUMNS:
        raise CsvRefused(
            _(
                "The file has %(n)s columns, and at most %(most)s can be imported.",
                n=f"{len(cells):,}",
                most=MOST_COLUMNS,
            )
        )
    if any(REFUSED_CHARACTERS.search(cell) for cell in cells):
        raise CsvRefused(
            _("The first row holds characters that no heading can have; is this a CSV file, in the encoding chosen?")
        )
    if _is_of_a_person(cells):
        return CsvLayout(
            encoding, delimiter, tuple(f"Column {n}" for n in range(1, len(cells) + 1)), has_headings=False
        )
    return CsvLayout(encoding, delimiter, tuple(" ".join(restore(cell).split())[:LONGEST_HEADING] for cell in cells))


def _is_of_a_person(cells: Sequence[str]) -> bool:
    return any(_ADDRESS.fullmatch(restore(cell.strip())) for cell in cells)


def inspect(file: BinaryIO) -> tuple[str, int]:
    """Return the encoding of the file and the number of places that are not UTF-8, after reading all of it.

    UTF-16 is recognised by its byte order mark or by its zero bytes. UTF-8 is recognised by its mark, or by having at
    least as many multi-byte characters as invalid places: a file with a stray byte is still UTF-8, since pairs of
    Windows-1252 letters hardly ever look like UTF-8. Everything else counts as Windows-1252. Rewinds the file.

    :raises CsvRefused: if it is too large, not text, or has a line too long for a table of people.
    """
    if file.seek(0, io.SEEK_END) > MOST_BYTES:
        raise CsvRefused(_("The file is larger than %(most)s MB. Split it.", most=MOST_BYTES // 1024 // 1024))
    file.seek(0)
    head = file.read(4096)
    file.seek(0)
    for magic, what in _NOT_TEXT.items():
        if head.startswith(magic):
            raise CsvRefused(_("This is %(what)s; save the table as CSV and upload that.", what=what))
    if not head.strip():
        raise CsvRefused(_("The file is empty."))
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
    """Return the number of multi-byte UTF-8 characters in the file, and of places that are not UTF-8.

    :raises CsvRefused: for a line that would fill the memory.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    good = bad = 0
    since_line_end = 0
    while chunk := file.read(256 * 1024):
        # A line within one chunk is short enough already; only one that crosses chunks can be too long.
        ends = [end for end in (chunk.find(b"\n"), chunk.find(b"\r")) if end >= 0]
        longest = since_line_end + min(ends, default=len(chunk))
        if longest > LONGEST_LINE:
            raise CsvRefused(
                _(
                    "A line of the file is longer than %(most)s characters; is this a CSV file?",
                    most=f"{LONGEST_LINE:,}",
                )
            )
        since_line_end = len(chunk) - max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) - 1 if ends else longest
        text = decoder.decode(chunk)
        if not text.isascii():
            found = text.count("\ufffd")
            bad += found
            good += len(_BEYOND_ASCII.findall(text)) - found
    return good, bad + decoder.decode(b"", final=True).count("\ufffd")


def _sample(text: io.TextIOWrapper) -> tuple[list[str], str]:
    """Return the first lines that are not blank, and the delimiter from a line for Excel, if there is one."""
    lines: list[str] = []
    hint = ""
    while len(lines) <= SAMPLED_ROWS and (line := _read_line(text)):
        if not lines and (told := _EXCEL_HINT.fullmatch(line.strip("\r\n "))):
            hint = told[1]
        elif line.strip():
            lines.append(line)
    if not lines:
        raise CsvRefused(_("The file is empty."))
    return lines, hint


def sniff_delimiter(lines: Sequence[str]) -> str:
    """Return the delimiter that makes the first lines look most like a table of people; a comma if none does."""
    return max(DELIMITERS, key=lambda delimiter: _likeness(lines, delimiter))


def _likeness(lines: Sequence[str], delimiter: str) -> tuple[bool, bool, int, int]:
    """Return a sort key: several columns, a cell with an address, rows as wide as the first, number of columns."""
    rows: list[list[str]] = []
    # The sample may cut the last row; an error in an earlier row counts against this delimiter.
    with contextlib.suppress(csv.Error):
        rows.extend(_reader(iter(lines), delimiter))
    if not rows or len(rows[0]) < 2:
        return False, False, 0, 0
    width = len(rows[0])
    has_address = any(_ADDRESS.fullmatch(cell.strip()) for row in rows for cell in row)
    return True, has_address, sum(len(row) == width for row in rows), width


# --- rows


class Rows:
    """Iterator over the rows below the headings that can resume at a position.

    :param position: the position of an earlier iterator, to continue there.
    :param line: the number of lines before that position.
    """

    def __init__(self, file: BinaryIO, layout: CsvLayout, position: str = "", line: int = 0) -> None:
        self.line = line
        self.characters = 0  # Read so far by this object.
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
        """The start of the next row, in the reader's own form: a byte offset and the state of the decoder."""
        return str(self._text.tell())

    @property
    def read_bytes(self) -> int:
        return self._text.tell() & 0xFFFF_FFFF_FFFF_FFFF

    def close(self) -> None:
        """Detach from the file, which stays open."""
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
        """Yield lines to the CSV reader, and keep the lines of the current row."""
        kept = self._lines_of_row
        # With readline, because iteration disables tell().
        while line := _read_line(self._text):
            if kept:
                self._row_length += len(line)
                if self._row_length > LONGEST_ROW:
                    raise CsvRefused(
                        _(
                            "A row is longer than %(most)s characters; is this a CSV file?",
                            most=f"{LONGEST_ROW:,}",
                        )
                    )
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
                said = [_in_words(error)]
                if self.line > line_number:
                    said.append(
                        _("It spans the lines %(line_number)s to %(line)s.", line_number=line_number, line=self.line)
                    )
                start = "".join(self._lines_of_row)[:LONGEST_CONTENT].strip()
                yield CsvRow(line_number, [start], joined(said))
            else:
                if any(cells):
                    yield CsvRow(line_number, cells)
            self._lines_of_row.clear()


def first_rows(file: BinaryIO, layout: CsvLayout, most: int) -> list[CsvRow]:
    """Return the first rows below the headings; rewinds the file."""
    rows = Rows(file, layout)
    try:
        return list(itertools.islice(rows, most))
    finally:
        rows.close()
        file.seek(0)


def _read_line(text: io.TextIOWrapper) -> str:
    line = text.readline(LONGEST_LINE)
    if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
        raise CsvRefused(
            _(
                "A line of the file is longer than %(most)s characters; is this a CSV file?",
                most=f"{LONGEST_LINE:,}",
            )
        )
    return line


def _reader(lines: Iterator[str], delimiter: str) -> Iterator[list[str]]:
    # This limit is global to the process; nothing else here reads CSV.
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)


def _in_words(error: csv.Error) -> str:
    if "field limit" in str(error):
        return _(
            "A cell is longer than %(most)s characters; is a quotation mark missing?",
            most=f"{LONGEST_CELL:,}",
        )
    return _("The quotation marks of this row do not match; each cell opens and closes with one, or has none.")


# --- cells


def printable(text: str) -> str:
    """Return ``text`` with a replacement character for each unprintable one."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def neutralise(cell: str) -> str:
    """Return ``cell`` in a form that a spreadsheet takes for text, not for a formula (OWASP: CSV injection)."""
    return f"'{cell}" if _FORMULA.match(cell) else cell


def restore(cell: str) -> str:
    """Undo :func:`neutralise`: remove the apostrophe in front of a formula character."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell
