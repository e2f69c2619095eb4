"""Filters of the contact list: list, state, language, domain and attributes."""

import datetime as dt
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import CharField, Exists, F, Func, OuterRef, Q, QuerySet, Value
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Cast, Substr
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter, TextFilter
from unfold.widgets import INPUT_CLASSES

from contacts.attributes.rules import parse_value
from contacts.consent.suppressed import active, suppressed
from contacts.models import Attribute, Contact, ContactList, Subscription, Suppression
from mail.addresses import fold

SUBSCRIBED, UNSUBSCRIBED = Subscription.Status.SUBSCRIBED, Subscription.Status.UNSUBSCRIBED


def on_a_list(list_id: int | None = None, **conditions: Any) -> Exists:
    """Condition: the contact has a subscription that meets the conditions, to that list or to any."""
    subscriptions = Subscription.objects.filter(contact=OuterRef("pk"), **conditions)
    if list_id:
        subscriptions = subscriptions.filter(list=list_id)
    return Exists(subscriptions)


def in_state(contacts: QuerySet[Contact], state: str | None, list_id: int | None = None) -> QuerySet[Contact]:
    """Return the contacts in a state of the filter; with ``list_id``, the subscription to that list decides."""
    now = timezone.now()
    match state:
        case "mailable":
            is_reached = contacts.filter(on_a_list(list_id, status=SUBSCRIBED)).exclude(suppressed(now))
            return is_reached.exclude(paused_until__gt=now)
        case "subscribed":
            return contacts.filter(on_a_list(list_id, status=SUBSCRIBED))
        case "unsubscribed":
            return contacts.filter(on_a_list(list_id, status=UNSUBSCRIBED))
        case "pending":
            return contacts.filter(on_a_list(list_id, status=Subscription.Status.PENDING))
        case "paused":
            return contacts.filter(paused_until__gt=now)
        case "suppressed":
            return contacts.filter(_on_the_suppression_list(now))
        case "none":
            return contacts.exclude(on_a_list())
        case _:
            return contacts


def _on_the_suppression_list(now: dt.datetime) -> Q:
    """Condition that finds suppressed people, starting from the suppressions, which are few.

    To exclude them, use :func:`contacts.consent.suppressed.suppressed`, which looks up each person.
    """
    stops = Suppression.objects.filter(active(now)).order_by()
    domains = stops.filter(email_key__startswith="@").annotate(of=Substr("email_key", 2)).values("of")
    return Q(email_key__in=stops.values("email_key")) | Q(domain__in=domains)


class ListFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types.
    title = gettext_lazy("list")
    parameter_name = "list"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(pk), name) for pk, name in ContactList.objects.values_list("pk", "name")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        value = self.value()
        if not value:
            return queryset
        list_id = key_of(value)
        return queryset.none() if list_id is None else queryset.filter(on_a_list(list_id))


class ContactStateFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types.
    """Whether people get mail. If a list is chosen, the state refers to that list."""

    title = gettext_lazy("status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("mailable", _("Gets mail")),
            ("subscribed", _("Subscribed, suppressed or not")),
            ("unsubscribed", _("Unsubscribed")),
            ("pending", _("Pending")),
            ("paused", _("Paused")),
            ("suppressed", _("Suppressed")),
            ("none", _("No list")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        return in_state(queryset, self.value(), key_of(request.GET.get(ListFilter.parameter_name, "")))


def key_of(text: str) -> int | None:
    """Return a primary key from a URL; None if the text cannot be one."""
    return int(text) if text.isdecimal() and len(text) < 19 else None  # More digits exceed every column.


class DomainFilter(TextFilter):  # type: ignore[misc]  # unfold ships no types.
    """People of one domain, with or without a leading @."""

    title = gettext_lazy("domain")
    parameter_name = "domain"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        value = (self.value() or "").strip().lstrip("@")
        if not value:
            return queryset
        return queryset.filter(domain=fold(f"x@{value}").rpartition("@")[2])


class LanguageFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types.
    title = gettext_lazy("language")
    parameter_name = "language"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*settings.LANGUAGES, ("none", _("Unknown"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        value = self.value()
        return queryset.filter(language="" if value == "none" else value) if value else queryset


# --- attributes -----------------------------------------------------------------------------


class ValueKind(Func):
    """The JSON type of an attribute: number, string, boolean; NULL if missing."""

    output_field = CharField()

    def __init__(self, name: str) -> None:
        super().__init__(F("attributes"), Value(name))

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        template = "REPLACE(REPLACE(JSON_TYPE(%(expressions)s), 'integer', 'number'), 'real', 'number')"
        return self.as_sql(compiler, connection, template=template, arg_joiner=", '$.' || ", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="JSONB_TYPEOF(%(expressions)s)", arg_joiner=" -> ", **context)


def with_value(contacts: QuerySet[Contact], name: str, value: str | float | bool) -> QuerySet[Contact]:
    """Return the contacts whose attribute has exactly this value."""
    # Not attributes__name: a name such as "contains" would be read as a lookup.
    return contacts.alias(_held=KeyTransform(name, "attributes")).filter(_held=value)


def without_value(contacts: QuerySet[Contact], name: str) -> QuerySet[Contact]:
    return contacts.exclude(attributes__has_key=name)


def between(contacts: QuerySet[Contact], kind: str, name: str, least: Any, most: Any) -> QuerySet[Contact]:
    """Return the contacts whose number or date is in the range, both ends included; None: no bound."""
    if kind == Attribute.Kind.NUMBER:
        contacts = contacts.alias(_kind=ValueKind(name), _held=KeyTransform(name, "attributes")).filter(_kind="number")
    else:
        # Only texts that begin with a digit: other texts, which are no dates, would sort above every date.
        held = Cast(KeyTextTransform(name, "attributes"), CharField())
        contacts = contacts.alias(_held=held).filter(_held__gte="0", _held__lt=":")
    if least is not None:
        contacts = contacts.filter(_held__gte=least)
    if most is not None:
        contacts = contacts.filter(_held__lte=most)
    return contacts


class AttributeChoiceFilter(DropdownFilter):  # type: ignore[misc]  # unfold ships no types.
    definition: Attribute

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        is_boolean = self.definition.kind == Attribute.Kind.BOOLEAN
        names = (
            [("yes", _("Yes")), ("no", _("No"))] if is_boolean else [(each, each) for each in self.definition.choices]
        )
        return [*((f"={name}", label) for name, label in names), ("none", _("Unknown"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        value = self.value()
        if value == "none":
            return without_value(queryset, self.definition.name)
        if not value:
            return queryset
        wanted: Any = value.removeprefix("=")
        if self.definition.kind == Attribute.Kind.BOOLEAN:
            wanted = wanted == "yes"
        return with_value(queryset, self.definition.name, wanted)


class AttributeTextFilter(TextFilter):  # type: ignore[misc]  # unfold ships no types.
    definition: Attribute

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        value = (self.value() or "").strip()
        if not value:
            return queryset
        return queryset.alias(_held=KeyTextTransform(self.definition.name, "attributes")).filter(_held__icontains=value)


class AttributeRangeFilter(admin.ListFilter):
    """Lower and upper bound of a number or a date. An invalid bound matches nobody."""

    template = "contacts/range_filter.html"
    definition: Attribute

    def __init__(self, request: HttpRequest, params: dict[str, list[str]], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.names = [f"{parameter(self.definition)}_{end}" for end in ("from", "to")]
        for name in self.names:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.names)

    def choices(self, changelist: Any) -> Any:
        is_date = self.definition.kind == Attribute.Kind.DATE
        ends = [
            {"name": name, "value": self.used_parameters.get(name, ""), "label": label}
            for name, label in zip(self.names, (_("From"), _("To")), strict=True)
        ]
        yield {"ends": ends, "type": "date" if is_date else "text", "classes": " ".join(INPUT_CLASSES)}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> QuerySet[Contact]:
        definition = self.definition
        try:
            least, most = (
                parse_value(definition.kind, [], str(self.used_parameters.get(name, ""))) for name in self.names
            )
        except ValueError:
            return queryset.none()
        if least is None and most is None:
            return queryset
        return between(queryset, definition.kind, definition.name, least, most)


def parameter(definition: Attribute) -> str:
    return f"attribute.{definition.name}"  # No lookup name contains a point.


def filter_of(definition: Attribute) -> type[admin.ListFilter]:
    """Return the filter class for the attribute's kind."""
    by_kind: dict[str, type[admin.ListFilter]] = {
        Attribute.Kind.TEXT: AttributeTextFilter,
        Attribute.Kind.NUMBER: AttributeRangeFilter,
        Attribute.Kind.DATE: AttributeRangeFilter,
    }
    base = by_kind.get(definition.kind, AttributeChoiceFilter)
    return type(
        "AttributeFilter",
        (base,),
        {"definition": definition, "title": str(definition), "parameter_name": parameter(definition)},
    )
