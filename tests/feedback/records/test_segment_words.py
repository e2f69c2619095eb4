"""Conditions of every field, as people read them."""

from typing import Any

import pytest

from campaigns.models import Campaign
from contacts.models import Attribute, ContactList
from contacts.segments import query
from contacts.segments.conditions import Parameter, describe
from delivery.models import Mailing

pytestmark = pytest.mark.django_db

SAID = {"text": "needle", "number": 7, "count": 8, "days": 9, "date": "2026-03-01"}
ATTRIBUTES = [
    *(Attribute(name=f"a_{kind}", kind=kind) for kind in Attribute.Kind.values if kind != Attribute.Kind.CHOICE),
    Attribute(name="a_choice", kind=Attribute.Kind.CHOICE, choices=["north", "south"]),
]


@pytest.fixture
def sale() -> Campaign:
    """A started campaign, and a list and an attribute of each kind, so that every field has something to choose."""
    ContactList.objects.create(name="News")
    Attribute.objects.bulk_create(ATTRIBUTES)
    mailing = Mailing.objects.create(stream="campaign", name="Sale", subject="Sale")
    return Campaign.objects.create(name="Sale", subject="Sale", mailing=mailing)


def _sample(parameter: Parameter, order: int) -> Any:
    """Return a value that no other parameter of an operator has in its words."""
    if parameter.kind in ("choice", "choices"):
        value = parameter.options[0][0]
        return [value] if parameter.kind == "choices" else value
    if parameter.kind in ("number", "count", "days"):
        return SAID[parameter.kind] + 10 * order
    return f"2026-03-0{order + 1}" if parameter.kind == "date" else f"needle{order}"


def _words(parameter: Parameter, value: Any) -> str:
    chosen = value[0] if isinstance(value, list) else value
    return str(dict(parameter.options).get(chosen, chosen))


def test_words_of_a_condition_leave_out_no_value(sale: Campaign) -> None:
    seen = set()
    for known in query.vocabulary().values():
        for operator in known.operators:
            values = {each.name: _sample(each, order) for order, each in enumerate(operator.parameters)}
            asked = {"field": known.name, "operator": operator.name, **values}

            words = describe(query.check({"match": "all", "conditions": [asked]}), query.vocabulary())

            seen.add(known.name)
            for each in operator.parameters:
                if each.name != "counted":  # Told as "unknown visits included".
                    assert _words(each, values[each.name]) in words, (asked, words)
    assert {"feedback", "mail", "campaign", "subscribed", "clicks", "attribute:a_choice", "email"} <= seen


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (
            {"field": "feedback", "operator": "gave", "kinds": ["complaint"], "campaign": "Sale", "days": 30},
            "Gave one of Complaint for “Sale” in the last 30 days",
        ),
        ({"field": "feedback", "operator": "gave_not", "kinds": ["complaint"]}, "Gave none of Complaint for any mail"),
        (
            {"field": "mail", "operator": "had", "days": 30, "outcomes": ["accepted", "bounced"]},
            "Was sent mail in the last 30 days, with one of the outcomes Accepted, Bounced",
        ),
        ({"field": "mail", "operator": "had_not", "days": 1}, "Was sent no mail in the last day"),
        (
            {"field": "subscribed", "operator": "between", "from": "2026-03-01", "to": "2026-03-31", "list": "News"},
            "Subscribed (list: News) between 2026-03-01 – 2026-03-31",
        ),
    ],
)
def test_conditions_about_mail_read_as_sentences(sale: Campaign, asked: dict[str, Any], expected: str) -> None:
    if "campaign" in asked:
        asked = {**asked, "campaign": sale.pk}
    if "list" in asked:
        asked = {**asked, "list": ContactList.objects.get(name="News").pk}

    assert describe(query.check({"match": "all", "conditions": [asked]}), query.vocabulary()) == expected
