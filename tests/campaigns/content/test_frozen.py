"""What is fixed when a campaign is queued, how many people an approval holds for, and starts that fail."""

import datetime as dt
import os
import signal
import threading
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from campaigns.ab_test import run
from campaigns.audience import allowances
from campaigns.content import media_library
from campaigns.content.written import Written
from campaigns.forms import variants
from campaigns.lifecycle import approvals, states
from campaigns.models import (
    Approval,
    ApprovalRule,
    Campaign,
    Experiment,
    FrozenContent,
    Layout,
    MediaFile,
    Variant,
)
from contacts.models import Contact, ContactList, Segment, Subscription
from delivery.content.composer import composer_for
from delivery.content.message import Outgoing
from delivery.models import Mailing, Message, Notice
from installation.models import SiteSettings
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.harness.children import Child

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
SOON = NOW + dt.timedelta(seconds=2)


def join(contact_list: ContactList, number: int, word: str = "new") -> None:
    contacts = Contact.objects.bulk_create(
        Contact(email=f"{word}{n}@example.com", email_key=f"{word}{n}@example.com") for n in range(number)
    )
    Subscription.objects.bulk_create(Subscription(contact=contact, list=contact_list) for contact in contacts)


@pytest.fixture
def framed(campaign: Campaign, server: SmtpServer) -> Campaign:
    campaign.layout = Layout.objects.create(name="Ours", footer="Old footer")
    campaign.html, campaign.subject = "<p>Snow!</p>", "Snow"
    campaign.save()
    return campaign


@pytest.fixture
def tested(framed: Campaign) -> Campaign:
    join(framed.lists.get(), 7, "old")
    experiment = Experiment.objects.create(campaign=framed, sample_percent=50)
    Variant.objects.create(experiment=experiment, position=0)
    Variant.objects.create(experiment=experiment, position=1, subject="Snow?")
    return framed


def approve(campaign: Campaign, people: dict[str, User], seen: int | None = None) -> None:
    assert approvals.ask_for(campaign.pk, "", people["marketer"], NOW) == ""
    request = Approval.objects.filter(campaign=campaign, decision="").get()
    assert approvals.decide(request.pk, True, "", people["admin"], NOW, seen) == ""


def queue(campaign: Campaign, people: dict[str, User]) -> None:
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []


def texts_of_notices() -> list[str]:
    return list(Mailing.objects.filter(stream="notice").order_by("pk").values_list("text", flat=True))


# --- the content


@pytest.mark.django_db
def test_what_is_edited_while_a_campaign_waits_changes_nothing(framed: Campaign, people: dict[str, User]) -> None:
    queue(framed, people)

    Layout.objects.update(footer="New footer", organisation="Somebody else")
    Campaign.objects.filter(pk=framed.pk).update(html="<p>Rain!</p>", subject="Rain", utm_source="other")
    states.start_due_campaigns(SOON)

    mailing = Mailing.objects.get(stream="campaign")
    assert "Snow!" in mailing.html
    assert "Old footer" in mailing.html
    assert "New footer" not in mailing.html
    assert (mailing.subject, mailing.utm) == ("Snow", {})


@pytest.mark.django_db
def test_the_sender_is_called_as_when_it_was_queued(
    campaign: Campaign, server: SmtpServer, people: dict[str, User], saved_settings: None
) -> None:
    saved = SiteSettings.objects.create(pk=1, organisation="Old Ltd", postal_address="1 Old Street", language="de")
    queue(campaign, people)

    saved.organisation, saved.postal_address, saved.language = "New Ltd", "2 New Street", "fr"
    saved.save()
    states.start_due_campaigns(SOON)

    mailing = Mailing.objects.get(stream="campaign")
    sent = composer_for(mailing, server).compose(outgoing_of(mailing), NOW).content.decode()
    assert (mailing.organisation, mailing.postal_address, mailing.site_language) == ("Old Ltd", "1 Old Street", "de")
    assert "1 Old Street" in sent
    assert "2 New Street" not in sent
    assert "Abmelden" in sent


def outgoing_of(mailing: Mailing) -> Outgoing:
    message = mailing.messages.order_by("pk")[0]
    return Outgoing(
        message.pk, mailing.pk, message.email, message.email_key, contact=None, message_id="<1@mail.example.com>"
    )


@pytest.mark.django_db
def test_an_approval_does_not_hold_for_another_name(
    campaign: Campaign, server: SmtpServer, people: dict[str, User], saved_settings: None
) -> None:
    ApprovalRule.objects.update_or_create(pk=1, defaults={"needed_above": 1})
    saved = SiteSettings.objects.create(pk=1, organisation="Old Ltd")
    approve(campaign, people)

    saved.organisation = "New Ltd"
    saved.save()

    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) != []


@pytest.mark.django_db
def test_people_who_join_while_it_waits_get_it(framed: Campaign, people: dict[str, User]) -> None:
    queue(framed, people)
    join(framed.lists.get(), 4)

    states.start_due_campaigns(SOON)

    assert Message.objects.filter(mailing__stream="campaign").count() == 7
    assert Mailing.objects.get(stream="campaign").audience["as_of"] == SOON.isoformat()


@pytest.mark.django_db
def test_a_preview_of_a_queued_campaign_shows_what_was_queued(framed: Campaign, people: dict[str, User]) -> None:
    queue(framed, people)
    Layout.objects.update(footer="New footer")
    client = client_of(people["marketer"])

    shown = client.get(f"/campaigns/{framed.pk}/preview/html/").content.decode()
    progress = client.get(f"/campaigns/{framed.pk}/").content.decode()

    assert "Old footer" in shown
    assert "New footer" not in shown
    assert "The content is final." in progress


@pytest.mark.django_db
def test_each_variant_is_frozen(tested: Campaign, people: dict[str, User]) -> None:
    queue(tested, people)
    Layout.objects.update(footer="New footer")
    Variant.objects.update(subject="Rain?")

    states.start_due_campaigns(SOON)

    assert set(Mailing.objects.filter(stream="campaign").values_list("subject", flat=True)) == {"Snow", "Snow?"}
    assert not any("New footer" in html for html in Mailing.objects.values_list("html", flat=True))


@pytest.mark.django_db
def test_another_test_than_the_queued_one_is_not_sent(tested: Campaign, people: dict[str, User]) -> None:
    queue(tested, people)
    Variant.objects.create(experiment=tested.experiment, position=2, subject="Hail?")

    states.start_due_campaigns(SOON)

    tested.refresh_from_db()
    assert (tested.status, tested.mailing_id) == ("draft", None)
    assert "The A/B test has changed since the campaign was queued." in tested.returned_reason
    assert not Variant.objects.exclude(mailing=None).exists()


@pytest.mark.django_db
def test_a_test_cannot_be_removed_once_the_campaign_is_queued(tested: Campaign, people: dict[str, User]) -> None:
    queue(tested, people)

    assert not variants.remove(tested.pk)
    assert Experiment.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["variant", "frozen", "sent"])
def test_a_picture_stays_as_long_as_queued_or_sent_mail_shows_it(
    tested: Campaign, people: dict[str, User], place: str
) -> None:
    file = MediaFile.objects.create(
        name="a.png", stored_name=f"{'x' * 24}.png", kind="image", content_type="image/png", size_bytes=3
    )
    shown = f'<p><img src="{media_library.url_of(file)}" alt=""></p>'
    if place == "variant":
        Variant.objects.filter(position=1).update(body=shown)
    else:
        tested.html = shown
        tested.save()
        queue(tested, people)
        if place == "sent":
            states.start_due_campaigns(SOON)
            FrozenContent.objects.all().delete()
        Campaign.objects.filter(pk=tested.pk).update(html="<p>Nothing.</p>")

    assert media_library.used_by(file) == [f"the campaign “{tested}”"]


@pytest.mark.django_db
def test_a_layout_that_changes_during_the_checks_is_noticed(
    framed: Campaign, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = states.why_not

    def edited_meanwhile(*checked: Any) -> list[str]:
        Layout.objects.update(footer="New footer")
        return look(*checked)

    monkeypatch.setattr(states, "why_not", edited_meanwhile)

    [refusal] = states.queue_campaign(framed.pk, people["marketer"], NOW)

    assert refusal == "The campaign has just been changed. Check it and send it again."
    assert not FrozenContent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_of_two_who_queue_and_one_who_edits_one_wins(framed: Campaign, people: dict[str, User]) -> None:
    """What is sent is a content that was whole at one time, whichever came first."""

    def edit() -> None:
        for n in range(5):
            Layout.objects.update(footer=f"Footer {n}", organisation=f"Organisation {n}")
        connections.close_all()

    def click() -> None:
        states.queue_campaign(framed.pk, people["marketer"], NOW)
        connections.close_all()

    threads = [threading.Thread(target=each) for each in (edit, click, click)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    states.queue_campaign(framed.pk, people["marketer"], NOW)

    frozen = FrozenContent.objects.get()
    framed.refresh_from_db()
    assert framed.status == "scheduled"
    assert Written(framed).version_with(frozen.contents) == frozen.version


# --- the second person


@pytest.mark.django_db
def test_a_small_campaign_that_grew_large_goes_back_instead_of_out(framed: Campaign, people: dict[str, User]) -> None:
    ApprovalRule.objects.create(needed_above=3)
    queue(framed, people)
    join(framed.lists.get(), 12)

    assert states.start_due_campaigns(SOON) == 0

    framed.refresh_from_db()
    assert (framed.status, framed.starts_at, framed.mailing_id) == ("draft", None, None)
    assert framed.returned_reason.startswith("It would have reached 15 people, and campaigns to more than 3 people")
    assert not Message.objects.exclude(mailing__stream="notice").exists()
    assert Notice.objects.get().kind == "campaign"
    assert Message.objects.get().email == "marketer@example.com"
    assert "It would have reached 15 people" in texts_of_notices()[0]
    client = client_of(people["admin"])
    for page in (f"/campaigns/{framed.pk}/review/", f"/campaigns/{framed.pk}/", "/admin/"):
        assert "It would have reached 15 people" in client.get(page).content.decode(), page


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("approved", "percent", "most", "growth", "goes"),
    [
        (100, 5, 100, 5, True),
        (100, 5, 100, 6, False),
        (100, 5, 2, 2, True),
        (100, 5, 2, 3, False),
        (100, 0, 100, 0, True),
        (100, 0, 100, 1, False),
        (19, 5, 100, 1, False),  # 5 % of 19 is nobody.
        (20, 5, 100, 1, True),
    ],
)
def test_an_approval_is_for_a_number_and_a_few_more(
    framed: Campaign, people: dict[str, User], approved: int, percent: int, most: int, growth: int, goes: bool
) -> None:
    ApprovalRule.objects.create(needed_above=2, tolerance_percent=percent, tolerance_people=most)
    join(framed.lists.get(), approved - 3)
    approve(framed, people)
    queue(framed, people)
    join(framed.lists.get(), growth, "late")

    states.start_due_campaigns(SOON)

    framed.refresh_from_db()
    assert framed.status == ("sending" if goes else "draft")
    if not goes:
        assert f"{approved} were approved" in framed.returned_reason


@pytest.mark.django_db
def test_five_percent_and_a_hundred_are_the_default() -> None:
    rule = ApprovalRule.objects.create(needed_above=1)

    assert (rule.tolerance_percent, rule.tolerance_people) == (5, 100)
    assert allowances.allowed(Approval(people=1_000)) == 1_050
    assert allowances.allowed(Approval(people=1_000_000)) == 1_000_100
    assert allowances.allowed(Approval(people=None)) == 0


@pytest.mark.django_db
def test_a_draft_that_outgrew_its_approval_asks_again(framed: Campaign, people: dict[str, User]) -> None:
    ApprovalRule.objects.create(needed_above=2)
    approve(framed, people)
    join(framed.lists.get(), 3)

    [refusal] = states.queue_campaign(framed.pk, people["marketer"], NOW)
    approve(framed, people)

    assert refusal.startswith("The approval covers 3 people, and the campaign would reach 6.")
    queue(framed, people)


@pytest.mark.django_db
def test_the_number_that_counts_is_the_one_that_was_shown(framed: Campaign, people: dict[str, User]) -> None:
    ApprovalRule.objects.create(needed_above=2)
    approvals.ask_for(framed.pk, "", people["marketer"], NOW)
    client = client_of(people["admin"])
    page = client.get(f"/campaigns/{framed.pk}/review/").content.decode()
    assert '<input type="hidden" name="people" value="3">' in page
    join(framed.lists.get(), 50)  # After the page was opened.

    client.post(f"/campaigns/approvals/{Approval.objects.get().pk}/", {"decision": "approve", "people": "3"})

    assert Approval.objects.get().people == 3
    assert len(states.queue_campaign(framed.pk, people["marketer"], NOW)) == 1


@pytest.mark.parametrize("said", ["9999999", "4", "", "-1", "3.0"])
@pytest.mark.django_db
def test_an_approval_is_for_no_more_people_than_are_counted(
    framed: Campaign, people: dict[str, User], said: str
) -> None:
    ApprovalRule.objects.create(needed_above=2)
    approvals.ask_for(framed.pk, "", people["marketer"], NOW)

    client_of(people["admin"]).post(
        f"/campaigns/approvals/{Approval.objects.get().pk}/", {"decision": "approve", "people": said}
    )

    approval = Approval.objects.get()
    assert (approval.decision, approval.people) == ("approved", 3)
    join(framed.lists.get(), 50)
    assert len(states.queue_campaign(framed.pk, people["marketer"], NOW)) == 1


@pytest.mark.django_db
def test_another_segment_than_the_approved_one_is_not_sent_to(framed: Campaign, people: dict[str, User]) -> None:
    """The number is the same, the people are others."""
    ApprovalRule.objects.create(needed_above=0)

    segment = Segment.objects.create(name="Some", conditions=_conditions("ann"))
    framed.audience = {"excluded_segments": [segment.pk]}
    framed.save()
    approve(framed, people)
    queue(framed, people)
    Segment.objects.filter(pk=segment.pk).update(conditions=_conditions("bea"))

    states.start_due_campaigns(SOON)

    framed.refresh_from_db()
    assert framed.status == "draft"
    assert framed.returned_reason.startswith("Its audience isn't the approved one.")


def _conditions(name: str) -> dict[str, object]:
    return {"match": "all", "conditions": [{"field": "first_name", "operator": "is", "text": name}]}


@pytest.mark.django_db
def test_people_who_come_while_the_messages_are_made_are_counted(
    framed: Campaign, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    ApprovalRule.objects.create(needed_above=5)
    queue(framed, people)
    snapshot = states.snapshot

    def meanwhile(*args: object, **kwargs: object) -> int:
        join(framed.lists.get(), 4)
        return snapshot(*args, **kwargs)

    monkeypatch.setattr(states, "snapshot", meanwhile)
    states.start_due_campaigns(SOON)

    framed.refresh_from_db()
    assert framed.status == "draft"
    assert set(Message.objects.filter(mailing__stream="campaign").values_list("status", flat=True)) == {"cancelled"}
    monkeypatch.undo()

    approve(framed, people)
    queue(framed, people)
    assert states.start_due_campaigns(SOON) == 1
    framed.refresh_from_db()
    assert Message.objects.filter(mailing=framed.mailing_id, status="queued").count() == 7


@pytest.mark.django_db
def test_the_rest_of_a_test_that_outgrew_its_approval_waits_for_a_second_person(
    tested: Campaign, people: dict[str, User]
) -> None:
    ann = people["marketer"]
    ApprovalRule.objects.create(needed_above=2)
    join(tested.lists.get(), 10)
    approve(tested, people)
    queue(tested, people)
    assert states.start_due_campaigns(SOON) == 1
    join(tested.lists.get(), 30, "late")
    winner = Variant.objects.get(position=1)
    assert run.choose(tested.pk, winner.pk, ann, SOON) == ""

    assert run.open_rests(SOON) == 0

    experiment = Experiment.objects.get()
    assert (experiment.winner, experiment.unapproved, experiment.is_rest_open) == (None, 50, False)
    assert not Message.objects.filter(email__startswith="late", status="queued").exists()
    assert "more than were approved" in texts_of_notices()[0]
    client = client_of(ann)
    assert "The winner send brings the campaign to 50 people" in client.get(f"/campaigns/{tested.pk}/").content.decode()
    assert run.choose(tested.pk, winner.pk, ann, SOON).startswith("The winner send brings this campaign to 50")

    assert run.choose(tested.pk, winner.pk, people["admin"], SOON) == ""
    assert run.open_rests(SOON) == 1

    tested.refresh_from_db()
    assert Message.objects.filter(mailing=tested.mailing_id, email__startswith="late", status="queued").exists()
    assert Message.objects.filter(mailing__state="open", email_key="late0@example.com").count() <= 1


# --- starts that fail


@pytest.mark.django_db(transaction=True)
def test_a_start_that_ends_its_worker_three_times_makes_a_draft_and_holds_up_nobody(
    framed: Campaign, people: dict[str, User], settings: object
) -> None:
    """Each start is a process of its own that is killed while it makes the mailing; the other campaign goes out."""
    other = states.duplicate(framed.pk)
    queue(framed, people)
    queue(other, people)
    Campaign.objects.filter(pk=framed.pk).update(starts_at=NOW - dt.timedelta(minutes=5))

    ends = [_start_in_a_process(framed, SOON + dt.timedelta(minutes=n)) for n in range(4)]

    assert ends == [-signal.SIGKILL] * 3 + [0]
    framed.refresh_from_db()
    other.refresh_from_db()
    assert other.status == "sending"
    assert framed.status == "draft"
    assert framed.returned_reason.startswith("It failed to start 3 times in a row, or stopped its worker.")


def _start_in_a_process(deadly: Campaign, now: dt.datetime) -> int:
    freeze = states._freeze

    def die_at_it(campaign: Campaign, now: dt.datetime) -> int | None:
        if campaign.pk == deadly.pk:
            os.kill(os.getpid(), signal.SIGKILL)
        return freeze(campaign, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(states, "_freeze", die_at_it)
        return Child(lambda: states.start_due_campaigns(now)).wait()[0]


@pytest.mark.django_db
def test_an_unexpected_error_holds_up_no_other_campaign(
    framed: Campaign, people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = states.duplicate(framed.pk)
    queue(framed, people)
    queue(other, people)
    freeze = states._freeze

    def broken(campaign: Campaign, now: dt.datetime) -> int | None:
        if campaign.pk == framed.pk:
            raise RuntimeError("unforeseen")
        return freeze(campaign, now)

    monkeypatch.setattr(states, "_freeze", broken)
    for _ in range(4):
        states.start_due_campaigns(SOON)

    framed.refresh_from_db()
    other.refresh_from_db()
    assert (framed.status, other.status) == ("draft", "sending")


@pytest.mark.django_db
def test_a_start_that_comes_further_each_time_is_not_given_up(framed: Campaign, people: dict[str, User]) -> None:
    queue(framed, people)
    Campaign.objects.filter(pk=framed.pk).update(start_attempts=states.MOST_STARTS, start_reached=-1)

    assert states.start_due_campaigns(SOON) == 1


@pytest.mark.django_db
@pytest.mark.parametrize("ahead", [dt.timedelta(hours=1), dt.timedelta(days=1)])
def test_a_lease_from_a_wrong_clock_holds_nobody_up(
    framed: Campaign, people: dict[str, User], ahead: dt.timedelta
) -> None:
    queue(framed, people)
    Campaign.objects.filter(pk=framed.pk).update(start_leased_until=SOON + dt.timedelta(seconds=20))
    assert states.start_due_campaigns(SOON) == 0
    Campaign.objects.filter(pk=framed.pk).update(start_leased_until=SOON + ahead)

    assert states.start_due_campaigns(SOON) == 1
