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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from words.texts import gettext_noop, joined
from words.texts import text as _

MOST_DEPTH = 5  # Levels of groups, including the outermost.
MOST_CONDITIONS = 100
MOST_CHOICES = 500  # In one condition.
LONGEST_TEXT = 1_000
MOST_DAYS = 36_500
MOST_COUNTED = 1_000
LARGEST_NUMBER = 1e15

MATCHES = {"all": _("all of these"), "any": _("any of these"), "none": _("none of these")}
ROOT_MATCH = "all"


# --- the vocabulary -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value that an operator compares with."""

    name: str
    kind: str  # "text", "number", "count", "date", "days", "choice" or "choices".
    label: str  # Shown on the page and read by screen readers.
    options: tuple[tuple[str | int, str], ...] = ()  # For a choice: value and label.
    is_optional: bool = False
    empty_words: str = ""  # For an optional choice: the label of the empty option.


@dataclass(frozen=True, slots=True)
class Operator:
    name: str
    label: str
    parameters: tuple[Parameter, ...] = ()
    # The condition as a sentence, from its values in words by parameter; None: field, operator and values in a row.
    sentence: Callable[[Mapping[str, str]], str] | None = None


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
        super().__init__(joined(dict.fromkeys(problem.text for problem in problems)))
        self.problems = problems


def parse(written: Any, vocabulary: Vocabulary) -> Group:
    """Return the conditions, validated against the vocabulary.

    :raises ConditionsInvalid: with every problem.
    """
    reader = _Reader(vocabulary)
    group = reader.read_group(written, ())
    if reader.count > MOST_CONDITIONS:
        reader.note(
            (),
            _(
                "These are %(n)s conditions, and at most %(most)s are possible. Remove some.",
                n=reader.count,
                most=MOST_CONDITIONS,
            ),
        )
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
            self.note(path, _("A group of conditions is written as an object."))
            return Group(ROOT_MATCH, ())
        if len(path) >= MOST_DEPTH:
            self.note(
                path, _("Groups can be nested %(most)s deep. Move these conditions further out.", most=MOST_DEPTH)
            )
            return Group(ROOT_MATCH, ())
        for name in written.keys() - {"match", "conditions"}:
            self.note(path, _("A group has no “%(name)s”.", name=str(name)[:40]))
        match = written.get("match")
        if not isinstance(match, str) or match not in MATCHES:
            self.note(path, _("Choose whether all, any or none of these must hold."))
            match = ROOT_MATCH
        members = written.get("conditions")
        if not isinstance(members, list) or not members:
            self.note(path, _("Add at least one condition."))
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
            self.note(path, _("A condition is written as an object."))
            return nothing
        name = written.get("field")
        known = self._vocabulary.get(name) if isinstance(name, str) else None
        if known is None:
            self.note(path, _unknown_field(name))
            return nothing
        operator = known.operator(str(written.get("operator") or ""))
        if operator is None:
            self.note(path, _("Choose what “%(field)s” is compared by.", field=known.label), "operator")
            return nothing
        extra = written.keys() - {"field", "operator", *(parameter.name for parameter in operator.parameters)}
        for unknown in sorted(map(str, extra)):
            self.note(
                path,
                _(
                    "“%(field)s %(operator)s” takes no “%(unknown)s”.",
                    field=known.label,
                    operator=operator.label,
                    unknown=unknown[:40],
                ),
            )
        values: dict[str, Any] = {}
        for parameter in operator.parameters:
            value = written.get(parameter.name)
            if value in (None, "", []):
                if not parameter.is_optional:
                    self.note(
                        path,
                        _(
                            "%(field)s %(operator)s: fill in %(value)s.",
                            field=known.label,
                            operator=operator.label,
                            value=parameter.label,
                        ),
                        parameter.name,
                    )
            elif problem := _problem(value, parameter):
                self.note(
                    path,
                    _(
                        "%(field)s %(operator)s: %(problem)s",
                        field=known.label,
                        operator=operator.label,
                        problem=problem,
                    ),
                    parameter.name,
                )
            else:
                values[parameter.name] = value
        if "from" in values and "to" in values and values["from"] > values["to"]:
            self.note(
                path,
                _(
                    "%(field)s %(operator)s: the first value is above the second.",
                    field=known.label,
                    operator=operator.label,
                ),
                "to",
            )
        return Condition(known.name, operator.name, values)


def _unknown_field(name: Any) -> str:
    if not isinstance(name, str) or not name:
        return _("Choose what the condition is about.")
    kind, _colon, rest = name.partition(":")
    if kind == "attribute" and rest:
        return _(
            "There is no attribute named “%(name)s” any more. Choose another, or remove the condition.", name=rest[:64]
        )
    return _("“%(name)s” is nothing that can be asked. Choose again.", name=name[:64])


def _problem(value: Any, parameter: Parameter) -> str:
    """Return the error of a value that is not empty; empty if it is valid."""
    match parameter.kind:
        case "text":
            return _text_problem(value)
        case "number":
            is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            return "" if is_number and abs(value) <= LARGEST_NUMBER else _("write a number, like 1000 or 38.5.")
        case "date":
            return "" if _is_date(value) else _("write a date, such as 2026-11-30.")
        case "days":
            is_possible = _is_whole(value, MOST_DAYS)
            return "" if is_possible else _("write a whole number of days, 1 to %(most)s.", most=f"{MOST_DAYS:,}")
        case "count":
            is_possible = _is_whole(value, MOST_COUNTED)
            return "" if is_possible else _("write a whole number, 1 to %(most)s.", most=f"{MOST_COUNTED:,}")
        case "choice":
            return _choice_problem([value], parameter)
        case _:
            if not isinstance(value, list) or len(value) > MOST_CHOICES:
                return _("choose up to %(most)s of them.", most=MOST_CHOICES)
            return _choice_problem(value, parameter)


def _text_problem(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value or not value.strip():
        return _("write some text.")
    return (
        ""
        if len(value) <= LONGEST_TEXT
        else _("the text is longer than %(most)s characters.", most=f"{LONGEST_TEXT:,}")
    )


def _is_whole(value: Any, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


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
    return _("what was chosen for %(label)s is no longer there. Choose again.", label=parameter.label)


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

_AND, _OR = gettext_noop("%(one)s and %(other)s"), gettext_noop("%(one)s or %(other)s")
_COMMA = gettext_noop("%(one)s, %(other)s")
_DASH = gettext_noop("%(one)s – %(other)s")
_JOINED = {"all": _AND, "any": _OR, "none": _OR}


def describe(group: Group, vocabulary: Vocabulary, *, is_within: bool = False) -> str:
    """Return the conditions as people read them: ``Language is one of German and (City is Bonn or …)``."""
    parts = [
        describe(member, vocabulary, is_within=True) if isinstance(member, Group) else _in_words(member, vocabulary)
        for member in group.members
    ]
    words = joined(parts, _JOINED[group.match])
    if group.match == "none":
        return _("not (%(conditions)s)", conditions=words)
    return _("(%(conditions)s)", conditions=words) if is_within and len(parts) > 1 else words


def _in_words(condition: Condition, vocabulary: Vocabulary) -> str:
    known = vocabulary.get(condition.field)
    operator = known.operator(condition.operator) if known else None
    if known is None or operator is None:
        return _("%(field)s (no longer there)", field=condition.name or condition.field)
    said = {
        each.name: _value_in_words(condition.values[each.name], each)
        for each in operator.parameters
        if each.name in condition.values
    }
    if operator.sentence:
        return operator.sentence(said)
    if not said:
        return _("%(field)s %(operator)s", field=known.label, operator=operator.label)
    compared = joined(said.values(), _DASH)
    return _("%(field)s %(operator)s %(value)s", field=known.label, operator=operator.label, value=compared)


def _value_in_words(value: Any, parameter: Parameter) -> str:
    if parameter.kind not in ("choice", "choices"):
        return f"{value:,}" if isinstance(value, int | float) else str(value)
    labels = dict(parameter.options)
    chosen = value if isinstance(value, list) else [value]
    return joined((labels.get(each, _("no longer there")) for each in chosen), _COMMA)
