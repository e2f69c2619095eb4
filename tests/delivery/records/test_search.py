"""A search over the outbox looks at a window of messages at a time, and finds everything in the end."""

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from campaigns.models import Campaign
from delivery.models import Mailing, Message
from delivery.records import search
from tests.delivery.making import make_server

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "WINDOW", 20)
    monkeypatch.setattr(search, "PAGE", 3)


def make(name: str, number: int, **fields: object) -> list[Message]:
    mailing = Mailing.objects.create(stream="campaign", name=name, subject="S", text="T", is_snapshotted=True)
    kept = {"status": "accepted", "changed_at": timezone.now()} | fields
    return Message.objects.bulk_create(
        Message(mailing=mailing, email=f"{name}{n}@example.com", email_key=f"{name}{n}@example.com", **kept)
        for n in range(number)
    )


def all_found(address: str = "", status: str = "", server_id: int | None = None) -> tuple[list[str], int]:
    """Return what one finds who follows every link, and how many pages that are."""
    emails, before, pages = [], None, 0
    while True:
        found = search.search(Message.objects.all(), address, status, server_id, before)
        emails += [message.email for message in found.messages]
        pages += 1
        assert found.older is None or found.unsearched is None
        before = found.older or found.unsearched
        if before is None:
            return emails, pages


def test_a_part_of_an_address_is_found_further_back() -> None:
    make("old", 5)
    make("new", 70)

    first = search.search(Message.objects.all(), "old3", "", None, None)

    assert first.messages == []
    assert first.unsearched is not None
    assert all_found("old3") == (["old3@example.com"], 4)


def test_every_page_looks_at_one_window_and_no_message_is_left_out() -> None:
    make("some", 95)

    emails, pages = all_found("some")

    assert emails == [f"some{n}@example.com" for n in reversed(range(95))]
    assert pages <= 95 // 3 + 95 // 20 + 2


def test_a_rare_status_is_looked_for_where_it_is() -> None:
    """The newest mailings have none of it, and are passed over at once."""
    rare = make("old", 4, status="deferred", due_at=timezone.now())
    for n in range(5):
        make(f"new{n}x", 50)

    found = search.search(Message.objects.all(), "", "deferred", None, None)

    assert [message.pk for message in found.messages] == [message.pk for message in reversed(rare[1:])]
    assert all_found(status="deferred")[0] == ["old3@example.com", "old2@example.com", "old1@example.com",
                                               "old0@example.com"]  # fmt: skip


def test_a_status_that_nobody_has_is_answered_without_a_look_at_the_messages() -> None:
    make("some", 60)

    with CaptureQueriesContext(connection) as queries:
        found = search.search(Message.objects.all(), "", "cancelled", None, None)

    assert found == search.SearchPage([])
    assert not any('FROM "delivery_message"' in query["sql"] for query in queries)


def test_a_server_is_found_further_back_and_with_a_status() -> None:
    server = make_server(25)
    make("old", 2, server=server)
    make("new", 50)

    assert all_found(server_id=server.pk)[0] == ["old1@example.com", "old0@example.com"]
    assert all_found(status="accepted", server_id=server.pk)[0] == ["old1@example.com", "old0@example.com"]


def test_a_whole_address_is_found_at_once() -> None:
    make("old", 5)
    make("new", 70)

    found = search.search(Message.objects.all(), "old3@example.com", "", None, None)

    assert [message.email for message in found.messages] == ["old3@example.com"]
    assert found.unsearched is None


def test_the_page_offers_to_search_further_back(admin_client: Client) -> None:
    make("old", 5)
    make("new", 70)
    newer = Message.objects.get(email="new0@example.com").pk

    page = admin_client.get("/messages/?address=old3").content.decode()
    found = admin_client.get(f"/messages/?address=old3&before={newer}").content.decode()

    assert "No match in the last 20 messages." in page
    assert "Search further back" in page
    assert "old3@example.com" in found


def test_every_page_of_recipients_is_the_same_from_either_end(admin_client: Client) -> None:
    made = make("some", 173)
    campaign = Campaign.objects.create(name="C", subject="S", text="T", status="finished", mailing=made[0].mailing)

    pages = [admin_client.get(f"/campaigns/{campaign.pk}/recipients/?page={n}").context["rows"] for n in range(1, 5)]
    few = admin_client.get(f"/campaigns/{campaign.pk}/recipients/?q=some17").context["rows"]

    assert [row.email for page in pages for row in page] == [message.email for message in made]
    assert [row.email for row in few] == ["some17@example.com", *(f"some17{n}@example.com" for n in range(3))]
    assert few.paginator.count == 4


def test_where_a_mailing_lies_is_known_without_what_was_sent_before() -> None:
    make("old", 40)
    ours = make("ours", 7)

    assert search.span([ours[0].mailing_id]) == (ours[0].pk, ours[-1].pk)
    assert search.span([]) is None
    assert search.span([Mailing.objects.create(stream="campaign", name="None").pk]) is None
