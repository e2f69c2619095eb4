"""What is wrong with written conditions, in words and with its place."""

import datetime as dt
from typing import Any

import pytest

from contacts.segments.conditions import (
    MOST_CONDITIONS,
    Condition,
    ConditionField,
    ConditionsInvalid,
    Group,
    Operator,
    Parameter,
    anniversary_range,
    describe,
    load,
    parse,
)
from words.texts import TRANSLATOR, translated

TEXT = Parameter("text", "text", "the text")
FIELDS = (
    ConditionField("city", "City", "", (Operator("is", "is", (TEXT,)), Operator("empty", "is empty"))),
    ConditionField(
        "size", "Size", "", (Operator("less", "is less than", (Parameter("number", "number", "the number"),)),)
    ),
    ConditionField("born", "Born", "", (Operator("on", "is on", (Parameter("date", "date", "the date"),)),)),
    ConditionField(
        "seen", "Seen", "", (Operator("last", "in the last days:", (Parameter("days", "days", "the days"),)),)
    ),
    ConditionField(
        "list",
        "List",
        "",
        (
            Operator("on", "is on", (Parameter("lists", "choices", "the lists", ((1, "News"), (2, "Events"))),)),
            Operator("one", "is", (Parameter("list", "choice", "the list", ((1, "News"),), is_optional=True),)),
        ),
    ),
    ConditionField(
        "span",
        "Span",
        "",
        (
            Operator(
                "between",
                "is between",
                (Parameter("from", "number", "the lower"), Parameter("to", "number", "the higher")),
            ),
        ),
    ),
)
VOCABULARY = {field.name: field for field in FIELDS}


def all_of(*members: Any) -> dict[str, Any]:
    return {"match": "all", "conditions": list(members)}


CITY = {"field": "city", "operator": "is", "text": "Bonn"}


def test_what_is_well_written_is_read_and_read_again() -> None:
    written = all_of(CITY, {"match": "none", "conditions": [{"field": "city", "operator": "empty"}]})

    group = parse(written, VOCABULARY)

    assert group == Group(
        "all", (Condition("city", "is", {"text": "Bonn"}), Group("none", (Condition("city", "empty"),)))
    )
    assert load(written) == group
    assert [condition.operator for condition in group.conditions()] == ["is", "empty"]


@pytest.mark.parametrize(
    ("written", "path", "parameter", "text"),
    [
        ([], (), "", "A group of conditions is written as an object."),
        ({"match": "all"}, (), "", "Add at least one condition."),
        (all_of(), (), "", "Add at least one condition."),
        (all_of(all_of()), (0,), "", "Add at least one condition."),
        ({"match": "some", "conditions": [CITY]}, (), "", "Choose whether all, any or none"),
        ({"match": ["all"], "conditions": [CITY]}, (), "", "Choose whether all, any or none"),
        (all_of(CITY) | {"sql": "DROP"}, (), "", "A group has no “sql”."),
        (all_of("x"), (0,), "", "A condition is written as an object."),
        (all_of({}), (0,), "", "Choose what the condition is about."),
        (all_of({"field": ["city"]}), (0,), "", "Choose what the condition is about."),
        (all_of({"field": "password"}), (0,), "", "“password” is nothing that can be asked"),
        (all_of({"field": "attribute:shoe"}), (0,), "", "There is no attribute named “shoe” any more"),
        (all_of({"field": "city", "operator": "less"}), (0,), "operator", "Choose what “City” is compared by."),
        (all_of({"field": "city", "operator": "is"}), (0,), "text", "City is: fill in the text."),
        (all_of({"field": "city", "operator": "is", "text": "  "}), (0,), "text", "City is: write some text."),
        (all_of({"field": "city", "operator": "is", "text": "a\0"}), (0,), "text", "City is: write some text."),
        (all_of({"field": "city", "operator": "is", "text": 7}), (0,), "text", "City is: write some text."),
        (all_of({"field": "city", "operator": "is", "text": "x" * 1_001}), (0,), "text", "City is: the text is longer"),
        (all_of({"field": "city", "operator": "empty", "text": "x"}), (0,), "", "“City is empty” takes no “text”."),
        (
            all_of(CITY, {"field": "size", "operator": "less", "number": "9"}),
            (1,),
            "number",
            "write a number, like 1000",
        ),
        (all_of({"field": "size", "operator": "less", "number": True}), (0,), "number", "write a number, like 1000"),
        (
            all_of({"field": "size", "operator": "less", "number": float("nan")}),
            (0,),
            "number",
            "write a number, like 1000",
        ),
        (all_of({"field": "size", "operator": "less", "number": 1e300}), (0,), "number", "write a number, like 1000"),
        (all_of({"field": "born", "operator": "on", "date": "2026-02-30"}), (0,), "date", "write a date"),
        (all_of({"field": "born", "operator": "on", "date": "20260201"}), (0,), "date", "write a date"),
        (all_of({"field": "born", "operator": "on", "date": {}}), (0,), "date", "write a date"),
        (all_of({"field": "seen", "operator": "last", "days": 0}), (0,), "days", "1 to 36,500"),
        (all_of({"field": "seen", "operator": "last", "days": 1.5}), (0,), "days", "1 to 36,500"),
        (all_of({"field": "list", "operator": "on", "lists": []}), (0,), "lists", "List is on: fill in the lists."),
        (all_of({"field": "list", "operator": "on", "lists": [1, 3]}), (0,), "lists", "the lists is no longer there"),
        (all_of({"field": "list", "operator": "on", "lists": [True]}), (0,), "lists", "is no longer there"),
        (all_of({"field": "list", "operator": "on", "lists": [[1]]}), (0,), "lists", "is no longer there"),
        (all_of({"field": "list", "operator": "on", "lists": "1"}), (0,), "lists", "choose up to 500 of them."),
        (all_of({"field": "list", "operator": "one", "list": 2}), (0,), "list", "is no longer there"),
        (all_of({"field": "span", "operator": "between", "from": 2, "to": 1}), (0,), "to", "is above the second."),
    ],
)
def test_what_is_wrong_is_named_with_its_place(written: Any, path: tuple[int, ...], parameter: str, text: str) -> None:
    with pytest.raises(ConditionsInvalid) as caught:
        parse(written, VOCABULARY)

    [problem] = caught.value.problems
    assert (problem.path, problem.parameter) == (path, parameter)
    assert text in problem.text


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(ConditionsInvalid) as caught:
        parse(all_of({"field": "city", "operator": "is"}, CITY, all_of({"field": "x"})), VOCABULARY)

    assert [problem.path for problem in caught.value.problems] == [(0,), (2, 0)]


def test_an_optional_value_may_be_left_out() -> None:
    assert parse(all_of({"field": "list", "operator": "one", "list": ""}), VOCABULARY).members == (
        Condition("list", "one"),
    )


def test_groups_nest_five_deep_and_no_deeper() -> None:
    written: dict[str, Any] = all_of(CITY)
    for _ in range(4):
        written = all_of(written)
    parse(written, VOCABULARY)

    with pytest.raises(ConditionsInvalid, match="nested 5 deep"):
        parse(all_of(written), VOCABULARY)


def test_a_hundred_conditions_are_taken_and_no_more() -> None:
    parse(all_of(*[CITY] * MOST_CONDITIONS), VOCABULARY)

    with pytest.raises(ConditionsInvalid, match="These are 101 conditions, and at most 100 are possible"):
        parse(all_of(all_of(CITY), *[CITY] * MOST_CONDITIONS), VOCABULARY)


@pytest.mark.parametrize(
    ("today", "days", "expected"),
    [
        ((2026, 3, 1), 30, ("03-01", "03-31")),
        ((2026, 12, 20), 30, ("12-20", "01-19")),
        ((2026, 2, 20), 8, ("02-20", "02-29")),  # No 29th in that year: those born on it celebrate on the 28th.
        ((2028, 2, 20), 8, ("02-20", "02-28")),
        ((2028, 2, 20), 9, ("02-20", "02-29")),
        ((2026, 3, 1), 365, None),
    ],
)
def test_anniversaries_lie_between_two_days(
    today: tuple[int, int, int], days: int, expected: tuple[str, str] | None
) -> None:
    assert anniversary_range(dt.date(*today), days) == expected


def test_conditions_are_told_in_the_language_of_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    koeln = {"field": "city", "operator": "is", "text": "Köln"}
    group = parse({"match": "any", "conditions": [CITY, koeln]}, VOCABULARY)
    english = describe(group, VOCABULARY)

    monkeypatch.setattr(TRANSLATOR, "gettext", lambda text: text.replace(" or ", " oder "))

    assert english == "City is Bonn or City is Köln"
    assert translated(english) == "City is Bonn oder City is Köln"
