"""Segment conditions as one query: the fields they may use, and the SQL of each.

Higher rooms add fields about what they store in :data:`CONDITION_KINDS`. Every condition is true or false, never NULL,
so that "none of these" is the exact opposite of "any of these". The exception is what isn't known of everybody, such as
clicks: there NULL says that it isn't known of a person. They meet neither, by the rules that SQL has for NULL: "all of
these" is false as soon as one is, and "any of these" is true as soon as one is.
"""

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from operator import and_, or_
from typing import Any

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db.models import BooleanField, Count, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.utils.translation import gettext

from contacts.models import Attribute, Contact, ContactList, Segment, Subscription
from contacts.segments.comparisons import (
    BOOLEAN_OPERATORS,
    DATE_OPERATORS,
    INSTANT_OPERATORS,
    NUMBER_OPERATORS,
    TEXT_OPERATORS,
    AttributeDate,
    AttributeNumber,
    AttributeText,
    Moment,
    choice_operators,
    compare_boolean,
    compare_choice,
    compare_date,
    compare_instant,
    compare_number,
    compare_text,
)
from contacts.segments.conditions import Condition, ConditionField, Group, Operator, Parameter, load, parse
from installation.site import site
from mail.addresses import fold
from registry import Registry
from words.texts import text as _

PERSON = _("Person")
ATTRIBUTES = _("Attributes")
LISTS = _("Lists")


@dataclass(frozen=True, slots=True)
class ConditionKind:
    """The fields of one kind, read again for each page, and the condition that selects contacts by one of them."""

    fields: Callable[[], Iterable[ConditionField]]
    compile: Callable[[Condition, Moment], Q]
    is_known: bool = True  # Of everybody. False: the condition may be NULL.


# What segments may ask, by what stands before the colon in a field's name.
CONDITION_KINDS: Registry[ConditionKind] = Registry()


def vocabulary() -> dict[str, ConditionField]:
    """Return all fields that conditions may use now, in menu order."""
    return {field.name: field for kind in CONDITION_KINDS.values() for field in kind.fields()}


def check(conditions: Any) -> Group:
    """Return given conditions, parsed against the present vocabulary.

    :raises contacts.segments.conditions.ConditionsInvalid: with every problem.
    """
    return parse(conditions, vocabulary())


def meets(group: Group, at: Moment) -> Q:
    """Return the condition for contacts who meet the group: true or false, never NULL."""
    met = _met(group, at)
    return met if _is_known(group) else Q(Coalesce(ExpressionWrapper(met, BooleanField()), Value(value=False)))


def _met(group: Group, at: Moment) -> Q:
    """Return the condition for contacts who meet the group; NULL for those of whom nobody knows."""
    if not group.members:
        return Q(pk__in=[])
    parts = [
        _met(member, at) if isinstance(member, Group) else CONDITION_KINDS[member.kind].compile(member, at)
        for member in group.members
    ]
    found = reduce(and_ if group.match == "all" else or_, parts)
    return ~found if group.match == "none" else found


def _is_known(group: Group) -> bool:
    return all(CONDITION_KINDS[condition.kind].is_known for condition in group.conditions())


def moment(now: dt.datetime) -> Moment:
    """Return ``now`` in the site's time zone, which decides when days begin."""
    return Moment(now, site().time_zone)


def people(group: Group, now: dt.datetime) -> QuerySet[Contact]:
    """Return the contacts who meet the conditions at ``now``, as one query."""
    return Contact.objects.filter(_met(group, moment(now)))


def outcomes(group: Group, now: dt.datetime) -> QuerySet[Contact]:
    """Return all contacts, each with ``is_met``: whether they meet the conditions at ``now``. None: nobody knows."""
    return Contact.objects.annotate(is_met=_is_met(group, now))


def _is_met(group: Group, now: dt.datetime) -> Combinable:
    return ExpressionWrapper(_met(group, moment(now)), BooleanField())


def count(group: Group, now: dt.datetime) -> tuple[int, int]:
    """Return how many contacts meet the conditions at ``now``, and of how many nobody knows."""
    if _is_known(group):
        return people(group, now).count(), 0
    everybody = Contact.objects.order_by().annotate(is_met=_is_met(group, now))
    numbers = dict(everybody.values_list("is_met").annotate(Count("pk")))
    return numbers.get(True, 0), numbers.get(None, 0)


def people_sql(
    conditions: Mapping[str, Any], now: dt.datetime, between: tuple[int, int] | None
) -> tuple[str, list[Any]]:
    """Return a SELECT of the ids of the people who meet saved conditions, and its parameters."""
    found = people(load(conditions), now).order_by()
    if between:
        found = found.filter(pk__range=between)
    try:
        sql, parameters = found.values("id").query.sql_with_params()
    except EmptyResultSet:
        return "SELECT id FROM contacts_contact WHERE 1 = 0", []
    return sql, list(parameters)


# --- users of lists, segments and attributes ------------------------------------------------

# Asked for the names of what still needs one of these segments or lists.
SegmentUsers = Callable[[Collection[int], Collection[int]], list[str]]
SEGMENT_USERS: Registry[SegmentUsers] = Registry()


def users_of(
    *, segments: Collection[int] = (), lists: Collection[int] = (), attributes: Collection[str] = ()
) -> list[str]:
    """Return the names of the segments and future campaigns that use any of these; deleting would change them."""
    names, ids = {f"attribute:{name}" for name in attributes}, set(lists)

    def is_named(condition: Condition) -> bool:
        named = condition.values.get("lists") or [condition.values.get("list")]
        return condition.field in names or (condition.kind in ("list", *_DATED) and not ids.isdisjoint(named))

    found = [
        gettext("the segment “%(name)s”") % {"name": segment}
        for segment in Segment.objects.all()
        if any(map(is_named, load(segment.conditions).conditions()))
    ]
    for users in SEGMENT_USERS.values():
        found += users(segments, lists)
    return found


# --- fields of every contact ----------------------------------------------------------------

_TEXTS = {"email": _("Email"), "first_name": _("First name"), "last_name": _("Last name")}
_PAUSED = (Operator("yes", _("asked for one that lasts still")), Operator("no", _("asked for none")))

_COUNTED = (
    Operator("yes", _("agreed to be counted by name")),
    Operator("none", _("doesn't agree to be counted")),
    Operator("unset", _("was never asked")),
)


def _person_fields() -> Iterator[ConditionField]:
    for name in ("email", "first_name", "last_name"):
        yield ConditionField(name, _TEXTS[name], PERSON, TEXT_OPERATORS)
    yield ConditionField("domain", _("Email domain"), PERSON, TEXT_OPERATORS[:6])
    yield ConditionField("language", _("Language"), PERSON, choice_operators(settings.LANGUAGES))
    yield ConditionField("time_zone", _("Time zone"), PERSON, TEXT_OPERATORS)
    yield ConditionField("created", _("Added"), PERSON, INSTANT_OPERATORS)
    yield ConditionField("paused", _("Break from mail"), PERSON, _PAUSED)
    yield ConditionField("open_tracking", _("Opens counted"), PERSON, _COUNTED)
    yield ConditionField("click_tracking", _("Clicks counted"), PERSON, _COUNTED)


def _about_text(condition: Condition, moment: Moment) -> Q:
    return compare_text(F(condition.field), condition.operator, condition.values)


def _about_email(condition: Condition, moment: Moment) -> Q:
    if condition.operator in ("is", "is_not"):  # Uses the index.
        found = Q(email_key=fold(condition.values["text"]))
        return found if condition.operator == "is" else ~found
    return _about_text(condition, moment)


def _about_domain(condition: Condition, moment: Moment) -> Q:
    text = condition.values["text"].strip().lstrip("@")
    if condition.operator in ("is", "is_not"):
        found = Q(domain=fold(f"x@{text}")[2:])
        return found if condition.operator == "is" else ~found
    return compare_text(F("domain"), condition.operator, {"text": text})


def _about_paused(condition: Condition, moment: Moment) -> Q:
    found = Q(paused_until__isnull=False, paused_until__gt=moment.now)
    return found if condition.operator == "yes" else ~found


def _about_counted(condition: Condition, moment: Moment) -> Q:
    return Q(**{condition.field: condition.operator})


# --- custom attributes ----------------------------------------------------------------------


def _attribute_fields() -> Iterator[ConditionField]:
    for attribute in Attribute.objects.all():
        yield ConditionField(f"attribute:{attribute.name}", str(attribute), ATTRIBUTES, _operators_of(attribute))


def _operators_of(attribute: Attribute) -> tuple[Operator, ...]:
    match attribute.kind:
        case Attribute.Kind.NUMBER:
            return _prefixed("number", NUMBER_OPERATORS)
        case Attribute.Kind.DATE:
            return _prefixed("date", DATE_OPERATORS)
        case Attribute.Kind.BOOLEAN:
            return _prefixed("boolean", BOOLEAN_OPERATORS)
        case Attribute.Kind.CHOICE:
            return _prefixed("choice", choice_operators([(str(value), str(value)) for value in attribute.choices]))
        case _:
            return _prefixed("text", TEXT_OPERATORS)


def _prefixed(kind: str, operators: Iterable[Operator]) -> tuple[Operator, ...]:
    """Return operators whose names include the attribute's kind: saved conditions outlive a change of it."""
    return tuple(Operator(f"{kind}.{each.name}", each.label, each.parameters) for each in operators)


def _about_attribute(condition: Condition, moment: Moment) -> Q:
    kind, _, operator = condition.operator.partition(".")
    name, values = condition.name, condition.values
    match kind:
        case "number":
            return compare_number(AttributeNumber(name), operator, values)
        case "date":
            return compare_date(AttributeDate(name), operator, values, moment)
        case "boolean":
            return compare_boolean(name, operator)
        case "choice":
            return compare_choice(AttributeText(name), operator, values)
        case _:
            return compare_text(AttributeText(name), operator, values)


# --- lists ----------------------------------------------------------------------------------

_DATED = (Subscription.Status.SUBSCRIBED.value, Subscription.Status.UNSUBSCRIBED.value)


def _list_fields() -> Iterator[ConditionField]:
    lists = tuple(ContactList.objects.values_list("pk", "name"))
    some = (Parameter("lists", "choices", _("the lists"), lists),)
    yield ConditionField(
        "list",
        _("List"),
        LISTS,
        (
            Operator("subscribed", _("is subscribed to one of"), some),
            Operator("subscribed_not", _("is subscribed to none of"), some),
            Operator("pending", _("has not confirmed one of"), some),
            Operator("unsubscribed", _("unsubscribed from one of"), some),
            Operator("nowhere", _("is on no list at all")),
        ),
    )


def _dated_field(status: str) -> Iterator[ConditionField]:
    lists = tuple(ContactList.objects.values_list("pk", "name"))
    one = Parameter("list", "choice", _("the list"), lists, is_optional=True, empty_words=_("any list"))
    label = _(str(Subscription.Status(status).label))
    operators = tuple(
        Operator(each.name, each.label, (*each.parameters, one), partial(_dated_words, label, each.label))
        for each in INSTANT_OPERATORS
    )
    yield ConditionField(status, label, LISTS, operators)


def _dated_words(status: str, comparison: str, said: Mapping[str, str]) -> str:
    of_list = _("%(status)s (list: %(list)s)", status=status, list=said["list"]) if "list" in said else status
    days = said["from"] if "from" in said else said.get("date", said.get("days", ""))
    if "to" in said:
        days = _("%(one)s – %(other)s", one=days, other=said["to"])
    return _("%(field)s %(operator)s %(value)s", field=of_list, operator=comparison, value=days)


def _about_list(condition: Condition, moment: Moment) -> Q:
    subscriptions = Subscription.objects.filter(contact=OuterRef("pk"))
    if condition.operator == "nowhere":
        return ~Q(Exists(subscriptions))
    status = condition.operator.removesuffix("_not")
    found = Q(Exists(subscriptions.filter(list__in=condition.values["lists"], status=status)))
    return ~found if condition.operator == "subscribed_not" else found


def _about_date_on_list(condition: Condition, moment: Moment) -> Q:
    subscriptions = Subscription.objects.filter(contact=OuterRef("pk"), status=condition.field)
    if "list" in condition.values:
        subscriptions = subscriptions.filter(list=condition.values["list"])
    when = compare_instant(F("changed_at"), condition.operator, condition.values, moment)
    return Q(Exists(subscriptions.filter(when)))


def _about_language(condition: Condition, moment: Moment) -> Q:
    return compare_choice(F("language"), condition.operator, condition.values)


def _about_created(condition: Condition, moment: Moment) -> Q:
    return compare_instant(F("created_at"), condition.operator, condition.values, moment)


_SPECIAL = {
    "email": _about_email,
    "domain": _about_domain,
    "language": _about_language,
    "created": _about_created,
    "paused": _about_paused,
    "open_tracking": _about_counted,
    "click_tracking": _about_counted,
}

for _field in _person_fields():
    CONDITION_KINDS.register(
        _field.name, ConditionKind(partial(list, (_field,)), _SPECIAL.get(_field.name, _about_text))
    )
CONDITION_KINDS.register("attribute", ConditionKind(_attribute_fields, _about_attribute))
CONDITION_KINDS.register("list", ConditionKind(_list_fields, _about_list))
for _status in _DATED:
    CONDITION_KINDS.register(_status, ConditionKind(partial(_dated_field, _status), _about_date_on_list))
