"""What a CSV file of people may look like, how it is found out, and what is refused of it."""

import csv
import io
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts.transfer.csv_file import (
    LONGEST_CELL,
    LONGEST_LINE,
    CsvLayout,
    CsvRefused,
    CsvRow,
    Rows,
    first_rows,
    inspect,
    look,
    neutralise,
    restore,
    sniff_delimiter,
)


def read(content: bytes | str, encoding: str = "", delimiter: str = "") -> list[CsvRow]:
    file = io.BytesIO(content.encode() if isinstance(content, str) else content)
    return list(Rows(file, look(file, encoding, delimiter)))


def layout_of(content: bytes | str) -> CsvLayout:
    return look(io.BytesIO(content.encode() if isinstance(content, str) else content))


def encoding_of(path: Path) -> str:
    with path.open("rb") as file:
        return inspect(file)[0]


# --- delimiters, encodings, headings


@pytest.mark.parametrize(
    ("lines", "delimiter"),
    [
        ("email,first name,last name\nann@example.org,Ann,Lee\n", ","),
        ("E-Mail;First_Name;LAST NAME\nann@example.org;Ann;Lee\n", ";"),
        ("Email Address\tFirst\tSurname\nann@example.org\tAnn\tLee\n", "\t"),
        ('"mail"|"Vorname"|"Nachname"\n', "|"),
        ("mail^name\nann@example.org^Lee, Ann\n", "^"),
        ("mail:name\nann@example.org:Ann\n", ":"),
        ("mail\x1fname\nann@example.org\x1fAnn\n", "\x1f"),
        ("Name, Vorname;E-Mail\nLee, Ann;ann@example.org\nRay, Bo;bo@example.org\n", ";"),
        ("email;note\nann@example.org;one, two, three\n", ";"),
        ('"a;b;c;d",email\nx,ann@example.org\n', ","),
        ("email\nann@example.org\n", ","),
        ("sep=|\nemail\nann@example.org\n", "|"),
    ],
)
def test_the_delimiter_is_found_in_headings_and_rows(lines: str, delimiter: str) -> None:
    assert layout_of(lines).delimiter == delimiter


@pytest.mark.parametrize(
    ("encoding", "encoded_as"),
    [
        ("utf-8", "utf-8-sig"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("latin-1", "cp1252"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_each_encoding_and_line_end_gives_the_same_rows(encoding: str, encoded_as: str, line_end: str) -> None:
    content = f"email,first_name{line_end}zoe@example.org,Zoë{line_end}jose@example.org,José{line_end}"

    rows = read(content.encode(encoding))

    assert rows == [CsvRow(2, ["zoe@example.org", "Zoë"]), CsvRow(3, ["jose@example.org", "José"])]
    assert layout_of(content.encode(encoding)).encoding == encoded_as


def test_delimiter_and_encoding_can_be_set() -> None:
    content = "email;name\nann@example.org;Žofie\n".encode("cp1250")

    assert read(content, "cp1250", ";") == [CsvRow(2, ["ann@example.org", "Žofie"])]
    assert read(content, "cp1250", ",") == [CsvRow(2, ["ann@example.org;Žofie"])]


def test_a_character_cut_by_the_reading_window_is_still_utf8(tmp_path: Path) -> None:
    rows = b"email,note\n" + "".join(f"p{i}@example.org,{'ü' * 61}\n" for i in range(9000)).encode()
    path = tmp_path / "people.csv"
    path.write_bytes(rows)

    assert encoding_of(path) == "utf-8-sig"
    path.write_bytes(rows + b"x@example.org,\xc3")
    assert encoding_of(path) == "utf-8-sig"


@pytest.mark.parametrize(
    ("content", "encoding", "unreadable"),
    [
        (b"email,name\na@example.org,Zo\xc3\xab\nb@example.org,M\xfcller\n", "utf-8-sig", 1),
        (b"\xef\xbb\xbfemail,name\nb@example.org,M\xfcller\nc@example.org,Ren\xe9\n", "utf-8-sig", 2),
        (b"email,name\nb@example.org,M\xfcller\nc@example.org,Zo\xeb\n", "cp1252", 0),
        (b"email,name\n" + "a@example.org,Žižek Łukasz\n".encode() * 50 + b"b@example.org,\x80\n", "utf-8-sig", 1),
        (b"email,name\n" + "a@example.org,Привет\n".encode("cp1251") * 50, "cp1252", 0),
    ],
)
def test_a_stray_byte_makes_no_windows_file_of_a_utf8_one(content: bytes, encoding: str, unreadable: int) -> None:
    layout = layout_of(content)

    assert (layout.encoding, layout.unreadable) == (encoding, unreadable)


def test_a_character_at_the_edge_of_what_is_read_at_once_is_no_stray_byte(tmp_path: Path) -> None:
    for shift in range(3):
        content = b"email,name\n" + b"x" * shift + "a@example.org,€€€€€€€€\n".encode() * 12_000
        assert inspect(io.BytesIO(content)) == ("utf-8-sig", 0)


def test_a_file_without_headings_begins_with_its_first_person() -> None:
    content = "ann@example.org;Ann\nbo@example.org;Bo\n"

    assert layout_of(content) == CsvLayout("utf-8-sig", ";", ("Column 1", "Column 2"), has_headings=False)
    assert read(content) == [CsvRow(1, ["ann@example.org", "Ann"]), CsvRow(2, ["bo@example.org", "Bo"])]


def test_headings_are_kept_on_one_line_and_without_marks() -> None:
    assert layout_of('\n\nemail,"Shoe\n size",\'=x,\n').headings == ("email", "Shoe size", "=x", "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\r\n \r\n", "is empty"),
        (b"PK\x03\x04\x14\x00", "Excel workbook or a zip archive; save the table as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook; save the table as CSV"),
        (b"\x1f\x8b\x08\x00", "compressed file"),
        (b"7z\xbc\xaf\x27\x1c", "compressed file"),
        (b"%PDF-1.7\n", "PDF document"),
        (b"email,na\x00me\n", "characters that no heading can have"),
        (b'email,"first name\n', "The first row cannot be read"),
        (b"email," + b"x," * 10_000 + b"\n", "10,002 columns, and at most 500"),
        (b"email\n" + b"x" * (LONGEST_LINE + 300_000) + b"\n", "A line of the file is longer than 1,000,000"),
        (b"email,a\n" + b'"x\n",' * 1_100_000, "A row is longer than 5,000,000"),
    ],
    ids=lambda value: repr(value[:20]),
)
def test_a_file_that_is_no_table_of_people_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(CsvRefused) as refused:
        read(content)

    assert words in str(refused.value)


def test_a_line_that_only_another_encoding_makes_long_is_refused_too() -> None:
    content = b"email\n" + "\u0a0d".encode("utf-16-le") * (LONGEST_LINE + 10)

    with pytest.raises(CsvRefused, match="A line of the file is longer"):
        read(content, "utf-16-le")


# --- rows


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"ann@example.org,{'A' * (LONGEST_CELL + 1)}", "longer than 10,000 characters"),
        ('ann@example.org,"Ann"Lee', "quotation marks of this row do not match"),
        ('ann@example.org,"Ann', "quotation marks of this row do not match"),
        ('"' * 30_001 + ",x", "longer than 10,000 characters"),
    ],
    ids=["long", "after", "open", "quotes"],
)
def test_a_row_that_cannot_be_divided_comes_alone_with_its_line_and_reason(row: str, words: str) -> None:
    rows = read(f"\nemail,first_name\nbefore@example.org,B\n\n{row}\n")

    assert rows[0] == CsvRow(3, ["before@example.org", "B"])
    [broken] = rows[1:]
    assert broken.line_number == 5
    assert words in broken.problem
    assert broken.problem[-1] in ".?"
    assert broken.cells[0].startswith(row[:3])
    assert len(broken.cells[0]) <= 2_000


def test_the_rows_after_a_wrong_one_are_read() -> None:
    rows = read('email,first_name\na@example.org,"A"B\nc@example.org,C\n')

    assert [bool(row.problem) for row in rows] == [True, False]


def test_a_quotation_mark_left_open_never_swallows_people_unseen() -> None:
    rows = read('email,city\na@example.org,"Bonn\nb@example.org,Paris\nc@example.org,"Rome"\n')

    assert all(row.problem for row in rows if "Paris" in str(row.cells))
    assert "spans the lines 2 to 4" in rows[0].problem


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252", "shift_jis"])
def test_reading_goes_on_where_it_stopped_without_reading_again(encoding: str, line_end: str) -> None:
    lines = [f'p{n}@example.org,"A{line_end}B {n}"' for n in range(2_000)]
    content = line_end.join(["sep=,", "email,note", *lines]).encode(encoding)
    layout = look(io.BytesIO(content), encoding)
    whole = list(Rows(io.BytesIO(content), layout))
    file = io.BytesIO(content)
    some = Rows(file, layout)
    assert len(list(itertools.islice(some, 777))) == 777
    position, line = some.position, some.line
    some.close()

    rest = list(Rows(file, layout, position, line))

    assert rest == whole[777:]
    assert rest[-1].line_number == 2 * 2_000 + 1


def test_the_first_rows_are_shown_and_the_file_is_left_at_its_start() -> None:
    file = io.BytesIO(b"email\na@example.org\nb@example.org\nc@example.org\n")

    assert [row.cells for row in first_rows(file, look(file), 2)] == [["a@example.org"], ["b@example.org"]]
    assert file.tell() == 0


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    for row in read("email,a,b\n" + text):
        assert row.cells


def test_the_limits_hold_for_values_the_csv_module_quotes() -> None:
    line = io.StringIO()
    csv.writer(line).writerow(["ann@example.org", 'say "hi", Ann'])

    assert read(f"email,greeting\n{line.getvalue()}") == [CsvRow(2, ["ann@example.org", 'say "hi", Ann'])]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_no_lines_break_the_search_for_a_delimiter(lines: list[str]) -> None:
    assert sniff_delimiter(lines)


# --- cells


@pytest.mark.parametrize("cell", ["=1+1", "+49 30", "-5", "@ann", "\tx", "\rx", "'=1", "''+1"])
def test_a_formula_is_neutralised_and_comes_back(cell: str) -> None:
    assert neutralise(cell) == f"'{cell}"
    assert restore(neutralise(cell)) == cell


@pytest.mark.parametrize("cell", ["", "Ann", "O'Neil", "'t Hart", "'", "a=b"])
def test_other_cells_are_left_alone(cell: str) -> None:
    assert neutralise(cell) == cell
    assert restore(cell) == cell


@given(st.text())
def test_every_cell_comes_back_from_the_round_trip(cell: str) -> None:
    safe = neutralise(cell)

    assert restore(safe) == cell
    assert safe[:1] not in {"=", "+", "-", "@", "\t", "\r"}
