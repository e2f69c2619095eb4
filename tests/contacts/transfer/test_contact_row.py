"""What columns become, what a row says about a person, and what it changes about somebody known."""

import pytest

from contacts.transfer.columns import MappingInvalid, check_mapping, propose
from contacts.transfer.contact_row import LONGEST_KEPT, ContactRow, RowParser, RowRefusal, merge
from contacts.transfer.csv_file import CsvRow
from contacts.transfer.reasons import MOST_REASONS, Reasons

LANGUAGES = ("en", "de")
KINDS = {
    "age": ("number", []),
    "since": ("date", []),
    "member": ("boolean", []),
    "plan": ("choice", ["Gold", "Basic"]),
    "city": ("text", []),
}
ALL = ["email", "first_name", "last_name", "language", "time_zone", "", "attributes.city"]


def person(email: str = "ann@example.org", **changes: object) -> ContactRow:
    given = {"first_name": "", "last_name": "", "language": "", "time_zone": "", "attributes": {}} | changes
    return ContactRow(email=email, key=email.lower(), **given)  # type: ignore[arg-type]


def judge(mapping: list[str], *cells: str, date_order: str = "") -> ContactRow | RowRefusal | None:
    """Return the person whose row can be taken whole, or what is wrong with it."""
    person, refusal = RowParser(mapping, KINDS, LANGUAGES, date_order)(CsvRow(7, list(cells)))
    return refusal or person


def taken(mapping: list[str], *cells: str) -> tuple[ContactRow, RowRefusal]:
    """Return a person who is taken without some cells, and which those are."""
    person, refusal = RowParser(mapping, KINDS, LANGUAGES)(CsvRow(7, list(cells)))
    assert person is not None
    assert refusal is not None
    return person, refusal


def reason(mapping: list[str], *cells: str) -> str:
    judged = judge(mapping, *cells)
    assert isinstance(judged, RowRefusal), judged
    assert judged.line_number == 7
    return judged.reason


# --- columns


@pytest.mark.parametrize(
    ("headings", "mapping"),
    [
        (
            ["E-Mail", "Vorname", "LAST NAME", "Sprache", "Timezone"],
            ["email", "first_name", "last_name", "language", "time_zone"],
        ),
        (["email", "Shoe  size", ""], ["email", "attributes.shoe_size", ""]),
        (["email", "E-mail"], ["email", ""]),
        (["email", "Wohnort"], ["email", "attributes.city"]),  # The label of a defined attribute.
        (["email", "姓", "full name"], ["email", "attributes.column_2", "attributes.my_full_name"]),
        (["email", "For", "limit"], ["email", "attributes.my_for", "attributes.my_limit"]),
        (["email", "subscribed_to", "suppressed"], ["email", "", ""]),
        (["Line in the file", "Why it was refused", "email"], ["", "", "email"]),
        (["email", "x" * 100], ["email", "attributes." + "x" * 64]),
    ],
)
def test_columns_are_proposed_from_their_headings(headings: list[str], mapping: list[str]) -> None:
    assert propose(headings, {"city": "Wohnort"}) == mapping
    check_mapping(mapping, len(headings))


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        (["", "first_name"], "No column becomes the email address"),
        (["email", "email"], "Two columns become “Email”"),
        (["email", "attributes.a", "attributes.a"], "Two columns become “a”"),
        (["email", "id"], "a meaning that does not exist"),
        (["email", "attributes.A b"], "cannot be the name of an attribute"),
        (["email", "attributes.first_name"], "has a meaning of its own"),
        (["email", "attributes.for"], "is a word of the merge language"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused_in_words(mapping: list[str], words: str) -> None:
    with pytest.raises(MappingInvalid, match=words):
        check_mapping(mapping, len(mapping))


def test_an_attribute_that_has_a_word_of_the_merge_language_as_its_name_is_still_filled() -> None:
    assert propose(["email", "for"], {"for": "For whom"}) == ["email", "attributes.for"]
    check_mapping(["email", "attributes.for"], 2, known={"for"})


def test_a_mapping_of_another_number_of_columns_is_refused() -> None:
    with pytest.raises(MappingInvalid, match="The file has 3 columns, and 1 were chosen"):
        check_mapping(["email"], 3)


# --- rows


def test_a_row_becomes_a_person() -> None:
    judged = judge(ALL, " Zoë@Bücher.example ", "Zoe\u0308", "Lee ", "de-AT", "europe/berlin", "left out", "'=1+1")

    assert judged == ContactRow(
        "Zoë@Bücher.example",
        "zoë@xn--bcher-kva.example",
        "Zoë",
        "Lee",
        "de",
        "Europe/Berlin",
        {"city": "=1+1"},
    )


def test_short_rows_and_empty_cells_say_nothing() -> None:
    assert judge(ALL, "ann@example.org") == person()
    assert judge(ALL, "ann@example.org", *[""] * 6, "", "") == person()


def test_values_are_read_by_the_kind_of_their_attribute() -> None:
    mapping = ["email", *(f"attributes.{name}" for name in KINDS), "attributes.other"]

    judged = judge(mapping, "ann@example.org", "38,5", "23.11.2026", "Ja", "gold", "Bonn", "7")

    assert judged == person(
        attributes={
            "age": 38.5,
            "since": "2026-11-23",
            "member": True,
            "plan": "Gold",
            "city": "Bonn",
            "other": "7",
        }
    )


def test_lines_of_an_attribute_are_joined() -> None:
    assert judge(["email", "attributes.city"], "ann@example.org", "1 High Street\r\n Oxford") == person(
        attributes={"city": "1 High Street Oxford"}
    )


def test_a_language_without_words_is_left_out_and_listed() -> None:
    judged, refusal = taken(["email", "language"], "ann@example.org", "fi")

    assert judged == person()
    assert "“fi” is not a language of the public pages" in refusal.reason


@pytest.mark.parametrize("cell", ["MEZ", "mez", " Mez "])
def test_an_unknown_value_means_what_somebody_said(cell: str) -> None:
    meanings = {"time_zone": {"mez": "Europe/Berlin"}, "language": {"deutsch": "de"}}
    parse = RowParser(["email", "time_zone", "language"], KINDS, LANGUAGES, meanings=meanings)

    known, refusal = parse(CsvRow(2, ["ann@example.org", cell, "Deutsch"]))
    other, skipped = parse(CsvRow(3, ["bo@example.org", "Mars", "en"]))

    assert (known, refusal) == (person(language="de", time_zone="Europe/Berlin"), None)
    assert other == person("bo@example.org", language="en")
    assert skipped is not None
    assert skipped.left_out == 1


@pytest.mark.parametrize(
    ("mapping", "cells", "words"),
    [
        (["email"], ["ann@@example.org"], "two @ signs"),
        (["email"], ["ann@example.org\nbcc: x@example.net"], "ann@example.org"),
        (["email", "first_name"], ["", "Ann"], "has no email address"),
        (["email"], ["ann@example.org", "Lee"], "has 2 cells and the first row only 1"),
        (["email", "first_name"], ["a@example.org", "A\x00nn"], "first name holds a character that cannot be stored"),
        (["email", "attributes.city"], ["a@example.org", "\u202eAnn"], "cannot be stored (U+202E)"),
        (["email", "last_name"], ["a@example.org", "Ann\nbcc: x"], "last name holds a line break"),
        (["email", "first_name"], ["a@example.org", "A" * 151], "first name is longer than 150"),
        (["email", "time_zone"], ["a@example.org", "Berlin time"], "“Berlin time” is not a time zone"),
        (["email", "attributes.age"], ["a@example.org", "old"], "age: “old” is not a number"),
        (["email", "attributes.plan"], ["a@example.org", "Silver"], "They are: Gold, Basic"),
        (["email", "attributes.member"], ["a@example.org", "maybe"], "neither yes nor no"),
    ],
)
def test_a_row_is_refused_with_its_line_and_reason(mapping: list[str], cells: list[str], words: str) -> None:
    assert words in reason(mapping, *cells)


@pytest.mark.parametrize(
    ("target", "cell", "words"),
    [
        ("attributes.age", "thirty", "“thirty” is not a number"),
        ("attributes.since", "31.02.2020", "There is no 31.02.2020"),
        ("attributes.since", "03/04/2026", "the day or the month first"),
        ("attributes.member", "perhaps", "neither yes nor no"),
        ("attributes.plan", "Silver", "none of the choices"),
        (
            "attributes.city",
            "Bo\ufffdn",
            "The city holds a character that the file's encoding does not have: Bo\ufffdn",
        ),
        ("attributes.city", "a\x07b", "cannot be stored (U+0007)"),
        ("last_name", "M\ufffdller", "The last name holds a character that the file's encoding does not have"),
        ("last_name", "x" * 151, "The last name is longer than 150 characters"),
        ("time_zone", "Middle Earth", "“Middle Earth” is not a time zone"),
        ("language", "Elvish", "“Elvish” is not a language"),
        ("last_name", "Lee\nbo@example.org", "The last name holds a line break"),
        ("last_name", "=cmd()", "The last name begins with = like a spreadsheet formula."),
        ("last_name", "\t+1", "begins with + like"),
        ("last_name", " @SUM(A1)", "begins with @ like"),
    ],
)
def test_a_cell_that_cannot_be_read_is_left_out_and_the_person_taken(target: str, cell: str, words: str) -> None:
    judged, refusal = taken(["email", "first_name", target], "ann@example.org", "Ann", cell)

    assert judged == person(first_name="Ann")
    assert refusal.reason.startswith("Imported with cells skipped. ")
    assert words in refusal.reason
    assert refusal.left_out == 1
    assert refusal.cells == ["ann@example.org", "Ann", cell]


def test_a_text_that_an_export_marked_is_no_formula_and_attributes_may_begin_as_they_like() -> None:
    judged = judge(["email", "first_name", "attributes.city"], "ann@example.org", "'=x", "+49 30")

    assert judged == person(first_name="=x", attributes={"city": "+49 30"})


def test_a_row_of_too_many_long_attributes_is_a_person_without_them() -> None:
    parse = RowParser(["email", "first_name", *(f"attributes.a{n}" for n in range(11))], {}, ())

    person, refused = parse(CsvRow(2, ["ann@example.org", "Ann", *["x" * 10_000] * 11]))

    assert person is not None
    assert (person.first_name, person.attributes) == ("Ann", {})
    assert refused is not None
    assert "one person may have 100,000" in refused.reason


def test_each_cell_that_is_left_out_is_counted() -> None:
    judged, refusal = taken(
        ["email", "attributes.age", "attributes.since", "attributes.city"], "a@example.org", "x", "y", "Bonn"
    )

    assert judged == person("a@example.org", attributes={"city": "Bonn"})
    assert refusal.left_out == 2


def test_names_and_attributes_keep_joiners_and_lose_what_nobody_sees() -> None:
    mapping = ["email", "first_name", "last_name", "attributes.city"]

    judged = judge(mapping, "a@example.org", "على\u200cرضا", "\ufeffLee\u200b", "New\u00a0\u2060York")

    assert judged == person(
        "a@example.org", first_name="على\u200cرضا", last_name="Lee", attributes={"city": "New York"}
    )


def test_an_address_with_a_byte_that_cannot_be_read_refuses_the_row() -> None:
    person, refusal = RowParser(["email"], KINDS, LANGUAGES)(CsvRow(7, ["z\ufffd@example.org"]))

    assert person is None
    assert refusal is not None
    assert "The email holds a character" in refusal.reason
    assert refusal.left_out == 0


@pytest.mark.parametrize(
    ("order", "cell", "day"),
    [
        ("day", "03/04/2026", "2026-04-03"),
        ("month", "03/04/2026", "2026-03-04"),
        ("day", "31-12-1999", "1999-12-31"),
        ("month", "12/31/1999", "1999-12-31"),
        ("month", "23.11.2026", "2026-11-23"),  # With full stops the day is first everywhere.
        ("month", "2026/11/23", "2026-11-23"),
    ],
)
def test_the_order_of_dates_is_the_one_chosen(order: str, cell: str, day: str) -> None:
    judged = judge(["email", "attributes.since"], "ann@example.org", cell, date_order=order)

    assert judged == person(attributes={"since": day})


@pytest.mark.parametrize(
    "cell",
    [
        "\ufeffann@example.org",
        "ann@example.org\u200b",
        "\u200eann@example.org\u2060",
        "\u00adann@example.org\u00a0\u200d",
        "Ann <ann@example.org>",
        '"Lee, Ann" <ann@example.org>;',
        "<ann@example.org>",
        "mailto:ann@example.org",
        "MAILTO:ann@example.org?subject=Hello",
        "Ann <mailto:ann@example.org>",
        "ann@example.org.",
        "ann@example.org,",
        "(ann@example.org)",
        "'ann@example.org'",
        "“ann@example.org”",
    ],
)
def test_what_programs_write_around_an_address_is_taken_off(cell: str) -> None:
    assert judge(["email"], cell) == person()


@pytest.mark.parametrize(
    "cell", ["ann@exam\u200bple.org", "Ann <ann@example.org> or bo@example.org", "ann@example.org <Ann>", "mailto:"]
)
def test_what_stands_inside_an_address_or_beside_two_is_refused(cell: str) -> None:
    assert isinstance(judge(["email"], cell), RowRefusal)


@pytest.mark.parametrize(
    "heading", ["Primary Email", "Courriel", "Почта", "メールアドレス", "Kontakt", "E-Mail privat", ""]
)
def test_the_column_of_addresses_is_told_by_its_cells(heading: str) -> None:
    rows = [["Ann", "ann@example.org"], ["Bo", ""], ["Cy", "Cy Lee <cy@example.org>"]]

    assert propose(["first name", heading], {}, rows) == ["first_name", "email"]


def test_a_heading_that_says_address_is_believed_unless_another_column_holds_them() -> None:
    assert propose(["email", "other"], {}, [["ann@example.org", "bo@example.org"]])[0] == "email"
    assert propose(["email", "other"], {}, []) == ["email", "attributes.other"]
    assert propose(["Mail", "Contact"], {}, [["yes", "ann@example.org"]]) == ["attributes.my_mail", "email"]
    assert propose(["name", "note"], {}, [["Ann", "see a@b"], ["Bo", "none"]]) == ["attributes.name", "attributes.note"]


def test_every_reason_is_told() -> None:
    told = reason(["email", "attributes.age", "time_zone"], "ann", "old", "Mars")

    assert "no @ sign" in told
    assert "not a number" in told
    assert "not a time zone" in told


def test_a_refused_row_keeps_its_cells_and_cuts_very_long_ones() -> None:
    judged = judge(["email", "attributes.city", "attributes.other"], "ann", "x" * LONGEST_KEPT, "y" * 50)

    assert isinstance(judged, RowRefusal)
    assert judged.cells[0] == "ann"
    assert sum(map(len, judged.cells)) <= LONGEST_KEPT + 2


def test_a_row_that_was_not_divided_is_refused_as_it_stands() -> None:
    _, judged = RowParser(["email"], {}, ())(CsvRow(9, ['"a\x00"b'], "The quotation marks do not match."))

    assert judged == RowRefusal(9, [], '"a\ufffd"b', "The quotation marks do not match.")


# --- reasons


def test_equal_reasons_of_a_file_count_together() -> None:
    parse = RowParser(["email", "time_zone", "attributes.since", "attributes.plan"], KINDS, LANGUAGES)
    rows = [
        *(["a@example.org", "MEZ", "", ""], ["b@example.org", "mez", "soon", ""], ["c@example.org", "", "never", ""]),
        *(["d@example.org", "", "", "Silver"], ["nobody", "MEZ", "", ""], ["", "", "", ""], ["x", "", "", "", "y"]),
    ]
    reasons = Reasons()
    reasons.add(refusal for row in rows for refusal in [parse(CsvRow(2, row))[1]] if refusal)
    reasons.add([RowRefusal(9, [], '"a"b', "The quotation marks do not match.")])

    assert [tuple(each) for each in reasons.most_common()] == [
        ("time_zone", "time_zone", "MEZ", 0, 2),
        ("date", "attributes.since", "", 0, 2),
        ("address", "email", "", 2, 0),
        ("choice", "attributes.plan", "Silver", 0, 1),
        ("no_address", "email", "", 1, 0),
        ("width", "", "", 1, 0),
        ("row", "", "", 1, 0),
    ]
    assert Reasons(reasons.stored()).stored() == reasons.stored()


def test_ten_thousand_reasons_are_a_thousand_and_the_others() -> None:
    parse = RowParser(["email", "time_zone"], KINDS, LANGUAGES)
    reasons = Reasons()

    for batch in range(10):
        reasons = Reasons(reasons.stored())
        cells = [
            f"{'x' * 5_000 if batch == 0 and not number else ''}\x9b=zone {batch} {number}" for number in range(1_000)
        ]
        reasons.add(refusal for cell in cells for refusal in [parse(CsvRow(2, ["a@example.org", cell]))[1]] if refusal)

    found = reasons.most_common()
    assert len(found) == MOST_REASONS + 1
    assert sum(each.total for each in found) == 10_000
    assert (found[-1].key, found[-1].total) == ("other", 9_000)
    assert all(each.value.isprintable() and len(each.value) <= 60 for each in found)


# --- policies

KNOWN = person(first_name="Ann", language="en", attributes={"city": "Bonn", "age": 7, "plan": "", "old": None})
TOLD = person(
    "ANN@example.org",
    first_name="Anna",
    last_name="Lee",
    time_zone="Europe/Berlin",
    attributes={"city": "Rome", "plan": "Gold", "shoe": "38", "old": "x"},
)._replace(key="ann@example.org")


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("skip", KNOWN),
        (
            "fill",
            KNOWN._replace(
                last_name="Lee",
                time_zone="Europe/Berlin",
                attributes={"city": "Bonn", "age": 7, "plan": "Gold", "shoe": "38", "old": "x"},
            ),
        ),
        (
            "overwrite",
            KNOWN._replace(
                first_name="Anna",
                last_name="Lee",
                time_zone="Europe/Berlin",
                attributes={"city": "Rome", "age": 7, "plan": "Gold", "shoe": "38", "old": "x"},
            ),
        ),
    ],
)
def test_a_policy_says_what_the_file_may_change(policy: str, expected: ContactRow) -> None:
    assert merge(KNOWN, TOLD, policy) == expected


@pytest.mark.parametrize("policy", ["skip", "fill", "overwrite"])
def test_what_tells_nothing_new_changes_nothing(policy: str) -> None:
    assert merge(KNOWN, person(), policy) is KNOWN
    assert merge(KNOWN, KNOWN, policy) is KNOWN
