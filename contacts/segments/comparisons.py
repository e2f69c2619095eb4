"""Comparisons of a contact's value with a given one: their operators, and their SQL.

Every comparison is true or false, never NULL: a missing value, or one of another type, counts as empty. Comparisons of
text ignore case; SQLite does so for the letters a to z only.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, CharField, F, FloatField, Func, Q, TextField
from django.db.models.expressions import Combinable
from django.db.models.functions import Substr
from django.db.models.lookups import (
    Exact,
    GreaterThan,
    GreaterThanOrEqual,
    IContains,
    IEndsWith,
    IExact,
    In,
    IsNull,
    IStartsWith,
    LessThan,
    LessThanOrEqual,
)

from contacts.segments.conditions import Operator, Parameter, anniversary_range
from words.texts import text as _

Values = Mapping[str, Any]

_TEXT = Parameter("text", "text", _("the text"))
_NUMBER = Parameter("number", "number", _("the number"))
_DATE = Parameter("date", "date", _("the date"))
_DAYS = Parameter("days", "days", _("the number of days"))
_EMPTY = (Operator("empty", _("is empty")), Operator("not_empty", _("is not empty")))

TEXT_OPERATORS = (
    Operator("is", _("is"), (_TEXT,)),
    Operator("is_not", _("is not"), (_TEXT,)),
    Operator("contains", _("contains"), (_TEXT,)),
    Operator("contains_not", _("does not contain"), (_TEXT,)),
    Operator("starts", _("starts with"), (_TEXT,)),
    Operator("ends", _("ends with"), (_TEXT,)),
    *_EMPTY,
)
NUMBER_OPERATORS = (
    Operator("equals", _("is"), (_NUMBER,)),
    Operator("equals_not", _("is not"), (_NUMBER,)),
    Operator("less", _("is less than"), (_NUMBER,)),
    Operator("at_most", _("is at most"), (_NUMBER,)),
    Operator("more", _("is more than"), (_NUMBER,)),
    Operator("at_least", _("is at least"), (_NUMBER,)),
    Operator(
        "between",
        _("is between"),
        (Parameter("from", "number", _("the lower number")), Parameter("to", "number", _("the higher number"))),
    ),
    *_EMPTY,
)
_BETWEEN_DATES = Operator(
    "between",
    _("is between"),
    (Parameter("from", "date", _("the first day")), Parameter("to", "date", _("the last day"))),
)
DATE_OPERATORS = (
    Operator("on", _("is on"), (_DATE,)),
    Operator("before", _("is before"), (_DATE,)),
    Operator("after", _("is after"), (_DATE,)),
    _BETWEEN_DATES,
    Operator("last_days", _("was in the last days:"), (_DAYS,)),
    Operator("next_days", _("is in the next days:"), (_DAYS,)),
    Operator("anniversary", _("has its anniversary in the next days:"), (_DAYS,)),
    *_EMPTY,
)
INSTANT_OPERATORS = (
    Operator("before", _("before"), (_DATE,)),
    Operator("after", _("after"), (_DATE,)),
    Operator(
        "between",
        _("between"),
        (Parameter("from", "date", _("the first day")), Parameter("to", "date", _("the last day"))),
    ),
    Operator("last_days", _("in the last days:"), (_DAYS,)),
    Operator("over_days", _("longer ago than days:"), (_DAYS,)),
)
BOOLEAN_OPERATORS = (Operator("yes", _("is yes")), Operator("no", _("is no")), *_EMPTY)


def choice_operators(options: Sequence[tuple[str, str]]) -> tuple[Operator, ...]:
    """Return the operators that compare a value with some of these options."""
    values = Parameter("values", "choices", _("the values"), tuple(options))
    return (Operator("in", _("is one of"), (values,)), Operator("in_not", _("is none of"), (values,)), *_EMPTY)


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of a query and its time zone: "today" depends on both."""

    now: dt.datetime
    zone: dt.tzinfo

    @property
    def today(self) -> dt.date:
        return self.now.astimezone(self.zone).date()

    def start_of(self, day: str, later: int = 0) -> dt.datetime:
        """Return the first instant of a day written as 2026-11-30, or of the day ``later`` days after it."""
        date = dt.date.fromisoformat(day) + dt.timedelta(days=later)
        return dt.datetime.combine(date, dt.time.min, self.zone)


# --- values in SQL --------------------------------------------------------------------------


class _OfAttribute(Func):
    """A value from ``attributes``; ``%s`` in its SQL stands for the attribute's name or JSON path."""

    postgresql = ""
    sqlite = ""

    def __init__(self, name: str) -> None:
        super().__init__(F("attributes"))
        self.name = name

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return self._filled(self.postgresql, self.name, compiler)

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        return self._filled(self.sqlite, f'$."{self.name}"', compiler)

    def _filled(self, sql: str, name: str, compiler: Any) -> tuple[str, list[Any]]:
        column, _ = compiler.compile(self.get_source_expressions()[0])
        return sql.replace("{column}", column), [name] * sql.count("%s")


class AttributeText(_OfAttribute):
    """A text; empty if missing or of another type."""

    output_field = TextField()
    postgresql = "COALESCE(CASE WHEN jsonb_typeof({column} -> %s) = 'string' THEN {column} ->> %s END, '')"
    sqlite = "COALESCE(CASE WHEN JSON_TYPE({column}, %s) = 'text' THEN JSON_EXTRACT({column}, %s) END, '')"


class AttributeNumber(_OfAttribute):
    """A number; NULL if missing or of another type."""

    output_field = FloatField()
    postgresql = "CASE WHEN jsonb_typeof({column} -> %s) = 'number' THEN CAST({column} -> %s AS double precision) END"
    sqlite = "CASE WHEN JSON_TYPE({column}, %s) IN ('integer', 'real') THEN JSON_EXTRACT({column}, %s) END"


class AttributeDate(_OfAttribute):
    """A date such as 2026-11-30, which sorts as text; NULL if missing or not a date."""

    output_field = CharField()
    postgresql = "(CASE WHEN {column} ->> %s ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}$' THEN {column} ->> %s END) COLLATE \"C\""
    sqlite = (
        "CASE WHEN JSON_EXTRACT({column}, %s) GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'"
        " THEN JSON_EXTRACT({column}, %s) END"
    )


class AttributeYes(_OfAttribute):
    output_field = BooleanField()
    postgresql = "COALESCE({column} -> %s = CAST('true' AS jsonb), FALSE)"
    sqlite = "COALESCE(JSON_TYPE({column}, %s) = 'true', FALSE)"


class AttributeNo(_OfAttribute):
    output_field = BooleanField()
    postgresql = "COALESCE({column} -> %s = CAST('false' AS jsonb), FALSE)"
    sqlite = "COALESCE(JSON_TYPE({column}, %s) = 'false', FALSE)"


class _Holds(Func):
    """A comparison whose value may be NULL, which counts as false."""

    template = "COALESCE(%(expressions)s, FALSE)"
    output_field = BooleanField()


def _holds(*comparisons: Any) -> Q:
    found = Q()
    for comparison in comparisons:
        found &= Q(_Holds(comparison))
    return found


# --- comparisons ----------------------------------------------------------------------------


def compare_text(text: Combinable, operator: str, values: Values) -> Q:
    """Compare a text that is never NULL."""
    match operator:
        case "is" | "is_not":
            found = Q(IExact(text, values["text"]))
        case "contains" | "contains_not":
            found = Q(IContains(text, values["text"]))
        case "starts":
            found = Q(IStartsWith(text, values["text"]))
        case "ends":
            found = Q(IEndsWith(text, values["text"]))
        case "empty" | "not_empty":
            found = Q(Exact(text, ""))
        case _:
            raise ValueError(f"{operator} is no comparison of texts")
    return ~found if operator in ("is_not", "contains_not", "not_empty") else found


def compare_number(number: Combinable, operator: str, values: Values) -> Q:
    match operator:
        case "equals" | "equals_not":
            found = _holds(Exact(number, values["number"]))
        case "less":
            found = _holds(LessThan(number, values["number"]))
        case "at_most":
            found = _holds(LessThanOrEqual(number, values["number"]))
        case "more":
            found = _holds(GreaterThan(number, values["number"]))
        case "at_least":
            found = _holds(GreaterThanOrEqual(number, values["number"]))
        case "between":
            found = _within(number, values["from"], values["to"])
        case "empty" | "not_empty":
            found = Q(IsNull(number, True))
        case _:
            raise ValueError(f"{operator} is no comparison of numbers")
    return ~found if operator in ("equals_not", "not_empty") else found


def compare_date(date: Combinable, operator: str, values: Values, moment: Moment) -> Q:
    """Compare a date written as 2026-11-30."""
    match operator:
        case "on":
            found = _holds(Exact(date, values["date"]))
        case "before":
            found = _holds(LessThan(date, values["date"]))
        case "after":
            found = _holds(GreaterThan(date, values["date"]))
        case "between":
            found = _within(date, values["from"], values["to"])
        case "last_days":
            found = _within(date, _days_from(moment, -values["days"]), moment.today.isoformat())
        case "next_days":
            found = _within(date, moment.today.isoformat(), _days_from(moment, values["days"]))
        case "anniversary":
            found = _anniversary(date, moment.today, values["days"])
        case "empty" | "not_empty":
            found = Q(IsNull(date, True))
        case _:
            raise ValueError(f"{operator} is no comparison of dates")
    return ~found if operator == "not_empty" else found


def _within(value: Combinable, first: Any, last: Any) -> Q:
    return _holds(GreaterThanOrEqual(value, first), LessThanOrEqual(value, last))


def _days_from(moment: Moment, days: int) -> str:
    return (moment.today + dt.timedelta(days=days)).isoformat()


def _anniversary(date: Combinable, today: dt.date, days: int) -> Q:
    between = anniversary_range(today, days)
    if between is None:
        return ~Q(IsNull(date, True))
    first, last = between
    day = Substr(date, 6, 5)
    if first <= last:
        return _within(day, first, last)
    return _holds(GreaterThanOrEqual(day, first)) | _holds(LessThanOrEqual(day, last))


def compare_instant(instant: Combinable, operator: str, values: Values, moment: Moment) -> Q:
    """Compare an instant that is never NULL; days begin and end in the moment's zone."""
    match operator:
        case "before":
            return Q(LessThan(instant, moment.start_of(values["date"])))
        case "after":
            return Q(GreaterThanOrEqual(instant, moment.start_of(values["date"], 1)))
        case "between":
            return Q(GreaterThanOrEqual(instant, moment.start_of(values["from"]))) & Q(
                LessThan(instant, moment.start_of(values["to"], 1))
            )
        case "last_days":
            return Q(GreaterThanOrEqual(instant, moment.now - dt.timedelta(days=values["days"])))
        case "over_days":
            return Q(LessThan(instant, moment.now - dt.timedelta(days=values["days"])))
        case _:
            raise ValueError(f"{operator} is no comparison of times")


def compare_choice(text: Combinable, operator: str, values: Values) -> Q:
    """Compare a text that is never NULL with some values, case-sensitively."""
    if operator in ("empty", "not_empty"):
        return compare_text(text, operator, values)
    found = Q(In(text, values["values"]))
    return ~found if operator == "in_not" else found


def compare_boolean(name: str, operator: str) -> Q:
    """Compare the yes/no attribute of that name."""
    match operator:
        case "yes":
            return Q(AttributeYes(name))
        case "no":
            return Q(AttributeNo(name))
        case "empty":
            return ~(Q(AttributeYes(name)) | Q(AttributeNo(name)))
        case "not_empty":
            return Q(AttributeYes(name)) | Q(AttributeNo(name))
        case _:
            raise ValueError(f"{operator} is no comparison of yes and no")
