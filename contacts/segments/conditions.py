"""Segment conditions in their stored form: parsing, validation and wording.

A group matches people who meet all, any or none of its members, which are conditions or further groups:

    {"match": "all", "conditions": [
        {"field": "language", "operator": "in", "values": ["de"]},
        {"match": "any", "conditions": [
            {"field": "attribute:city", "operator": "is", "text": "Bonn"},
            {"field": "list", "operator": "subscribed", "lists": [3]}]}]}

A vocabulary gives the possible fields and operators. :mod:`contacts.segments.query` turns conditions into SQL.
"""

import datetime as dt
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

MOST_DEPTH = 5  # Levels of groups, including the outermost.
MOST_CONDITIONS = 100
MOST_CHOICES = 500  # In one condition.
LONGEST_TEXT = 1_000
MOST_DAYS = 36_500
LARGEST_NUMBER = 1e15

MATCHES = {"all": "all of these", "any": "any of these", "none": "none of these"}
ROOT_MATCH = "all"


# --- the vocabulary -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that an operator compares with."""

    name: str
    kind: str  # "text", "number", "date", "days", "choice" or "choices".
    label: str  # Shown on the page and read by screen readers.
    options: tuple[tuple[str | int, str], ...] = ()  # For a choice: value and label.
    is_optional: bool = False
    empty_words: str = ""  # For an optional choice: the label of the empty option.


@dataclass(frozen=True, slots=True)
class Operator:
    name: str
    label: str
    parameters: tuple[Parameter, ...] = ()


@dataclass(frozen=True, slots=True)
class ConditionField:
    """A property of people that conditions can ask for."""

    name: str  # "email", "attribute:city"; the part before the colon is the kind.
    label: str
    group: str  # The heading in the menu.
    operators: tuple[Operator, ...]

    def operator(self, name: str) -> Operator | None:
        return next((operator for operator in self.operators if operator.name == name), None)


Vocabulary = Mapping[str, ConditionField]


# --- conditions -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Condition:
    field: str
    operator: str
    values: Mapping[str, Any] = dataclass_field(default_factory=dict)  # By parameter name.

    @property
    def kind(self) -> str:
        return self.field.partition(":")[0]

    @property
    def name(self) -> str:
        """The part after the kind: the name of an attribute."""
        return self.field.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Group:
    match: str
    members: "tuple[Condition | Group, ...]"

    def conditions(self) -> Iterator[Condition]:
        """Yield every condition, including those of nested groups."""
        for member in self.members:
            if isinstance(member, Group):
                yield from member.conditions()
            else:
                yield member


@dataclass(frozen=True, slots=True)
class Problem:
    """An error and the path of its member: (0, 2) is the third member of the first member of the root."""

    path: tuple[int, ...]
    text: str
    parameter: str = ""


class ConditionsInvalid(ValueError):
    """The conditions cannot be used; ``problems`` says why, each with its path."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(" ".join(dict.fromkeys(problem.text for problem in problems)))
        self.problems = problems


def parse(written: Any, vocabulary: Vocabulary) -> Group:
    """Return the conditions, validated against the vocabulary.

    :raises ConditionsInvalid: with every problem.
    """
    reader = _Reader(vocabulary)
    group = reader.read_group(written, ())
    if reader.count > MOST_CONDITIONS:
        reader.note((), f"These are {reader.count} conditions; at most {MOST_CONDITIONS} are possible. Remove some.")
    if reader.problems:
        raise ConditionsInvalid(reader.problems)
    return group


def load(written: Mapping[str, Any]) -> Group:
    """Return stored conditions, which were validated when saved; lists or attributes in them may be deleted by now.

    Empty conditions give a group without members, which nobody meets.
    """
    members: list[Condition | Group] = []
    for member in written.get("conditions", ()):
        if "match" in member:
            members.append(load(member))
        else:
            values = {name: value for name, value in member.items() if name not in ("field", "operator")}
            members.append(Condition(member["field"], member["operator"], values))
    return Group(written.get("match", ROOT_MATCH), tuple(members))


class _Reader:
    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.problems: list[Problem] = []
        self.count = 0

    def note(self, path: tuple[int, ...], text: str, parameter: str = "") -> None:
        self.problems.append(Problem(path, text, parameter))

    def read_group(self, written: Any, path: tuple[int, ...]) -> Group:
        if not isinstance(written, dict):
            self.note(path, "A group of conditions is written as an object.")
            return Group(ROOT_MATCH, ())
        if len(path) >= MOST_DEPTH:
            self.note(path, f"Groups can be nested {MOST_DEPTH} deep; move these conditions further out.")
            return Group(ROOT_MATCH, ())
        for name in written.keys() - {"match", "conditions"}:
            self.note(path, f"A group has no “{str(name)[:40]}”.")
        match = written.get("match")
        if not isinstance(match, str) or match not in MATCHES:
            self.note(path, "Choose whether all, any or none of these must hold.")
            match = ROOT_MATCH
        members = written.get("conditions")
        if not isinstance(members, list) or not members:
            self.note(path, "Add at least one condition.")
            return Group(match, ())
        return Group(match, tuple(self._read(member, (*path, place)) for place, member in enumerate(members)))

    def _read(self, written: Any, path: tuple[int, ...]) -> Condition | Group:
        if isinstance(written, dict) and ("match" in written or "conditions" in written):
            return self.read_group(written, path)
        return self._read_condition(written, path)

    def _read_condition(self, written: Any, path: tuple[int, ...]) -> Condition:
        nothing = Condition("", "")
        self.count += 1
        if not isinstance(written, dict):
            self.note(path, "A condition is written as an object.")
            return nothing
        name = written.get("field")
        known = self._vocabulary.get(name) if isinstance(name, str) else None
        if known is None:
            self.note(path, _unknown_field(name))
            return nothing
        operator = known.operator(str(written.get("operator") or ""))
        if operator is None:
            self.note(path, f"Choose what “{known.label}” is compared by.", "operator")
            return nothing
        extra = written.keys() - {"field", "operator", *(parameter.name for parameter in operator.parameters)}
        for unknown in sorted(map(str, extra)):
            self.note(path, f"“{known.label} {operator.label}” takes no “{unknown[:40]}”.")
        values: dict[str, Any] = {}
        for parameter in operator.parameters:
            value = written.get(parameter.name)
            if value in (None, "", []):
                if not parameter.is_optional:
                    self.note(path, f"{known.label} {operator.label}: fill in {parameter.label}.", parameter.name)
            elif problem := _problem(value, parameter):
                self.note(path, f"{known.label} {operator.label}: {problem}", parameter.name)
            else:
                values[parameter.name] = value
        if "from" in values and "to" in values and values["from"] > values["to"]:
            self.note(path, f"{known.label} {operator.label}: the first value is above the second.", "to")
        return Condition(known.name, operator.name, values)


def _unknown_field(name: Any) -> str:
    if not isinstance(name, str) or not name:
        return "Choose what the condition is about."
    kind, _, rest = name.partition(":")
    if kind == "attribute" and rest:
        return f"There is no attribute named “{rest[:64]}” any more; choose another, or remove the condition."
    return f"“{name[:64]}” is nothing that can be asked; choose again."


def _problem(value: Any, parameter: Parameter) -> str:
    """Return the error of a value that is not empty; empty if it is valid."""
    match parameter.kind:
        case "text":
            return _text_problem(value)
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            return "" if is_number and abs(value) <= LARGEST_NUMBER else "write a number, like 1000 or 38.5."
        case "date":
            return "" if _is_date(value) else "write a date, such as 2026-11-30."
        case "days":
            is_whole = isinstance(value, int) and not isinstance(value, bool)
            return "" if is_whole and 1 <= value <= MOST_DAYS else f"write a whole number of days, 1 to {MOST_DAYS:,}."
        case "choice":
            return _choice_problem([value], parameter)
        case _:
            if not isinstance(value, list) or len(value) > MOST_CHOICES:
                return f"choose up to {MOST_CHOICES} of them."
            return _choice_problem(value, parameter)


def _text_problem(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value or not value.strip():
        return "write some text."
    return "" if len(value) <= LONGEST_TEXT else f"the text is longer than {LONGEST_TEXT:,} characters."


def _is_date(value: Any) -> bool:
    try:
        return isinstance(value, str) and dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _choice_problem(chosen: list[Any], parameter: Parameter) -> str:
    # Compared with their types, because 1 == 1.0 == True in Python.
    possible = {(type(value), value) for value, _ in parameter.options}
    if all(isinstance(value, str | int) and (type(value), value) in possible for value in chosen):
        return ""
    return f"what was chosen for {parameter.label} is no longer there; choose again."


# --- dates ----------------------------------------------------------------------------------


def anniversary_range(today: dt.date, days: int) -> tuple[str, str] | None:
    """Return the first and last day, as "MM-DD", of anniversaries from today until ``days`` days later; None: all days.

    The first is greater than the last if the range spans the new year. In years without 29 February, an anniversary on
    that day falls on the 28th.
    """
    end = today + dt.timedelta(days=days)
    if days >= 365:
        return None
    last = f"{end:%m-%d}"
    if last == "02-28" and (end + dt.timedelta(days=1)).month == 3:
        last = "02-29"
    return f"{today:%m-%d}", last


# --- in words -------------------------------------------------------------------------------

_JOINED = {"all": " and ", "any": " or ", "none": " or "}


def describe(group: Group, vocabulary: Vocabulary, *, is_within: bool = False) -> str:
    """Return the conditions as people read them: ``Language is one of German and (City is Bonn or …)``."""
    parts = [
        describe(member, vocabulary, is_within=True) if isinstance(member, Group) else _in_words(member, vocabulary)
        for member in group.members
    ]
    words = _JOINED[group.match].join(parts)
    if group.match == "none":
        return f"not ({words})"
    return f"({words})" if is_within and len(parts) > 1 else words


def _in_words(condition: Condition, vocabulary: Vocabulary) -> str:
    known = vocabulary.get(condition.field)
    operator = known.operator(condition.operator) if known else None
    if known is None or operator is None:
        return f"{condition.name or condition.field} (no longer there)"
    values = [
        _value_in_words(condition.values[each.name], each)
        for each in operator.parameters
        if each.name in condition.values
    ]
    return " ".join([known.label, operator.label, *filter(None, [" – ".join(values)])])


def _value_in_words(value: Any, parameter: Parameter) -> str:
    if parameter.kind not in ("choice", "choices"):
        return f"{value:,}" if isinstance(value, int | float) else str(value)
    labels = dict(parameter.options)
    chosen = value if isinstance(value, list) else [value]
    return ", ".join(labels.get(each, "no longer there") for each in chosen)
