"""Choosing an audience in the form, its count, and the lists of who is left out and why."""

import csv
import datetime as dt
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from campaigns.preflight import people as preflight_people
from contacts.models import Contact, ContactList, Segment, Subscription, Suppression
from delivery.models import UnreachableDomain
from tests.campaigns.audience.test_audience import GERMAN, let_speak_german, make_list
from tests.campaigns.conftest import client_of

ADD = "/admin/campaigns/campaign/add/"


def form(**fields: object) -> dict[str, object]:
    return {"name": "Winter", "subject": "Snow", "text": "Snow.", "is_tagged": "on", **fields}


@pytest.fixture
def german(db: None) -> Segment:
    return Segment.objects.create(name="German", conditions=GERMAN)


def test_an_audience_is_chosen_kept_shown_and_copied(marketer: Client, news: ContactList, german: Segment) -> None:
    staff = make_list("Staff")
    chosen = {"segments": [german.pk], "consent_lists": [news.pk], "excluded_lists": [staff.pk]}

    response = marketer.post(ADD, form(**chosen), follow=True)

    campaign = Campaign.objects.get()
    assert campaign.audience == chosen
    page = response.content.decode()
    assert f'name="segments" value="{german.pk}"' in page
    marketer.post(f"/campaigns/{campaign.pk}/duplicate/")
    assert Campaign.objects.exclude(pk=campaign.pk).get().audience == chosen
    Campaign.objects.update(status="finished")
    page = marketer.get(f"/admin/campaigns/campaign/{campaign.pk}/change/").content.decode()
    assert "German" in page
    assert "Staff" in page


def test_segments_without_a_list_that_counts_are_not_saved(marketer: Client, german: Segment) -> None:
    response = marketer.post(ADD, form(segments=[german.pk]))

    assert "Choose at least one consent list for the segments." in response.content.decode()
    assert not Campaign.objects.exists()


def test_a_list_that_counts_for_no_segment_is_not_kept(marketer: Client, news: ContactList) -> None:
    marketer.post(ADD, form(lists=[news.pk], consent_lists=[news.pk]))

    assert Campaign.objects.get().audience == {}


def test_what_is_ticked_is_counted_together_and_by_segment(
    marketer: Client, news: ContactList, german: Segment
) -> None:
    let_speak_german("ann", "bea")
    make_list("Staff", "ann")
    Contact.objects.create(email="dora@example.com", language="de")

    found = marketer.post(
        "/campaigns/audience.json", {"lists": news.pk, "segments": german.pk, "consent_lists": news.pk}
    ).json()

    assert found["reached"] == 3
    assert found["segments"] == {str(german.pk): "3 people (2 with consent)"}
    assert found["sentence"] == (
        "3 recipients. 2 are on several lists or segments and get one message each. Excluded: 1 without consent."
    )
    nothing = marketer.post("/campaigns/audience.json", {"excluded_lists": ["x", "9" * 30, news.pk]}).json()
    assert nothing["sentence"] == "Choose a list or a segment."
    half = marketer.post("/campaigns/audience.json", {"segments": german.pk}).json()
    assert half["sentence"] == "Choose at least one consent list for the segments."
    Segment.objects.update(conditions={"match": "all", "conditions": [{"field": "attribute:gone"}]})
    broken = marketer.post("/campaigns/audience.json", {"excluded_segments": german.pk})
    assert "needs fixing: There is no attribute named “gone”" in broken.json()["segments"][str(german.pk)]


def test_a_person_of_a_segment_is_one_however_many_lists_and_conditions_they_meet(
    marketer: Client, news: ContactList
) -> None:
    offers = make_list("Offers", "ann", "bea")
    let_speak_german("ann")
    on_either = {"field": "list", "operator": "subscribed", "lists": [news.pk, offers.pk]}
    twice = {
        "match": "any",
        "conditions": [*GERMAN["conditions"], on_either, {"match": "all", "conditions": [on_either]}],
    }
    segment = Segment.objects.create(name="Twice", conditions=twice)

    found = marketer.post(
        "/campaigns/audience.json", {"segments": segment.pk, "consent_lists": [news.pk, offers.pk]}
    ).json()
    again = marketer.post(
        "/campaigns/audience.json", {"segments": [segment.pk] * 2, "consent_lists": [news.pk, offers.pk, news.pk]}
    ).json()

    number = Subscription.objects.filter(list__in=[news, offers]).values("contact").distinct().count()
    assert found["segments"] == {str(segment.pk): f"{number} people ({number} with consent)"}
    assert found["sentence"] == f"{number} recipients."
    assert again == found


@pytest.fixture
def left_out(news: ContactList, campaign: Campaign) -> Campaign:
    make_list("News", "dora", status="unsubscribed")
    Suppression.objects.create(email="bea@example.com", reason="complaint")
    return campaign


def test_everybody_left_out_is_listed_by_reason_and_exported(marketer: Client, left_out: Campaign) -> None:
    address = f"/campaigns/{left_out.pk}/people/"

    page = marketer.get(address).content.decode()
    assert "2 of 4 people would get a message now" in page
    assert "Excluded: unsubscribed" in page
    assert "dora@example.com" not in page
    page = marketer.get(address, {"reason": "suppressed"}).content.decode()
    assert "bea@example.com" in page
    assert "On the suppression list: complaint." in page
    assert "dora@example.com" not in page
    assert "ann@example.com" in marketer.get(address, {"reason": "reached"}).content.decode()
    assert marketer.get(address, {"reason": "' OR 1=1"}).status_code == 200

    response = marketer.post(f"{address}export/", {"reason": "unsubscribed"})
    rows = list(csv.reader(io.StringIO(b"".join(response).decode("utf-8-sig"))))
    assert rows == [["email", "reason"], ["dora@example.com", "Unsubscribed."]]
    assert "Exported 1 contacts as CSV: of the campaign “Winter sale”, unsubscribed." in str(
        LogEntry.objects.latest("pk").change_message
    )
    assert marketer.post(f"{address}export/", {"reason": "x"}).status_code == 302


def test_the_lists_come_in_pages(marketer: Client, campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaigns.views.audience.PEOPLE_PER_PAGE", 2)

    page = marketer.get(f"/campaigns/{campaign.pk}/people/", {"reason": "reached", "page": 2}).content.decode()

    assert "Page 2 of 2" in page
    assert "cleo@example.com" in page
    assert "ann@example.com" not in page


def test_people_are_for_those_who_may_see_them(people: dict[str, User], left_out: Campaign) -> None:
    address = f"/campaigns/{left_out.pk}/people/"
    for role, expected in (("admin", 200), ("marketer", 200), ("ops", 403), ("viewer", 403)):
        client = client_of(people[role])
        assert client.get(address).status_code == expected, role
        assert client.post(f"{address}export/", {"reason": "reached"}).status_code == expected, role
        assert client.post("/campaigns/audience.json").status_code == expected, role
    assert client_of(people["admin"]).get(f"{address}export/").status_code == 405


def test_what_will_fail_is_named_before_the_start(news: ContactList, campaign: Campaign) -> None:
    now = timezone.now()
    UnreachableDomain.objects.create(domain="gone.de", kind="no-domain", found_at=now)
    UnreachableDomain.objects.create(domain="there.de", kind="no-mail", found_at=now - dt.timedelta(days=2))
    for email in ("eve@gone.de", "fay@there.de", "o'neil@example.com", "jürgen@bücher.example"):
        Subscription.objects.create(contact=Contact.objects.create(email=email), list=news)
    broken = Contact.objects.create(email="x@y.example")
    Contact.objects.filter(pk=broken.pk).update(email="x..y@@example", email_key="x..y@@example", domain="")
    Subscription.objects.create(contact=broken, list=news)

    report = preflight_people.people(campaign, now)

    assert [(each.reason, each.number) for each in report.doubtful] == [
        ("invalid", 1),
        ("unreachable", 1),
        ("reserved", 5),
    ]
    assert report.reached == 8
    [unreachable] = preflight_people.some(campaign, "unreachable", now, start=0, number=50)
    assert (unreachable.email, unreachable.why) == (
        "eve@gone.de",
        "gone.de doesn't exist or accepts no mail.",
    )
    reserved = preflight_people.some(campaign, "reserved", now, start=0, number=50)
    assert [one.why for one in reserved if one.email.startswith("jürgen")] == [
        "xn--bcher-kva.example is reserved for examples and gets no mail."
    ]
    assert reserved == list(preflight_people.everybody(campaign, "reserved", now))
    [invalid] = preflight_people.everybody(campaign, "invalid", now)
    assert invalid.email == "x..y@@example"
    assert invalid.why


def test_an_export_takes_slice_after_slice(news: ContactList, german: Segment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight_people, "SLICE_CONTACTS", 2)
    let_speak_german("ann", "cleo")
    stranger = Contact.objects.create(email="zoe@example.com", language="de")
    campaign = Campaign.objects.create(name="W", audience={"segments": [german.pk], "consent_lists": [news.pk]})
    now = timezone.now()

    reached = [person.email for person in preflight_people.everybody(campaign, "reached", now)]

    assert reached == ["ann@example.com", "cleo@example.com"]
    [person] = preflight_people.everybody(campaign, "stranger", now)
    assert person.contact_id == stranger.pk
    assert person.why == "In a segment, and never on a list whose consent counts."
    assert preflight_people.people(campaign, now + dt.timedelta(1)).numbers["stranger"] == 1


def test_boxes_of_the_same_lists_are_told_apart_by_their_group(admin_client: Client) -> None:
    ContactList.objects.create(name="News")
    draft = Campaign.objects.create(name="Winter", subject="Snow", text="Snow.")

    page = admin_client.get(f"/admin/campaigns/campaign/{draft.pk}/change/").content.decode()

    for group in ("Lists", "Consent lists", "Excluded lists"):
        assert f'role="group" aria-label="{group}"' in page
