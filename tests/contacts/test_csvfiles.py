"""What a CSV file of people may look like, and what is refused of it."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contacts.csvfiles import (
    LONGEST_CELL,
    LONGEST_LINE,
    FileRefused,
    PeopleFile,
    Person,
    Refusal,
    inspect,
    neutralise,
    open_text,
    restore,
    sniff_delimiter,
)


def read(text: str) -> list[Person | Refusal]:
    return list(PeopleFile(io.StringIO(text, newline="")))


def read_bytes(path: Path, content: bytes) -> list[Person | Refusal]:
    path.write_bytes(content)
    with path.open("rb") as file, open_text(file) as text:
        return list(PeopleFile(text))


def encoding_of(path: Path) -> str:
    with path.open("rb") as file:
        return inspect(file)


def reason_of(text: str) -> str:
    [refusal] = [row for row in read(text) if isinstance(row, Refusal)]
    return refusal.reason


@pytest.mark.parametrize(
    "heading",
    [
        "email,first name,last name,Shoe size",
        "E-Mail;First_Name;LAST NAME;shoe-size",
        "Email Address\tFirst\tSurname\tShoe  size",
        '"mail"|"Vorname"|"Nachname"|"Shoe size"',
    ],
)
def test_headings_are_understood_in_many_spellings(heading: str) -> None:
    delimiter = sniff_delimiter(heading)

    rows = read(f"{heading}\r\n{delimiter.join(['ann@example.org', 'Ann', 'Lee', '38'])}\r\n")

    assert rows == [Person("ann@example.org", "Ann", "Lee", attributes={"shoe_size": "38"})]


@pytest.mark.parametrize(
    ("encoding", "encoded_as"),
    [
        ("utf-8", "utf-8-sig"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("latin-1", "cp1252"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_each_encoding_and_line_end_gives_the_same_people(
    tmp_path: Path, encoding: str, encoded_as: str, line_end: str
) -> None:
    content = f"email,first_name{line_end}zoe@example.org,Zoë{line_end}jose@example.org,José{line_end}"
    path = tmp_path / "people.csv"

    rows = read_bytes(path, content.encode(encoding))

    assert rows == [Person("zoe@example.org", "Zoë"), Person("jose@example.org", "José")]
    assert encoding_of(path) == encoded_as


def test_a_character_cut_by_the_reading_window_is_still_utf8(tmp_path: Path) -> None:
    rows = b"email,note\n" + "".join(f"p{i}@example.org,{'ü' * 61}\n" for i in range(9000)).encode()
    path = tmp_path / "people.csv"
    path.write_bytes(rows)

    assert encoding_of(path) == "utf-8-sig"
    path.write_bytes(rows + b"x@example.org,\xc3")
    assert encoding_of(path) == "cp1252"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\r\n \r\n", "is empty"),
        (b"PK\x03\x04\x14\x00", "Excel workbook or a zip archive; save the table as CSV"),
        (b"\x1f\x8b\x08\x00", "compressed file"),
        (b"%PDF-1.7\n", "PDF document"),
        (b"ann@example.org,Ann\n", "The first row must name the columns"),
        (b"name,phone\nAnn,1\n", "it reads: name, phone."),
        (b"email,E-Mail\n", "Two columns mean “email”"),
        (b"email,Shoe size,shoe_size\n", "Two columns mean “shoe_size”"),
        (b"email,full name\n", "has a meaning of its own"),
        ("email,姓\n".encode(), "The column “姓” cannot be imported"),
        (b"email,na\x00me\n", "characters that no heading can have"),
        (b'email,"first name\n', "The first row cannot be read"),
        (b"email," + b"x," * 10_000 + b"\n", "10,002 columns; at most 500"),
        (b"email\n" + b"x" * (LONGEST_LINE + 300_000) + b"\n", "A line of the file is longer than 1,000,000"),
        (b"email,a\n" + b'"x\n",' * 1_100_000, "A row is longer than 5,000,000"),
    ],
)
def test_a_file_that_is_no_table_of_people_is_refused_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(FileRefused) as refused:
        read_bytes(tmp_path / "file", content)

    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("ann@@example.org,Ann", "@"),
        (",Ann", "has no e-mail address"),
        ("ann@example.org,Ann,Lee", "has 3 cells and the first row only 2"),
        ("ann@example.org,A\x00nn", "cannot be stored (U+0000)"),
        ("ann@example.org,\u202eAnn", "cannot be stored (U+202E)"),
        ('ann@example.org,"Ann\nbcc: x@example.net"', "holds a line break"),
        ('"ann@example.org\nbcc: x@example.net",Ann', "ann@example.org"),
        (f"ann@example.org,{'A' * 151}", "first name is longer than 150"),
        (f"ann@example.org,{'A' * (LONGEST_CELL + 1)}", "longer than 10,000 characters"),
        ('ann@example.org,"Ann"Lee', "quotation marks of this row do not match"),
        ('ann@example.org,"Ann', "quotation marks of this row do not match"),
    ],
)
def test_a_wrong_row_is_refused_alone_with_its_line_and_reason(row: str, words: str) -> None:
    rows = read(f"\nemail,first_name\nbefore@example.org,B\n\n{row}\n")

    assert rows[0] == Person("before@example.org", "B")
    [refusal] = rows[1:]
    assert isinstance(refusal, Refusal)
    assert refusal.line_number == 5
    assert words in refusal.reason
    assert refusal.reason[-1] in ".?"
    assert refusal.content.startswith(row[:3].replace("\n", "\ufffd"))


def test_the_rows_after_a_wrong_one_are_read() -> None:
    rows = read('email,first_name\na@example.org,"A"B\nc@example.org,C\n')

    assert [type(row) for row in rows] == [Refusal, Person]


def test_a_quotation_mark_left_open_never_swallows_people_unseen() -> None:
    rows = read('email,city\na@example.org,"Bonn\nb@example.org,Paris\nc@example.org,"Rome"\n')

    assert not [row for row in rows if isinstance(row, Person) and "Paris" in str(row.attributes)]
    assert "spans the lines 2 to 4" in rows[0].reason  # type: ignore[union-attr]


def test_white_space_is_trimmed_and_lines_of_an_attribute_are_joined() -> None:
    rows = read('email, first_name ,address\n ann@example.org , "Ann","1 High Street\r\nOxford"\n')

    assert rows == [Person("ann@example.org", "Ann", attributes={"address": "1 High Street Oxford"})]


def test_consent_is_never_read_from_a_column() -> None:
    rows = read("email,subscribed_to,unsubscribed_from,suppressed\nann@example.org,News,,no\n")

    assert rows == [Person("ann@example.org")]


def test_the_line_that_tells_excel_the_delimiter_is_no_heading() -> None:
    assert read("sep=;\r\nemail;first_name\r\nann@example.org;Ann\r\nno\r\n") == [
        Person("ann@example.org", "Ann"),
        Refusal(4, "no", "no has no @ sign; write it as name@example.com."),
    ]


def test_short_rows_and_nameless_columns_are_no_error() -> None:
    assert read("email,,city\nann@example.org\nbo@example.org,x,Bonn,,\n") == [
        Person("ann@example.org"),
        Person("bo@example.org", attributes={"city": "Bonn"}),
    ]


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


@given(st.text())
def test_no_text_breaks_the_reader(text: str) -> None:
    for row in read("email,a,b\n" + text):
        assert isinstance(row, Person | Refusal)


def test_the_limits_hold_for_values_the_csv_module_quotes() -> None:
    line = io.StringIO()
    csv.writer(line).writerow(["ann@example.org", 'say "hi", Ann'])

    assert read(f"email,greeting\n{line.getvalue()}") == [
        Person("ann@example.org", attributes={"greeting": 'say "hi", Ann'})
    ]
    assert "meaning" not in reason_of("email\nx\n")
