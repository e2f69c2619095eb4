"""From draft to finished: who may become what, what is refused, and what a kill or a second click leaves behind."""

import datetime as dt
import threading

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections

from campaigns.content.written import Written
from campaigns.lifecycle import states
from campaigns.models import Campaign
from campaigns.preflight.refusals import audience, refusals
from campaigns.preflight.review import Review
from contacts.models import Contact, ContactList, Subscription, Suppression
from delivery.models import Mailing, Message
from delivery.outbox import mailings as outbox
from delivery.outbox.snapshot import snapshot
from smtpservers.models import SmtpServer
from smtpservers.routing.fleet import Fleet

NOW = dt.datetime(2026, 11, 30, 23, 59, 30, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(seconds=2)


def make_list(name: str, *emails: str) -> ContactList:
    contact_list = ContactList.objects.create(name=name)
    for email in emails:
        contact, _ = Contact.objects.get_or_create(email_key=email, defaults={"email": email})
        Subscription.objects.create(contact=contact, list=contact_list)
    return contact_list


def make_campaign(*lists: ContactList, **fields: object) -> Campaign:
    content = {"name": "Winter sale", "subject": "Hello {{ first_name }}", "text": "Snow."} | fields
    campaign = Campaign.objects.create(**content)
    campaign.lists.set(lists)
    return campaign


def status_of(campaign: Campaign) -> str:
    return Campaign.objects.values_list("status", flat=True).get(pk=campaign.pk)


def statuses(campaign: Campaign) -> dict[str, str]:
    campaign.refresh_from_db()
    return dict(Message.objects.filter(mailing=campaign.mailing_id).values_list("email", "status"))


@pytest.fixture
def actor(db: None) -> User:
    return User.objects.create_user("ann")


@pytest.fixture
def news(db: None) -> ContactList:
    return make_list("News", "ann@example.com", "bea@example.com", "cleo@example.com")


def start(campaign: Campaign, actor: User) -> None:
    assert states.queue_campaign(campaign.pk, actor, NOW) == []
    assert states.start_due_campaigns(LATER) == 1
    campaign.refresh_from_db()


# --- queueing -------------------------------------------------------------------------------


def test_a_draft_becomes_scheduled_and_starts_with_a_message_for_everybody(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news, utm_source="winter", mail_from="Shop <news@example.com>")

    start(campaign, actor)

    assert campaign.status == "sending"
    assert (campaign.queued_by, campaign.starts_at) == (actor, NOW)
    assert set(statuses(campaign).values()) == {"queued"}
    mailing = campaign.mailing
    assert mailing is not None
    assert (mailing.stream, mailing.state, mailing.is_snapshotted) == ("campaign", "open", True)
    assert (mailing.subject, mailing.utm, mailing.reference) == (
        "Hello {{ first_name }}",
        {"utm_source": "winter"},
        f"c{campaign.pk}",
    )
    assert (mailing.slug, mailing.mail_from) == ("winter-sale", "Shop <news@example.com>")
    assert list(mailing.lists.all()) == [news]


def test_everybody_on_two_lists_gets_one_message_and_who_left_none(news: ContactList, actor: User) -> None:
    offers = make_list("Offers", "ann@example.com", "dora@example.com")
    Subscription.objects.filter(contact__email="bea@example.com").update(status="unsubscribed")
    Suppression.objects.create(email="cleo@example.com", reason="complaint")
    campaign = make_campaign(news, offers)

    assert set(audience(campaign, NOW).values_list("email", flat=True)) == {"ann@example.com", "dora@example.com"}
    start(campaign, actor)

    assert statuses(campaign) == {
        "ann@example.com": "queued",
        "bea@example.com": "suppressed",
        "cleo@example.com": "suppressed",
        "dora@example.com": "queued",
    }


def test_content_is_frozen_when_the_campaign_starts(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    start(campaign, actor)

    Campaign.objects.filter(pk=campaign.pk).update(subject="Changed")

    assert Mailing.objects.get().subject == "Hello {{ first_name }}"


def test_a_second_click_is_refused_in_words(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)

    first = states.queue_campaign(campaign.pk, actor, NOW)
    second = states.queue_campaign(campaign.pk, actor, NOW)

    assert first == []
    assert second == ["Only drafts can be sent. This campaign's status is: Scheduled."]


def test_a_change_between_check_and_queue_is_noticed(news: ContactList, actor: User, monkeypatch) -> None:
    campaign = make_campaign(news)

    real = states.review_of

    def edited_meanwhile(written: Written, fleet: Fleet) -> Review:
        Campaign.objects.get(pk=written.campaign.pk).save()
        return real(written, fleet)

    monkeypatch.setattr(states, "review_of", edited_meanwhile)

    assert states.queue_campaign(campaign.pk, actor, NOW) == [
        "The campaign has just been changed. Check it and send it again."
    ]
    assert status_of(campaign) == "draft"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"subject": " "}, "Enter a subject."),
        ({"text": "", "html": " \n"}, "Write some content: HTML, text or both."),
        ({"mail_from": "Shop <news@@example.com>"}, "The From address can't be used: "),
        ({"reply_to": "nobody"}, "The Reply-To address can't be used: "),
        ({"html": "Hi {{ first_name"}, "The HTML has an invalid merge field. "),
        ({"text": "{% for %}"}, "The text has an invalid merge field. "),
        (
            {"text": "Hi {{ frist_name }}"},
            "The text uses {{ frist_name }}, which nobody on the chosen lists has. Did you mean {{ first_name }}?",
        ),
        (
            {"subject": "{{ zzzz }}"},
            "The subject uses {{ zzzz }}, which nobody on the chosen lists has. Correct the name or remove it.",
        ),
        (
            {"text": "{{ 7 | divided_by: 0 }}"},
            "Couldn't create a message from this content. Line 1: “{{ 7 | divided_by: 0 }}” does not work",
        ),
        (
            {"html": "{% for i in (1..99999) %}{% for j in (1..99999) %}Snow{% endfor %}{% endfor %}"},
            "Couldn't create a message from this content. The content grows too large",
        ),
    ],
)
def test_a_draft_that_cannot_be_sent_is_refused_with_its_reason(
    news: ContactList, actor: User, fields: dict[str, str], sentence: str
) -> None:
    campaign = make_campaign(news, **fields)

    reasons = states.queue_campaign(campaign.pk, actor, NOW)

    assert len(reasons) == 1
    assert reasons[0].startswith(sentence)
    assert status_of(campaign) == "draft"


def test_a_campaign_needs_a_list_and_somebody_on_it(news: ContactList, actor: User) -> None:
    Subscription.objects.update(status="unsubscribed")

    assert refusals(make_campaign(), NOW) == ["Choose at least one list."]
    assert refusals(make_campaign(news, name="Other"), NOW) == [
        "Nobody is subscribed to the chosen lists. Add people to them, or choose other lists."
    ]


def test_a_from_that_no_server_sends_for_is_refused(news: ContactList) -> None:
    SmtpServer.objects.create(name="Off", host="localhost", mail_from="Shop <news@mail.shop.example>", is_active=False)
    draft = make_campaign(news, mail_from="Boss <boss@gmail.com>")

    assert refusals(draft, NOW) == [
        "No server sends for gmail.com. Leave the From address empty to use each server's own, or ask an"
        " administrator for a server."
    ]
    draft.mail_from = "Boss <boss@shop.example>"
    assert refusals(draft, NOW) == []


def test_custom_attributes_are_merge_fields_also_when_few_people_have_them(
    news: ContactList, actor: User, monkeypatch
) -> None:
    monkeypatch.setattr("campaigns.preflight.refusals.SAMPLE_CONTACTS", 1)
    Contact.objects.filter(email="ann@example.com").update(attributes={"city": "Ghent"})

    assert refusals(make_campaign(news, text="From {{ city }}"), NOW) == []
    assert refusals(make_campaign(news, name="B", text="From {{ town }}"), NOW) != []


# --- starting: twice, at once, and killed in the middle -------------------------------------


def test_starting_again_adds_nothing(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    start(campaign, actor)

    assert states.start_due_campaigns(LATER) == 0
    assert Mailing.objects.count() == 1
    assert Message.objects.count() == 3


def test_what_is_not_due_does_not_start(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    states.queue_campaign(campaign.pk, actor, NOW)

    assert states.start_due_campaigns(NOW - dt.timedelta(seconds=1)) == 0
    assert status_of(campaign) == "scheduled"


class Killed(BaseException):
    """As if the worker had died there."""


@pytest.mark.parametrize("place", ["open_mailing", "pause", "snapshot", "resume"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_worker_killed_anywhere_leaves_what_the_next_one_finishes(
    news: ContactList, actor: User, monkeypatch, place: str, moment: str
) -> None:
    campaign = make_campaign(news)
    states.queue_campaign(campaign.pk, actor, NOW)
    module = states if place == "snapshot" else outbox
    real = getattr(module, place)

    def dies(*arguments: object, **named: object) -> None:
        if moment == "after":
            real(*arguments, **named)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(module, place, dies)
        with pytest.raises(Killed):
            states.start_due_campaigns(LATER)
    nothing_may_leave = Mailing.objects.exclude(state="paused").exists()
    states.start_due_campaigns(LATER)

    assert not nothing_may_leave
    assert status_of(campaign) == "sending"
    assert Mailing.objects.count() == 1
    assert Mailing.objects.get().state == "open"
    assert Message.objects.count() == 3


def test_a_mailing_once_attached_is_not_exchanged(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    states.queue_campaign(campaign.pk, actor, NOW)
    stale = Campaign.objects.get(pk=campaign.pk)
    first = states._freeze(campaign, NOW)

    assert states._freeze(stale, NOW) is None
    assert list(Mailing.objects.values_list("pk", flat=True)) == [first]


@pytest.mark.django_db(transaction=True)
def test_parallel_queue_clicks_and_workers_make_one_run() -> None:
    actor = User.objects.create_user("ann")
    campaign = make_campaign(make_list("News", *(f"p{number}@example.com" for number in range(50))))
    answers: list[list[str]] = []
    gate = threading.Barrier(4)

    def click_and_work() -> None:
        gate.wait()
        answers.append(states.queue_campaign(campaign.pk, actor, NOW))
        states.start_due_campaigns(LATER)
        connections.close_all()

    threads = [threading.Thread(target=click_and_work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states.start_due_campaigns(LATER)

    assert sorted(map(len, answers)) == [0, 1, 1, 1]
    assert Mailing.objects.count() == 1
    assert Message.objects.count() == 50
    assert status_of(campaign) == "sending"


# --- pause, resume, cancel, finish ----------------------------------------------------------


def test_pause_and_resume_take_the_mailing_with_them(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    start(campaign, actor)

    assert states.pause(campaign.pk)
    assert (status_of(campaign), Mailing.objects.get().state) == ("paused", "paused")
    assert not states.pause(campaign.pk)
    assert states.resume(campaign.pk)
    assert (status_of(campaign), Mailing.objects.get().state) == ("sending", "open")
    assert not states.resume(campaign.pk)


def test_cancel_stops_everything_that_has_not_left(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    start(campaign, actor)
    Message.objects.filter(email="ann@example.com").update(status="accepted")

    assert states.cancel(campaign.pk, LATER)

    assert status_of(campaign) == "cancelled"
    assert statuses(campaign) == {
        "ann@example.com": "accepted",
        "bea@example.com": "cancelled",
        "cleo@example.com": "cancelled",
    }
    assert not states.cancel(campaign.pk, LATER)
    assert not states.resume(campaign.pk)


def test_a_campaign_cancelled_before_its_start_sends_nothing(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    states.queue_campaign(campaign.pk, actor, NOW)

    assert states.cancel(campaign.pk, NOW)
    states.start_due_campaigns(LATER)
    states.settle_cancelled(LATER)

    assert status_of(campaign) == "cancelled"
    assert not Message.objects.exists()


def test_a_campaign_cancelled_while_its_messages_are_made_gives_everybody_a_row(
    news: ContactList, actor: User, monkeypatch
) -> None:
    campaign = make_campaign(news)
    states.queue_campaign(campaign.pk, actor, NOW)
    real = snapshot

    def cancelled_meanwhile(mailing_id: int, now: dt.datetime, **more: object) -> int:
        assert states.cancel(campaign.pk, now)
        return real(mailing_id, now, **more)

    with monkeypatch.context() as patch:
        patch.setattr(states, "snapshot", cancelled_meanwhile)
        assert states.start_due_campaigns(LATER) == 0
    assert Mailing.objects.get().state == "paused"  # Nothing can leave before it is settled.
    states.settle_cancelled(LATER)

    assert status_of(campaign) == "cancelled"
    assert set(statuses(campaign).values()) == {"cancelled"}
    assert Mailing.objects.get().state == "cancelled"


@pytest.mark.parametrize("status", ["sending", "paused"])
def test_a_campaign_is_finished_when_its_mailing_is(news: ContactList, actor: User, status: str) -> None:
    campaign = make_campaign(news)
    start(campaign, actor)
    Campaign.objects.update(status=status)

    assert states.finish_campaigns() == 0
    Mailing.objects.update(finished_at=LATER)
    assert states.finish_campaigns() == 1
    assert status_of(campaign) == "finished"


def test_retrying_the_failed_opens_a_finished_campaign_again(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    start(campaign, actor)
    Message.objects.update(status="accepted")
    Message.objects.filter(email="ann@example.com").update(status="failed")
    Mailing.objects.update(finished_at=LATER)
    states.finish_campaigns()

    assert states.retry_failed(campaign.pk, LATER) == 1

    assert status_of(campaign) == "sending"
    assert states.finish_campaigns() == 0
    assert statuses(campaign)["ann@example.com"] == "queued"
    assert states.retry_failed(campaign.pk, LATER) == 0


def test_an_unconfirmed_message_is_sent_again_only_by_hand(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news)
    start(campaign, actor)
    Message.objects.update(status="accepted")
    message = Message.objects.get(email="ann@example.com")
    Message.objects.filter(pk=message.pk).update(status="unconfirmed")
    Campaign.objects.update(status="finished")

    assert states.retry_failed(campaign.pk, LATER) == 0
    assert states.resend(message.pk, message.mailing_id, LATER)

    assert statuses(campaign)["ann@example.com"] == "queued"
    assert status_of(campaign) == "sending"
    assert not states.resend(message.pk, message.mailing_id, LATER)


# --- copies ---------------------------------------------------------------------------------


def test_a_duplicate_is_a_draft_with_the_same_content_and_a_free_name(news: ContactList, actor: User) -> None:
    campaign = make_campaign(news, utm_term="x", name="W" * 150)
    start(campaign, actor)

    first, second = states.duplicate(campaign.pk), states.duplicate(campaign.pk)

    assert first.name == "W" * 143 + " (copy)"
    assert second.name == "W" * 141 + " (copy 2)"
    first.refresh_from_db()
    assert (first.status, first.mailing, first.queued_by, first.starts_at) == ("draft", None, None, None)
    assert (first.subject, first.utm_term) == (campaign.subject, "x")
    assert list(first.lists.all()) == [news]
    assert states.duplicate(first.pk).name == "W" * 141 + " (copy 3)"


def test_the_check_takes_few_queries_for_a_large_list(news: ContactList, django_assert_max_num_queries) -> None:
    campaign = make_campaign(news, text="{{ city }} {{ first_name }}")

    with django_assert_max_num_queries(8):
        refusals(campaign, NOW)
    assert connection.vendor in ("sqlite", "postgresql")
