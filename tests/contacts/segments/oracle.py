"""A slow oracle for segments: one person at a time, in Python, by the words of the documentation."""

import datetime as dt
import random
from typing import Any

from contacts.models import Contact, Subscription

CITIES = ["Bonn", "bonn", "Ghent", "50% off_season", 'O\'Hara \\ "x"', "Łódź"]
LANGUAGES = ["de", "fr", ""]
ZONES = ["Europe/Berlin", "Asia/Tokyo", ""]
PLANS = ["free", "gold"]
KINDS = (
    "email",
    "domain",
    "first_name",
    "last_name",
    "language",
    "time_zone",
    "created",
    "paused",
    "open_tracking",
    "click_tracking",
    "attribute",
    "list",
    "subscribed",
    "unsubscribed",
)


def make_people(chance: random.Random, lists: list[Any], now: dt.datetime, number: int) -> list[Contact]:
    """Store people with every kind of value, and values of the wrong kind."""
    people = []
    for index in range(number):
        attributes = {
            "city": chance.choice([*CITIES, "", 7]),
            "size": chance.choice([0, 36, 38.5, -1, "38", None]),
            "birthday": (now.date() - dt.timedelta(days=chance.randrange(-40, 800))).isoformat(),
            "member": chance.choice([True, False, "yes", None]),
            "plan": chance.choice([*PLANS, ""]),
        }
        for name in chance.sample(sorted(attributes), chance.randrange(5)):
            del attributes[name]
        if chance.random() < 0.1:
            attributes["birthday"] = chance.choice(["soon", "2024-02-29", 20240229, ""])
        person = Contact.objects.create(
            email=f"{chance.choice('abc')}{index}@{chance.choice(['example.org', 'mail.example.com'])}",
            first_name=chance.choice(["Ann", "ANN", "", "Bea"]),
            language=chance.choice(LANGUAGES),
            time_zone=chance.choice(ZONES),
            attributes=attributes,
            paused_until=chance.choice([None, None, now + dt.timedelta(days=1), now - dt.timedelta(days=1)]),
        )
        consents = {f"{name}_tracking": chance.choice(["unset", "none", "yes"]) for name in ("open", "click")}
        created = now - dt.timedelta(hours=chance.randrange(2_000))
        Contact.objects.filter(pk=person.pk).update(created_at=created, **consents)
        for contact_list in chance.sample(lists, chance.randrange(len(lists) + 1)):
            Subscription.objects.create(
                contact=person,
                list=contact_list,
                status=chance.choice(Subscription.Status.values),
                changed_at=now - dt.timedelta(hours=chance.randrange(2_000)),
            )
        people.append(person)
    return list(Contact.objects.prefetch_related("subscriptions"))


def meets(person: Contact, written: dict[str, Any], now: dt.datetime, zone: dt.tzinfo) -> bool:
    if "match" in written:
        found = [meets(person, member, now, zone) for member in written["conditions"]]
        return {"all": all(found), "any": any(found), "none": not any(found)}[written["match"]]
    field, operator = written["field"], written["operator"]
    if field.startswith("attribute:"):
        kind, _, operator = operator.partition(".")
        return _about_value(kind, person.attributes.get(field.removeprefix("attribute:")), operator, written, now, zone)
    subscriptions = list(person.subscriptions.all())
    match field:
        case "list":
            if operator == "nowhere":
                return not subscriptions
            found = any(
                each.list_id in written["lists"] and each.status == operator.removesuffix("_not")
                for each in subscriptions
            )
            return not found if operator.endswith("_not") else found
        case "subscribed" | "unsubscribed":
            return any(
                each.status == field
                and written.get("list") in (None, each.list_id)
                and _instant(each.changed_at, operator, written, now, zone)
                for each in subscriptions
            )
        case "created":
            return _instant(person.created_at, operator, written, now, zone)
        case "paused":
            is_paused = person.paused_until is not None and person.paused_until > now
            return is_paused == (operator == "yes")
        case "open_tracking" | "click_tracking":
            return bool(getattr(person, field) == operator)
        case "language":
            return _about_value("choice", person.language, operator, written, now, zone)
        case _:
            return _about_value("text", getattr(person, field), operator, written, now, zone)


def _about_value(
    kind: str, value: Any, operator: str, written: dict[str, Any], now: dt.datetime, zone: dt.tzinfo
) -> bool:
    today = now.astimezone(zone).date()
    match kind:
        case "number":
            value = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        case "date":
            try:
                value = dt.date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else None
            except ValueError:
                value = None
        case "boolean":
            value = value if isinstance(value, bool) else None
        case _:
            value = value if isinstance(value, str) and value else None
    if operator in ("empty", "not_empty"):
        return (value is None) == (operator == "empty")
    if operator.endswith("_not"):
        return not _about_value(kind, value, operator.removesuffix("_not"), written, now, zone)
    if value is None:
        return False
    match kind:
        case "number":
            wanted = written.get("number")
            return {
                "equals": lambda: value == wanted,
                "less": lambda: value < wanted,
                "at_most": lambda: value <= wanted,
                "more": lambda: value > wanted,
                "at_least": lambda: value >= wanted,
                "between": lambda: written["from"] <= value <= written["to"],
            }[operator]()
        case "date":
            days = dt.timedelta(days=written.get("days", 0))
            return {
                "on": lambda: value == dt.date.fromisoformat(written["date"]),
                "before": lambda: value < dt.date.fromisoformat(written["date"]),
                "after": lambda: value > dt.date.fromisoformat(written["date"]),
                "between": lambda: written["from"] <= value.isoformat() <= written["to"],
                "last_days": lambda: today - days <= value <= today,
                "next_days": lambda: today <= value <= today + days,
                "anniversary": lambda: any(
                    _celebrates(value, today + dt.timedelta(days=ahead)) for ahead in range(days.days + 1)
                ),
            }[operator]()
        case "boolean":
            return value == (operator == "yes")
        case "choice":
            return value in written["values"]
    plain, wanted = value.upper(), written["text"].upper()
    return {
        "is": plain == wanted,
        "contains": wanted in plain,
        "starts": plain.startswith(wanted),
        "ends": plain.endswith(wanted),
    }[operator]


def _celebrates(born: dt.date, day: dt.date) -> bool:
    if (born.month, born.day) == (2, 29):
        return (day + dt.timedelta(days=1)).month == 3 and day.month == 2
    return (born.month, born.day) == (day.month, day.day)


def _instant(instant: dt.datetime, operator: str, written: dict[str, Any], now: dt.datetime, zone: dt.tzinfo) -> bool:
    day = instant.astimezone(zone).date().isoformat()
    match operator:
        case "before":
            return day < written["date"]
        case "after":
            return day > written["date"]
        case "between":
            return written["from"] <= day <= written["to"]
        case "last_days":
            return instant >= now - dt.timedelta(days=written["days"])
        case _:
            return instant < now - dt.timedelta(days=written["days"])


def random_group(chance: random.Random, fields: list[Any], now: dt.datetime, depth: int = 1) -> dict[str, Any]:
    """Return conditions that nobody would think of."""
    members = []
    for _ in range(chance.randrange(1, 4)):
        if depth < 4 and chance.random() < 0.3:
            members.append(random_group(chance, fields, now, depth + 1))
        else:
            members.append(random_condition(chance, chance.choice(fields), now))
    return {"match": chance.choice(["all", "any", "none"]), "conditions": members}


def random_condition(chance: random.Random, field: Any, now: dt.datetime) -> dict[str, Any]:
    operator = chance.choice(field.operators)
    written: dict[str, Any] = {"field": field.name, "operator": operator.name}
    for parameter in operator.parameters:
        if not parameter.is_optional or chance.random() < 0.5:
            written[parameter.name] = _random_value(chance, parameter, field.name, now)
    if "from" in written and written["from"] > written["to"]:
        written["from"], written["to"] = written["to"], written["from"]
    return written


def _random_value(chance: random.Random, parameter: Any, field: str, now: dt.datetime) -> Any:
    match parameter.kind:
        case "text":
            texts = {
                "email": ["a1@example.org", "A2@Example.ORG", "example.com", "a"],
                "domain": ["example.org", "Mail.Example.com", "example", "mail."],
                "first_name": ["ann", "Bea", "n"],
                "last_name": ["x"],
                "time_zone": ["Europe/", "Asia/Tokyo"],
            }
            return chance.choice(texts.get(field, [*CITIES, "%", "_", "o", "BON", "\\", '"']))
        case "number":
            return chance.choice([0, 36, 38.5, 37, -1])
        case "date":
            return (now.date() - dt.timedelta(days=chance.randrange(-30, 90))).isoformat()
        case "days":
            return chance.choice([1, 7, 30, 90, 364, 365, 400])
        case "choice":
            return chance.choice(parameter.options)[0]
        case _:
            values = [value for value, _ in parameter.options]
            return chance.sample(values, chance.randrange(1, min(3, len(values)) + 1))
