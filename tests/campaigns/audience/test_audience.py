"""Whom a campaign reaches: lists and segments, with and without; frozen at its start, and the same in every count."""

import datetime as dt
import random

import pytest
from django.contrib.auth.models import User
from django.db import connection

from campaigns.audience.audience import audience_of
from campaigns.lifecycle import states
from campaigns.models import Campaign
from campaigns.preflight import people as preflight_people
from campaigns.preflight.refusals import audience, refusals
from contacts.models import Attribute, Contact, ContactList, Segment, Subscription, Suppression
from contacts.segments import query
from contacts.segments.audience import Audience, count, people_sql, reached
from delivery.models import Mailing, Message
from delivery.outbox import mailings as outbox
from delivery.outbox.snapshot import _snapshot_slice, snapshot
from tests.contacts.segments import oracle

NOW = dt.datetime(2026, 11, 30, 23, 59, 30, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(seconds=2)
GERMAN = {"match": "all", "conditions": [{"field": "language", "operator": "in", "values": ["de"]}]}


def make_list(name: str, *people: str, status: str = "subscribed") -> ContactList:
    contact_list, _ = ContactList.objects.get_or_create(name=name)
    for person in people:
        email = f"{person}@example.com"
        contact, _ = Contact.objects.get_or_create(email_key=email, defaults={"email": email})
        Subscription.objects.create(contact=contact, list=contact_list, status=status)
    return contact_list


def make_campaign(*lists: ContactList, **chosen: list[int]) -> Campaign:
    campaign = Campaign.objects.create(name="Winter", subject="Snow", text="Snow.", audience=chosen)
    campaign.lists.set(lists)
    return campaign


def start(campaign: Campaign) -> dict[str, tuple[str, str]]:
    assert states.queue_campaign(campaign.pk, User.objects.create_user("ann"), NOW) == []
    assert states.start_due_campaigns(LATER) == 1
    campaign.refresh_from_db()
    rows = Message.objects.filter(mailing=campaign.mailing_id).values_list("email", "status", "reason")
    return {email.partition("@")[0]: (status, reason) for email, status, reason in rows}


@pytest.fixture
def german(db: None) -> Segment:
    return Segment.objects.create(name="German", conditions=GERMAN)


def let_speak_german(*people: str) -> None:
    Contact.objects.filter(email__in=[f"{person}@example.com" for person in people]).update(language="de")


QUEUED = ("queued", "")


def test_a_segment_reaches_only_people_who_agreed_to_a_list_that_counts(german: Segment) -> None:
    news = make_list("News", "ann", "bea")
    make_list("News", "cleo", status="unsubscribed")
    make_list("News", "dora", status="pending")
    make_list("Offers", "eve")
    Contact.objects.create(email="fay@example.com")
    let_speak_german("ann", "cleo", "dora", "eve", "fay")
    campaign = make_campaign(segments=[german.pk], consent_lists=[news.pk])

    report = preflight_people.people(campaign, NOW)
    rows = start(campaign)

    assert rows == {
        "ann": QUEUED,
        "cleo": ("suppressed", "Unsubscribed."),
        "dora": ("suppressed", "Not confirmed."),
    }
    assert report.reached == 1
    assert {each.reason: each.number for each in report.left_out} == {"unsubscribed": 1, "pending": 1, "stranger": 2}
    # What an unsubscribe link in the mail withdraws.
    mailing = Mailing.objects.get()
    assert list(mailing.lists.all()) == [news]


def test_a_person_on_several_gets_one_message_and_excluded_people_none(german: Segment) -> None:
    news, offers = make_list("News", "ann", "bea", "cleo"), make_list("Offers", "bea", "dora")
    staff = make_list("Staff", "cleo")
    make_list("Staff", "dora", status="unsubscribed")
    let_speak_german("ann")
    campaign = make_campaign(news, offers, excluded_lists=[staff.pk], excluded_segments=[german.pk])

    report = preflight_people.people(campaign, NOW)
    rows = start(campaign)

    assert rows == {"bea": QUEUED, "dora": QUEUED}
    assert (report.reached, report.repeated) == (2, 1)
    assert [(each.reason, each.number) for each in report.left_out] == [("excluded", 2)]


def test_every_reason_to_leave_somebody_out_is_counted_and_kept_with_the_message(db: None) -> None:
    news = make_list("News", "ann", "bea", "cleo", "dora", "eve")
    make_list("News", "fay", status="unsubscribed")
    make_list("News", "gil", status="pending")
    Contact.objects.filter(email="bea@example.com").update(paused_until=NOW + dt.timedelta(days=3))
    Contact.objects.filter(email="cleo@example.com").update(paused_until=NOW)  # It is over.
    Suppression.objects.create(email="dora@example.com", reason="complaint")
    Suppression.objects.create(email="eve@example.com", expires_at=NOW)
    other = Contact.objects.create(email="hal@blocked.example")
    Subscription.objects.create(contact=other, list=news)
    Suppression.objects.create(email="@blocked.example")
    campaign = make_campaign(news)

    report = preflight_people.people(campaign, NOW)
    rows = start(campaign)

    assert {name for name, row in rows.items() if row == QUEUED} == {"ann", "cleo", "eve"}
    assert {name: reason for name, (status, reason) in rows.items() if status == "suppressed"} == {
        "bea": "Asked for a break until 2026-12-03.",
        "dora": "On the suppression list: complaint.",
        "fay": "Unsubscribed.",
        "gil": "Not confirmed.",
        "hal": "The domain blocked.example is on the suppression list.",
    }
    assert report.reached == 3
    assert {each.reason: each.number for each in report.left_out} == dict.fromkeys(
        ("suppressed", "domain", "unsubscribed", "pending", "paused"), 1
    )
    assert report.total == len(rows)


def test_a_started_campaign_keeps_its_audience_whatever_becomes_of_the_segment(
    german: Segment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.outbox.snapshot.SLICE_CONTACTS", 2)
    news = make_list("News", "ann", "bea", "cleo", "dora", "eve", "fay")
    let_speak_german("ann", "bea", "eve")
    campaign = make_campaign(segments=[german.pk], consent_lists=[news.pk])
    states.queue_campaign(campaign.pk, User.objects.create_user("ann"), NOW)
    taken = []

    def dies_after_two(*args: object) -> None:
        if len(taken) == 2:
            raise KeyboardInterrupt
        taken.append(args)
        slice_of(*args)  # type: ignore[arg-type]

    slice_of = _snapshot_slice
    monkeypatch.setattr("delivery.outbox.snapshot._snapshot_slice", dies_after_two)
    with pytest.raises(KeyboardInterrupt):
        states.start_due_campaigns(LATER)
    monkeypatch.setattr("delivery.outbox.snapshot._snapshot_slice", slice_of)
    let_speak_german("cleo")  # In a slice that is done …
    let_speak_german("fay")  # … and in one that is not.
    Segment.objects.update(conditions={"match": "all", "conditions": [{"field": "email", "operator": "empty"}]})
    german.delete()

    assert states.start_due_campaigns(LATER) == 1

    emails = set(Message.objects.values_list("email", flat=True))
    assert emails == {f"{person}@example.com" for person in ("ann", "bea", "eve", "fay")}
    Mailing.objects.update(is_snapshotted=False)
    assert snapshot(Mailing.objects.get().pk, LATER) == 4


def test_what_was_frozen_counts_its_days_from_the_start(db: None) -> None:
    news = make_list("News", "ann")
    Contact.objects.update(created_at=NOW - dt.timedelta(days=6, hours=23))
    lately = {"match": "all", "conditions": [{"field": "created", "operator": "last_days", "days": 7}]}
    audience = Audience(consent_lists=(news.pk,), segments=(lately,))
    mailing = outbox.open_mailing(
        stream="campaign",
        name="Winter",
        subject="Snow",
        html="",
        text="Snow.",
        lists=[news],
        audience={**audience.as_json(), "as_of": NOW.isoformat()},
    )

    assert snapshot(mailing.pk, NOW + dt.timedelta(days=1)) == 1


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"segments": ["segment"]}, "The segments reach nobody without a consent list."),
        ({"segments": [0], "consent_lists": ["list"]}, "A chosen segment has been deleted."),
        ({"segments": ["segment"], "consent_lists": [0]}, "A consent list has been deleted."),
        ({"excluded_lists": [0]}, "An excluded list has been deleted."),
        ({"excluded_segments": [0]}, "An excluded segment has been deleted."),
        ({"segments": ["segment"], "consent_lists": ["list"]}, "The chosen audience is empty."),
    ],
)
def test_an_audience_that_cannot_be_meant_is_refused(german: Segment, chosen: dict, sentence: str) -> None:
    news = make_list("News", "ann")
    ids = {"segment": german.pk, "list": news.pk, 0: 999_999}
    chosen = {name: [ids[value] for value in values] for name, values in chosen.items()}
    campaign = make_campaign(*([] if "segments" in chosen else [news]), **chosen)

    [refusal] = refusals(campaign, NOW)

    assert refusal.startswith(sentence)


def test_a_queued_campaign_that_loses_whom_to_exclude_is_a_draft_again(german: Segment) -> None:
    campaign = make_campaign(make_list("News", "ann"), excluded_segments=[german.pk])
    assert states.queue_campaign(campaign.pk, User.objects.create_user("ann"), NOW) == []
    german.delete()

    assert states.start_due_campaigns(LATER) == 0

    campaign.refresh_from_db()
    assert (campaign.status, campaign.mailing) == ("draft", None)
    assert refusals(campaign, NOW) == [
        "An excluded segment has been deleted. Check the audience and save the campaign."
    ]


@pytest.mark.parametrize("seed", range(2))
def test_count_snapshot_and_queryset_agree_on_any_audience(db: None, seed: int) -> None:
    chance = random.Random(seed)
    for name, kind in {"city": "text", "size": "number", "birthday": "date", "plan": "choice"}.items():
        Attribute.objects.create(name=name, label=name, kind=kind, choices=oracle.PLANS)
    lists = [ContactList.objects.create(name=name) for name in ("News", "Events", "Offers", "Staff")]
    people = oracle.make_people(chance, lists, NOW, 60)
    for person in chance.sample(people, 8):
        expires_at = chance.choice([None, NOW + dt.timedelta(1), NOW - dt.timedelta(1)])
        Suppression.objects.create(email=person.email, expires_at=expires_at)
    fields = [field for field in query.vocabulary().values() if field.name.partition(":")[0] in oracle.KINDS]
    ids = [each.pk for each in lists]
    reached_at_all = 0

    for _ in range(25):
        chosen = Audience(
            lists=tuple(chance.sample(ids, chance.randrange(3))),
            consent_lists=tuple(chance.sample(ids, chance.randrange(3))),
            segments=tuple(oracle.random_group(chance, fields, NOW) for _ in range(chance.randrange(3))),
            excluded_lists=tuple(chance.sample(ids, chance.randrange(2))),
            excluded_segments=tuple(oracle.random_group(chance, fields, NOW) for _ in range(chance.randrange(2))),
        )
        expected = {person.pk for person in people if _is_reached(person, chosen, {each.pk: each for each in people})}
        assert set(reached(chosen, NOW).values_list("pk", flat=True)) == expected, chosen
        assert count(chosen, NOW).reached == len(expected)
        sql, parameters = people_sql(chosen, NOW, (people[10].pk, people[40].pk))
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM ({sql}) AS p WHERE verdict = 'reached'", parameters)
            found = {row[0] for row in cursor.fetchall()}
        assert found == {pk for pk in expected if people[10].pk <= pk <= people[40].pk}
        reached_at_all += len(expected)

    assert reached_at_all > 50


def _is_reached(person: Contact, chosen: Audience, people: dict[int, Contact]) -> bool:
    on = {each.list_id for each in person.subscriptions.all() if each.status == "subscribed"}

    def is_in(segments: tuple) -> bool:
        return any(oracle.meets(person, each, NOW, dt.UTC) for each in segments)

    is_meant = bool(on & set(chosen.lists)) or (bool(on & set(chosen.consent_lists)) and is_in(chosen.segments))
    is_excluded = bool(on & set(chosen.excluded_lists)) or is_in(chosen.excluded_segments)
    is_paused = person.paused_until is not None and person.paused_until > NOW
    stops = Suppression.objects.filter(email_key=person.email_key)
    is_stopped = any(each.expires_at is None or each.expires_at > NOW for each in stops)
    return is_meant and not is_excluded and not is_paused and not is_stopped


def test_the_audience_of_a_draft_is_that_of_its_segments_now(german: Segment) -> None:
    news = make_list("News", "ann", "bea")
    let_speak_german("ann")
    campaign = make_campaign(segments=[german.pk], consent_lists=[news.pk])

    assert audience(campaign, NOW).count() == 1
    let_speak_german("bea")
    assert audience(campaign, NOW).count() == 2
    assert audience_of(campaign).segments == (GERMAN,)
