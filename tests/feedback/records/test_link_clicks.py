"""Who clicked a link: people who agree to be told, in pages, with the time and who it was."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign
from contacts.models import Contact
from delivery.models import Mailing, Message, TrackedLink
from feedback.models import FirstVisit, Visit
from feedback.records.link_clicks import clicks_on
from installation.models import SiteSettings
from tests.campaigns.conftest import campaign, client_of, marketer, news, people, server

__all__ = ["campaign", "marketer", "news", "people", "server"]  # Fixtures.

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("saved_settings")]

AT = dt.datetime(2026, 3, 3, 14, 20, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LEVEL = {"personal": "None of the recipients who agree", "anonymous": "nobody knows who clicked", "off": "counted"}


@pytest.fixture
def link(campaign: Campaign) -> TrackedLink:
    SiteSettings.objects.create(pk=1, tracking="personal")
    mailing = Mailing.objects.create(
        stream="campaign", name="Sale", subject="Snow", html="<p>Snow", tracking="personal"
    )
    Campaign.objects.filter(pk=campaign.pk).update(mailing=mailing, status="finished")
    return TrackedLink.objects.create(mailing=mailing, part="html", position=3, label="<b>Buy</b>")


def click(link: TrackedLink, name: str, visitor: str = "human", at: dt.datetime = AT, consent: str = "yes") -> None:
    address = f"{name}@example.net"
    contact, _ = Contact.objects.get_or_create(email=address, email_key=address, click_tracking=consent)
    message, _ = Message.objects.get_or_create(
        mailing=link.mailing, contact=contact, email=address, email_key=address, status="accepted"
    )
    for each in (at, at + MINUTE):
        Visit.objects.create(
            message=message, link=link, kind="click", visitor=visitor, reason="person", family="chrome", at=each
        )
    for link_id in (0, link.pk):
        FirstVisit.objects.create(message=message, kind="click", link_id=link_id, visitor=visitor, at=at + 5 * MINUTE)


def address_of(link: TrackedLink, query: str = "") -> str:
    campaign = Campaign.objects.get(mailing=link.mailing_id)
    return reverse("campaigns:link_clicks", args=[campaign.pk, link.pk]) + query


def page_of(client: Client, link: TrackedLink, query: str = "") -> str:
    return client.get(address_of(link, query)).content.decode()


def test_people_come_first_with_their_first_click_and_programs_are_told_apart(
    marketer: Client, link: TrackedLink
) -> None:
    click(link, "ann", "machine", AT - 2 * MINUTE)
    click(link, "ann")
    click(link, "bea", at=AT + MINUTE)
    click(link, "cleo", "unknown")
    other = TrackedLink.objects.create(mailing=link.mailing, part="html", position=4)
    click(other, "dora")

    rows = [(row.message.email.partition("@")[0], row.visitor, row.clicked_at) for row in clicks_on(link.pk)]
    page = page_of(marketer, link)

    assert rows == [
        ("bea", "human", AT + MINUTE),
        ("ann", "human", AT),
        ("ann", "machine", AT - 2 * MINUTE),
        ("cleo", "unknown", AT),
    ]
    assert [page.count(f'<td data-label="Clicked by">{who}</td>') for who in ("People", "Machines", "Unknown")] == [
        2,
        1,
        1,
    ]
    assert "dora@" not in page
    assert "&lt;b&gt;Buy&lt;/b&gt;" in page


def test_who_took_the_consent_back_is_no_longer_listed(marketer: Client, link: TrackedLink) -> None:
    click(link, "ann")
    Contact.objects.filter(email="ann@example.net").update(click_tracking="none")

    page = page_of(marketer, link)

    assert "ann@" not in page
    assert LEVEL["personal"] in page


def test_the_time_of_the_verdict_stands_for_a_visit_that_is_gone(link: TrackedLink) -> None:
    click(link, "ann")
    Visit.objects.all().delete()

    assert [row.clicked_at for row in clicks_on(link.pk)] == [AT + 5 * MINUTE]


@pytest.mark.parametrize("level", LEVEL)
def test_an_empty_list_says_why(marketer: Client, link: TrackedLink, level: str) -> None:
    Mailing.objects.update(tracking=level)

    page = page_of(marketer, link)
    clicks = marketer.get(reverse("campaigns:click_map", args=[Campaign.objects.get().pk])).content.decode()

    assert LEVEL[level] in page
    assert "<table" not in page
    assert (address_of(link) in clicks) == (level == "personal")


def test_only_who_may_see_recipients_sees_who_clicked(people: dict[str, User], link: TrackedLink) -> None:
    click(link, "ann")

    for role, user in people.items():
        client, sees = client_of(user), role in ("admin", "marketer")
        assert client.get(address_of(link)).status_code == (200 if sees else 403)
        clicks = client.get(reverse("campaigns:click_map", args=[Campaign.objects.get().pk])).content.decode()
        assert (address_of(link) in clicks) == sees


def test_a_link_of_another_campaign_is_not_found(marketer: Client, link: TrackedLink) -> None:
    other = Mailing.objects.create(stream="campaign", name="Other", subject="x", tracking="personal")
    foreign = TrackedLink.objects.create(mailing=other, part="html", position=1)

    address = reverse("campaigns:link_clicks", args=[Campaign.objects.get().pk, foreign.pk])

    assert marketer.get(address).status_code == 404


def test_pages_of_many_ask_no_more_than_one_of_few(
    marketer: Client, link: TrackedLink, django_assert_max_num_queries: Any
) -> None:
    for number in range(60):
        click(link, f"reader{number}", at=AT + number * MINUTE)
    marketer.get(address_of(link))

    with django_assert_max_num_queries(12):
        first = page_of(marketer, link)
    with django_assert_max_num_queries(12):
        second = page_of(marketer, link, "?page=2")

    assert [page.count("@example.net</a>") for page in (first, second)] == [50, 10]
    assert "Page 1 of 2" in first
    assert "reader0@" in second


def test_the_clicks_of_a_link_are_found_by_their_index(link: TrackedLink) -> None:
    for number in range(3):
        click(link, f"reader{number}")
    message = Message.objects.all()[0]
    FirstVisit.objects.bulk_create(
        FirstVisit(message_id=message.pk, kind="click", link_id=10**6 + number, visitor="human", at=AT)
        for number in range(3_000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

    assert "first_visit_link" in clicks_on(link.pk).explain()
