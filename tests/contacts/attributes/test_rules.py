"""Custom attributes that administrators defined: what their values may be, and how they are shown."""

import pytest
from liquid.builtin.expressions import _tokenize

from contacts.attributes.rules import (
    MERGE_WORDS,
    NameInvalid,
    check_name,
    likely_consent,
    likely_kind,
    merge_values,
    parse_value,
    value_text,
)
from mail.merge_fields import MergeError, parse

READ = [
    ("text", "  Bonn ", "Bonn"),
    ("text", "0123", "0123"),
    ("number", "38", 38),
    ("number", "38.50", 38.5),
    ("number", "38,5", 38.5),
    ("number", "-2", -2),
    ("number", "1 234 567", 1234567),
    ("number", "1.234,50", 1234.5),
    ("number", "-1,234,567.5", -1234567.5),
    ("number", "1.0", 1),
    ("number", "0.125", 0.125),
    ("number", "1234567.1", 1234567.1),
    ("number", "0.0000001", 1e-7),
    ("date", "2026-11-23", "2026-11-23"),
    ("date", "2026/1/5", "2026-01-05"),
    ("date", "23.11.2026", "2026-11-23"),
    ("date", "2026-11-23 00:00:00", "2026-11-23"),
    ("date", "2028-02-29T12:30:00Z", "2028-02-29"),
    ("boolean", "Yes", True),
    ("boolean", "ja", True),
    ("boolean", "0", False),
    ("boolean", "FALSE", False),
    ("choice", "gold", "Gold"),
    ("choice", "Silver", "Silver"),
    *((kind, " \u00a0", None) for kind in ("text", "number", "date", "boolean", "choice")),
]

REFUSED = [
    ("text", "x" * 10_001, "at most 10,000 characters"),
    ("text", "a\0b", "NUL"),
    ("number", "1,234", "can be read as two numbers"),
    ("number", "nan", "not a number"),
    ("number", "1e9", "not a number"),
    ("number", "٣", "not a number"),
    ("number", "1" * 16, "not a number"),
    ("date", "11/23/2026", "Write the year first"),
    ("date", "2026-02-29", "There is no 2026-02-29"),
    ("date", "0026-02-01", "There is no 0026-02-01"),
    ("boolean", "maybe", "neither yes nor no"),
    ("choice", "Bronze", "They are: Gold, Silver"),
]

SHOWN = [
    ("Bonn", "Bonn"),
    (None, ""),
    (True, "yes"),
    (False, "no"),
    (38, "38"),
    (38.0, "38"),
    (38.5, "38.5"),
    (0.1, "0.1"),
    (1e-7, "0.0000001"),
    (["a", "ü"], '["a", "ü"]'),
]


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_a_value_is_read_as_its_kind(kind: str, text: str, value: object) -> None:
    read = parse_value(kind, ["Gold", "Silver"], text)

    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("kind", "text", "reason"), REFUSED)
def test_what_is_no_value_of_the_kind_is_refused_with_a_sentence(kind: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_value(kind, ["Gold", "Silver"], text)


@pytest.mark.parametrize(("value", "text"), SHOWN)
def test_a_value_is_shown_as_people_write_it(value: object, text: str) -> None:
    assert value_text(value) == text


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_what_is_shown_is_read_back(kind: str, text: str, value: object) -> None:
    assert parse_value(kind, ["Gold", "Silver"], value_text(value)) == value


def is_usable(name: str) -> bool:
    """Whether a merge field of that name shows a contact's value, wherever it stands."""
    templates = (
        f"{{{{ {name} }}}}",
        f'{{% if {name} == "Bonn" %}}Bonn{{% endif %}}',
        f"{{% for each in all %}}{{{{ {name} }}}}{{% endfor %}}",
        f"{{% tablerow each in all %}}{{{{ {name} }}}}{{% endtablerow %}}",
    )
    try:
        return all("Bonn" in parse(source).render({name: "Bonn", "all": ["1"]}) for source in templates)
    except MergeError:
        return False


@pytest.mark.parametrize("name", sorted({*MERGE_WORDS, *_tokenize._keywords}))
def test_a_name_that_no_merge_field_could_show_is_refused(name: str) -> None:
    assert not is_usable(name)
    with pytest.raises(NameInvalid, match=rf"“{name}” is a word of the merge language, .* for example my_{name}\."):
        check_name(name)
    assert check_name(name, known=[name]) == name


@pytest.mark.parametrize("name", ["list", "city", "date", "size", "endif", "assign", "case", "product"])
def test_other_words_are_names_like_any(name: str) -> None:
    assert is_usable(name)
    assert check_name(name) == name


def test_every_kind_of_value_is_a_merge_field() -> None:
    attributes = {"city": "Bonn", "size": 38.0, "since": "2026-11-23", "vip": False}
    template = parse("{{ city }} {{ size }} {{ since | date: '%d.%m.%Y' }} {{ vip }}{% if vip %}!{% endif %}")

    assert template.render(merge_values(attributes)) == "Bonn 38 23.11.2026 no"


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["185,08", "1100,46", "12"], "number"),
        (["1.234,50", "-3.5"], "number"),
        (["12.50", "free"], "text"),
        (["01067", "50667"], "text"),
        (["26.01.2026", "2026-01-26", ""], "date"),
        (["26/01/2026", "03/04/2026"], "date"),
        (["01/26/2026", "03.04.2026"], "date"),
        (["26/01/2026", "01/26/2026"], "text"),
        (["ja", "nein", ""], "boolean"),
        (["1", "0"], "text"),
        (["", " "], "text"),
    ],
)
def test_the_first_cells_suggest_a_kind(cells: list[str], kind: str) -> None:
    assert likely_kind(cells) == kind


@pytest.mark.parametrize(
    ("heading", "cells", "is_consent"),
    [
        ("Einwilligung", ["ja", "nein", ""], True),
        ("Opt-in", ["1", "0"], True),
        ("Marketing consent", ["granted"], True),
        ("Consent source", ["web form"], False),
        ("Opt-out", ["yes"], False),
        ("Member", ["yes"], False),
    ],
)
def test_a_column_about_consent_is_known_by_heading_and_cells(heading: str, cells: list[str], is_consent: bool) -> None:
    assert likely_consent(heading, cells) is is_consent
