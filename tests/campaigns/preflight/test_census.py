"""Pages and the button of a campaign to a large audience answer at once, and a worker counts and checks."""

import contextvars
import datetime as dt
import os
import signal

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.utils.html import escape

from campaigns.audience import headcounts
from campaigns.lifecycle import approvals, states
from campaigns.models import (
    Approval,
    ApprovalRule,
    Campaign,
    FrozenContent,
    Headcount,
    HeadcountRequest,
    Layout,
)
from campaigns.preflight import census
from campaigns.schedule import schedule
from contacts.models import Contact
from delivery.models import Mailing, Message
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.harness.children import Child
from tests.harness.forms import opened

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SOON = NOW + dt.timedelta(seconds=2)


@pytest.fixture
def large(campaign: Campaign, server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """A campaign to three people, who are many here."""
    monkeypatch.setattr(headcounts, "LARGE", 2)
    campaign.html, campaign.subject = "<p>Snow!</p>", "Snow"
    campaign.layout = Layout.objects.create(name="Ours", footer="Old footer")
    campaign.save()
    return campaign


def click(campaign: Campaign, people: dict[str, User]) -> str:
    """Queue as a person does, and return the page that follows."""
    client = client_of(people["marketer"])
    asked = opened(client.get(f"/campaigns/{campaign.pk}/review/").content, "send_form")
    return client.post(f"/campaigns/{campaign.pk}/queue/", asked, follow=True).content.decode()


# --- pages


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("page", "told"), [("review", "3 people"), ("people", "3"), ("people?reason=reached", "ann@example.com")]
)
def test_a_page_waits_for_numbers_and_shows_them_in_every_process(
    large: Campaign, people: dict[str, User], page: str, told: str
) -> None:
    client = client_of(people["admin"])
    path, _, query = page.partition("?")
    address = f"/campaigns/{large.pk}/{path}/?{query}"

    waiting = [client.get(address).content.decode() for _ in range(2)]
    done = census.take(NOW)
    cache.clear()  # Another process remembers nothing.
    shown = client.get(address).content.decode()

    assert all("Counting recipients" in each for each in waiting)
    assert done == 1
    assert not HeadcountRequest.objects.exists()
    assert told in shown
    assert "data-counting" not in shown


@pytest.mark.django_db
def test_the_form_of_a_draft_opens_before_its_people_are_counted(large: Campaign, people: dict[str, User]) -> None:
    client = client_of(people["admin"])
    form = f"/admin/campaigns/campaign/{large.pk}/change/"

    before = client.get(form).content.decode()
    census.take(NOW)

    assert "Counting recipients…" in before
    assert "Ready to send to 3 people" in client.get(form).content.decode()


@pytest.mark.django_db
def test_what_is_ticked_in_a_form_is_counted_by_a_worker(large: Campaign, people: dict[str, User]) -> None:
    client = client_of(people["marketer"])
    ticked = {"lists": [large.lists.get().pk]}

    before = client.post("/campaigns/audience.json", ticked).json()
    census.take(NOW)
    after = client.post("/campaigns/audience.json", ticked).json()

    assert (before["is_counting"], before["sentence"]) == (True, "Counting recipients…")
    assert (after["is_counting"], after["reached"]) == (False, 3)


@pytest.mark.django_db
def test_a_button_that_needs_the_numbers_does_nothing_without_them(large: Campaign, people: dict[str, User]) -> None:
    client = client_of(people["admin"])
    ApprovalRule.objects.create(needed_above=2)
    approvals.ask_for(large.pk, "", people["marketer"], NOW)
    approval = Approval.objects.get()

    overriding = client.post(f"/campaigns/{large.pk}/override/", {"check": "C1", "reason": "So"})
    deciding = client.post(f"/campaigns/approvals/{approval.pk}/", {"decision": "approve"})

    assert [overriding.status_code, deciding.status_code] == [302, 302]
    approval.refresh_from_db()
    assert approval.decision == ""


@pytest.mark.django_db
def test_one_that_cannot_be_counted_keeps_nobody_waiting(
    large: Campaign, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = states.duplicate(large.pk)
    look = census.review

    def broken(campaign: Campaign, now: dt.datetime) -> object:
        if campaign.pk == large.pk:
            raise RuntimeError("unforeseen")
        return look(campaign, now)

    monkeypatch.setattr(census, "review", broken)
    for each in (large, other):
        census.ask(each.pk, NOW)

    assert census.take(NOW) == 1
    assert not HeadcountRequest.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_is_killed_while_it_counts_leaves_the_request(
    large: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    census.ask(large.pk, NOW)

    with monkeypatch.context() as deadly:
        deadly.setattr(census, "review", lambda campaign, now: os.kill(os.getpid(), signal.SIGKILL))
        ended, _ = Child(lambda: census.take(NOW)).wait()

    assert ended == -signal.SIGKILL
    assert census.take(SOON) == 0  # It may be at work still.
    assert census.take(NOW + census.LEASE) == 1
    assert Headcount.objects.exists()


# --- queueing


@pytest.mark.django_db
def test_a_click_is_taken_at_once_and_the_worker_checks_before_anything_leaves(
    large: Campaign, people: dict[str, User]
) -> None:
    page = click(large, people)

    large.refresh_from_db()
    assert (large.status, large.is_unreviewed) == ("scheduled", True)
    assert "Its recipients are counted and checked first" in page
    assert "Nothing is sent before that." in page
    assert not Headcount.objects.exists()

    now = large.starts_at + dt.timedelta(seconds=2)
    assert states.start_due_campaigns(now) == 0
    large.refresh_from_db()
    assert (large.status, large.is_unreviewed) == ("scheduled", False)
    assert states.start_due_campaigns(now) == 1
    assert Message.objects.filter(mailing__stream="campaign", status="queued").count() == 3


@pytest.mark.django_db
def test_with_known_numbers_the_click_refuses_by_itself(large: Campaign, people: dict[str, User]) -> None:
    SmtpServer.objects.update(is_active=False)
    census.ask(large.pk, NOW)
    census.take(NOW)

    [refusal] = states.queue_campaign(large.pk, people["marketer"], NOW)

    assert "3 of 3 messages can't be sent" in refusal


@pytest.mark.django_db
def test_what_the_worker_finds_makes_it_a_draft_again_with_a_notice(large: Campaign, people: dict[str, User]) -> None:
    SmtpServer.objects.update(is_active=False)
    assert states.queue_campaign(large.pk, people["marketer"], NOW) == []

    assert states.start_due_campaigns(SOON) == 0

    large.refresh_from_db()
    assert (large.status, large.is_unreviewed, large.starts_at) == ("draft", False, None)
    assert "3 of 3 messages can't be sent" in large.returned_reason
    assert Mailing.objects.get().stream == "notice"
    assert escape(large.returned_reason.split(".")[0]) in client_of(people["admin"]).get("/admin/").content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"subject": ""}, "Enter a subject."),
        ({"html": "{{ x"}, "invalid merge field"),
        ({"start": "at", "start_wall": ""}, "The schedule has no date"),
        ({"start": "at", "start_wall": "2020-01-01T09:00"}, "is in the past"),
    ],
)
def test_what_needs_no_number_is_refused_at_the_click(
    large: Campaign, people: dict[str, User], change: dict[str, str], words: str
) -> None:
    Campaign.objects.update(**change)

    refusals = states.queue_campaign(large.pk, people["marketer"], NOW)

    assert words in refusals[0]
    assert not FrozenContent.objects.exists()


@pytest.mark.django_db
def test_a_missing_second_person_is_noticed_at_the_click_without_a_count(
    large: Campaign, people: dict[str, User]
) -> None:
    ApprovalRule.objects.create(needed_above=1)

    [refusal] = states.queue_campaign(large.pk, people["marketer"], NOW)

    assert refusal.startswith("Campaigns to more than 1 person need")
    assert not Headcount.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("approved", [None, 1, 3])
def test_nothing_leaves_that_nobody_approved(
    large: Campaign, people: dict[str, User], monkeypatch: pytest.MonkeyPatch, approved: int | None
) -> None:
    """Where even the threshold is too large to ask about at the click."""
    monkeypatch.setattr(states, "LARGE", 1)
    ApprovalRule.objects.create(needed_above=2, tolerance_percent=0)
    if approved is not None:
        approvals.ask_for(large.pk, "", people["marketer"], NOW)
        with headcounts.patiently():  # The page that was shown had been counted.
            assert approvals.decide(Approval.objects.get().pk, True, "", people["admin"], NOW, approved) == ""
        Headcount.objects.all().delete()
    assert states.queue_campaign(large.pk, people["marketer"], NOW) == []

    started = [states.start_due_campaigns(SOON) for _ in range(2)]

    large.refresh_from_db()
    assert (started[1], large.status) == ((1, "sending") if approved == 3 else (0, "draft"))
    assert Message.objects.filter(mailing__stream="campaign").exists() == (approved == 3)


@pytest.mark.django_db
def test_a_layout_that_changes_before_the_worker_checks_is_noticed(large: Campaign, people: dict[str, User]) -> None:
    states.queue_campaign(large.pk, people["marketer"], NOW)
    Layout.objects.update(footer="New footer")

    states.start_due_campaigns(SOON)

    large.refresh_from_db()
    assert (large.status, large.returned_reason) == ("draft", states.CHANGED_SINCE)


@pytest.mark.django_db
def test_checks_of_what_was_taken_back_do_not_hold_for_what_was_queued_since(
    large: Campaign, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    states.queue_campaign(large.pk, people["marketer"], NOW)
    look = states.why_not

    def meanwhile(campaign: Campaign, now: dt.datetime) -> list[str]:
        found = look(campaign, now)
        monkeypatch.setattr(states, "why_not", look)
        Headcount.objects.all().delete()
        schedule.take_back(large.pk)
        Campaign.objects.update(html="<p>Something else</p>")
        click = contextvars.Context()  # The web's, where nobody counts.
        assert click.run(states.queue_campaign, large.pk, people["marketer"], SOON) == []
        return found

    monkeypatch.setattr(states, "why_not", meanwhile)
    states.start_due_campaigns(SOON)

    large.refresh_from_db()
    assert (large.status, large.is_unreviewed) == ("scheduled", True)


@pytest.mark.django_db
def test_it_is_checked_long_before_it_is_due(large: Campaign, people: dict[str, User]) -> None:
    Campaign.objects.update(start="at", start_wall="2026-12-24T09:00", time_zone="Europe/Berlin")
    states.queue_campaign(large.pk, people["marketer"], NOW)

    started = [states.start_due_campaigns(SOON) for _ in range(2)]

    large.refresh_from_db()
    assert started == [0, 0]
    assert (large.is_unreviewed, large.starts_at) == (False, dt.datetime(2026, 12, 24, 8, 0, tzinfo=dt.UTC))


@pytest.mark.django_db
def test_a_start_by_each_persons_clock_is_found_by_the_worker(large: Campaign, people: dict[str, User]) -> None:
    Contact.objects.update(time_zone="Asia/Tokyo")
    Campaign.objects.update(start="local", start_wall="2026-12-24T09:00", time_zone="Europe/Berlin")
    states.queue_campaign(large.pk, people["marketer"], NOW)

    states.start_due_campaigns(SOON)

    large.refresh_from_db()
    assert (large.status, large.starts_at) == ("scheduled", dt.datetime(2026, 12, 24, 0, 0, tzinfo=dt.UTC))


@pytest.mark.django_db
def test_a_late_worker_judges_the_start_as_of_the_click(large: Campaign, people: dict[str, User]) -> None:
    """It was queued for a time that has passed when the people are counted."""
    Campaign.objects.update(start="at", start_wall="2026-11-23T12:01", time_zone="UTC")
    states.queue_campaign(large.pk, people["marketer"], NOW)

    started = [states.start_due_campaigns(NOW + dt.timedelta(minutes=4)) for _ in range(2)]

    assert started == [0, 1]
