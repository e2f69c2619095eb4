"""What segments ask about mail and feedback, which other rooms than contacts store."""

import datetime as dt
from typing import Any

import pytest

from campaigns.models import Campaign
from contacts.models import Contact
from contacts.segments import query
from contacts.segments.conditions import ConditionsInvalid
from delivery.models import Mailing, Message
from feedback.models import Feedback

NOW = dt.datetime(2026, 11, 30, 23, 59, 30, tzinfo=dt.UTC)


def days_ago(days: float) -> dt.datetime:
    return NOW - dt.timedelta(days=days)


@pytest.fixture
def campaigns(db: None) -> dict[str, Campaign]:
    """Ann and Bea got Winter ten days ago, Bea's bounced; Cleo got Spring today, and unsubscribed; Dora a test."""
    people = {name: Contact.objects.create(email=f"{name}@example.com") for name in ("ann", "bea", "cleo", "dora")}
    found = {}
    for name in ("Winter", "Spring", "Draft"):
        mailing = Mailing.objects.create(stream="campaign", name=name, subject="x")
        found[name] = Campaign.objects.create(name=name, mailing=None if name == "Draft" else mailing)
    test = Mailing.objects.create(stream="test", name="Test", subject="x")

    def send(mailing: Mailing | None, name: str, status: str, days: float) -> Message:
        contact = people[name]
        return Message.objects.create(
            mailing=mailing,
            contact=contact,
            email=contact.email,
            email_key=contact.email_key,
            status=status,
            changed_at=days_ago(days),
        )

    send(found["Winter"].mailing, "ann", "accepted", 10)
    send(found["Winter"].mailing, "bea", "bounced", 10)
    spring = send(found["Spring"].mailing, "cleo", "unconfirmed", 0)
    copy = send(found["Spring"].mailing, "ann", "accepted", 0)
    Message.objects.filter(pk=copy.pk).update(copy_of=spring, copy_kind="cc")
    undone = send(test, "dora", "accepted", 1)
    Feedback.objects.create(kind="unsubscribe", channel="page", message=spring, email="x", received_at=days_ago(1))
    # It was a mistake, she said: as if she had never unsubscribed, as in the figures.
    Feedback.objects.create(
        kind="unsubscribe", channel="page", message=undone, email="x", received_at=days_ago(1), undone_at=days_ago(1)
    )
    return found


def found(conditions: Any) -> set[str]:
    group = query.check({"match": "all", "conditions": [conditions]})
    return {email.partition("@")[0] for email in query.people(group, NOW).values_list("email", flat=True)}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"field": "mail", "operator": "had", "days": 30, "outcomes": ["accepted"]}, {"ann"}),
        ({"field": "mail", "operator": "had", "days": 30, "outcomes": ["accepted", "bounced"]}, {"ann", "bea"}),
        ({"field": "mail", "operator": "had", "days": 9, "outcomes": ["accepted", "bounced"]}, set()),
        ({"field": "mail", "operator": "had_not", "days": 9}, {"ann", "bea", "dora"}),
        ({"field": "mail", "operator": "had_not", "days": 11}, {"bea", "dora"}),
        ({"field": "campaign", "operator": "had", "campaigns": ["Winter"], "outcomes": ["accepted"]}, {"ann"}),
        ({"field": "campaign", "operator": "had", "campaigns": ["Winter"], "outcomes": ["bounced"]}, {"bea"}),
        (
            {
                "field": "campaign",
                "operator": "had",
                "campaigns": ["Winter", "Spring"],
                "outcomes": ["accepted", "unconfirmed"],
            },
            {"ann", "cleo"},
        ),
        ({"field": "campaign", "operator": "had_not", "campaigns": ["Winter"]}, {"bea", "cleo", "dora"}),
        ({"field": "feedback", "operator": "gave", "kinds": ["unsubscribe"]}, {"cleo"}),
        ({"field": "feedback", "operator": "gave", "kinds": ["unsubscribe"], "campaign": "Winter"}, set()),
        ({"field": "feedback", "operator": "gave", "kinds": ["unsubscribe"], "campaign": "Spring"}, {"cleo"}),
        ({"field": "feedback", "operator": "gave", "kinds": ["unsubscribe"], "days": 2}, {"cleo"}),
        ({"field": "feedback", "operator": "gave_not", "kinds": ["unsubscribe"], "days": 2}, {"ann", "bea", "dora"}),
    ],
)
def test_mail_and_feedback_are_asked_about(
    campaigns: dict[str, Campaign], asked: dict[str, Any], expected: set[str]
) -> None:
    if "campaigns" in asked:
        asked = {**asked, "campaigns": [campaigns[name].pk for name in asked["campaigns"]]}
    if "campaign" in asked:
        asked = {**asked, "campaign": campaigns[asked["campaign"]].pk}

    assert found(asked) == expected


def test_a_campaign_that_never_started_cannot_be_asked_about(campaigns: dict[str, Campaign]) -> None:
    asked = {"field": "campaign", "operator": "had_not", "campaigns": [campaigns["Draft"].pk]}

    with pytest.raises(ConditionsInvalid, match="the campaigns is no longer there"):
        found(asked)


def test_every_field_belongs_to_the_kind_that_compiles_it(db: None) -> None:
    vocabulary = query.vocabulary()

    assert {"mail", "campaign", "feedback", "list", "email"} <= vocabulary.keys()
    assert all(name.partition(":")[0] in query.CONDITION_KINDS for name in vocabulary)
