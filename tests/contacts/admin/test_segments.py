"""The pages of segments: what is saved and refused, who may, and what a deletion is told."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from contacts.models import Attribute, Contact, ContactList, Segment, Subscription

ADD = "/admin/contacts/segment/add/"
PREVIEW = "/admin/contacts/segment/preview.json"


def all_of(*members: Any) -> dict[str, Any]:
    return {"match": "all", "conditions": list(members)}


GERMAN = {"field": "language", "operator": "in", "values": ["de"]}


def preview(client: Client, conditions: Any) -> dict[str, Any]:
    written = conditions if isinstance(conditions, str) else json.dumps(conditions)
    response = client.post(PREVIEW, {"conditions": written})
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    return response.json()


def test_a_segment_is_saved_and_read_in_words(marketers_client: Client) -> None:
    news = ContactList.objects.create(name="News <b>")
    conditions = all_of(GERMAN, {"match": "none", "conditions": [
        {"field": "list", "operator": "subscribed", "lists": [news.pk]},
        {"field": "created", "operator": "last_days", "days": 9},
    ]})  # fmt: skip

    response = marketers_client.post(
        ADD, {"name": "German", "description": "", "conditions": json.dumps(conditions)}, follow=True
    )

    segment = Segment.objects.get()
    assert segment.conditions == conditions
    assert segment.created_by.username == "mia"
    page = response.content.decode()
    assert "Language is one of Deutsch and not (List is subscribed to one of News &lt;b&gt; or Added in" in page


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("", "Add at least one condition."),
        ("{}", "Add at least one condition."),
        ("[[[", "A group of conditions is written as an object."),
        ("[" * 100_000, "A group of conditions is written as an object."),
        (json.dumps(all_of({"field": "attribute:shoe"})), "There is no attribute named “shoe” any more"),
        (json.dumps(all_of({"field": "list", "operator": "subscribed", "lists": [99]})), "is no longer there"),
        (json.dumps(all_of(GERMAN)) + " " * 200_000, "A group of conditions is written as an object."),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_reason(marketers_client: Client, written: str, sentence: str) -> None:
    response = marketers_client.post(ADD, {"name": "X", "description": "", "conditions": written})

    assert response.status_code == 200
    assert sentence in response.content.decode()
    assert not Segment.objects.exists()


def test_the_preview_counts_shows_some_and_names_mistakes_by_their_place(marketers_client: Client) -> None:
    for number in range(12):
        Contact.objects.create(email=f"p{number}@example.org", first_name="Ann", language="de" if number else "fr")

    found = preview(marketers_client, all_of(GERMAN))

    assert found["sentence"] == "11 of 12 people meet the conditions."
    assert (found["count"], len(found["sample"]), found["problems"]) == (11, 10, [])
    first = Contact.objects.get(email="p1@example.org")
    assert found["sample"][0] == {
        "email": "p1@example.org",
        "name": "Ann",
        "url": f"/admin/contacts/contact/{first.pk}/change/",
    }
    found = preview(marketers_client, all_of(GERMAN, all_of({"field": "email", "operator": "is"})))
    assert found["problems"] == [{"path": [1, 0], "parameter": "text", "text": "Email is: fill in the text."}]
    assert found["count"] is None
    assert preview(marketers_client, "nonsense")["problems"]


def test_only_who_may_see_people_sees_them(db: None, nobody: User) -> None:
    for role, is_allowed in (("admin", True), ("marketer", True), ("ops", False), ("viewer", False)):
        user = User.objects.create_user(f"a-{role}", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = Client()
        client.force_login(user)
        expected = 200 if is_allowed else 403
        assert client.post(PREVIEW, {"conditions": json.dumps(all_of(GERMAN))}).status_code == expected, role
        assert client.get("/admin/contacts/segment/").status_code == expected, role
        assert client.get(ADD).status_code == expected, role
    assert Client().post(PREVIEW).status_code == 302


def test_a_get_counts_nothing(marketers_client: Client) -> None:
    assert marketers_client.get(PREVIEW).status_code == 405


def test_what_a_segment_asks_for_is_not_deleted_and_the_segment_is_named(marketers_client: Client) -> None:
    news, events = ContactList.objects.create(name="News"), ContactList.objects.create(name="Events")
    city = Attribute.objects.create(name="city", label="City")
    Segment.objects.create(
        name="Ghent",
        conditions=all_of(
            {"field": "attribute:city", "operator": "text.is", "text": "Ghent"},
            {
                "match": "any",
                "conditions": [{"field": "subscribed", "operator": "last_days", "days": 3, "list": news.pk}],
            },
        ),
    )

    for page, pk in (("contactlist", news.pk), ("attribute", city.pk)):
        response = marketers_client.post(f"/admin/contacts/{page}/{pk}/delete/", {"post": "yes"})
        assert "the segment “Ghent”" in response.content.decode()
    assert ContactList.objects.count() == 2
    assert Attribute.objects.exists()
    marketers_client.post(f"/admin/contacts/contactlist/{events.pk}/delete/", {"post": "yes"})
    assert list(ContactList.objects.all()) == [news]


def test_a_segment_that_a_draft_needs_is_not_deleted(marketers_client: Client) -> None:
    from campaigns.models import Campaign

    segment = Segment.objects.create(name="Staff", conditions=all_of(GERMAN))
    draft = Campaign.objects.create(name="Winter", subject="x", audience={"excluded_segments": [segment.pk]})
    address = f"/admin/contacts/segment/{segment.pk}/delete/"

    assert "the campaign “Winter”" in marketers_client.post(address, {"post": "yes"}).content.decode()
    Campaign.objects.filter(pk=draft.pk).update(status="finished")
    marketers_client.post(address, {"post": "yes"})

    assert not Segment.objects.exists()


def test_who_only_looks_reads_the_conditions_in_words(nobody: User) -> None:
    from django.contrib.auth.models import Permission

    nobody.user_permissions.set(Permission.objects.filter(codename="view_segment"))
    segment = Segment.objects.create(name="German", conditions=all_of(GERMAN))
    client = Client()
    client.force_login(nobody)

    page = client.get(f"/admin/contacts/segment/{segment.pk}/change/").content.decode()

    assert "Language is one of Deutsch" in page
    assert "data-segment" not in page


def test_conditions_of_a_person_change_with_the_person(db: None) -> None:
    from contacts.segments import query
    from contacts.segments.conditions import load
    from tests.contacts.conftest import NOW

    ann = Contact.objects.create(email="ann@example.org")
    news = ContactList.objects.create(name="News")
    written = all_of({"field": "list", "operator": "nowhere"})
    assert query.people(load(written), NOW).count() == 1
    Subscription.objects.create(contact=ann, list=news, status="pending")
    assert query.people(load(written), NOW).count() == 0
    assert query.people(load({}), NOW).count() == 0
