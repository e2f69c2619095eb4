"""An A/B test: each person gets one variant or the winner, and nobody gets two, whatever happens in between."""

import datetime as dt
import hashlib
import re
from collections import Counter
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.ab_test import run, split
from campaigns.ab_test.comparison import compare
from campaigns.forecast.inputs import forecast_campaign
from campaigns.forecast.words import words
from campaigns.lifecycle import states as lifecycle_states
from campaigns.models import Campaign, Experiment, Variant
from campaigns.preflight.refusals import refusals
from campaigns.reports import timeline
from campaigns.schedule import mailings
from contacts.models import Contact, ContactList, Subscription, Suppression
from delivery.models import Chunk, Mailing, Message
from delivery.outbox import mailings as outbox
from delivery.outbox.snapshot import _snapshot_slice, snapshot
from delivery.outcomes import results
from installation.models import SiteSettings
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of, seen
from tests.harness.forms import opened

NOW = dt.datetime(2026, 11, 30, 12, 0, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=5)
PEOPLE = 300


@pytest.fixture
def crowd(news: ContactList) -> ContactList:
    people = [
        Contact(email=f"reader{number}@example.com", email_key=f"reader{number}@example.com")
        for number in range(PEOPLE - 3)  # And the three that are there.
    ]
    Contact.objects.bulk_create(people)
    Subscription.objects.bulk_create([Subscription(contact=person, list=news) for person in people])
    return news


@pytest.fixture
def tested(campaign: Campaign, crowd: ContactList, server: SmtpServer) -> Campaign:
    experiment = Experiment.objects.create(campaign=campaign, sample_percent=20, seed="0123456789abcdef")
    Variant.objects.create(experiment=experiment, position=0)
    Variant.objects.create(experiment=experiment, position=1, subject="Snow at last", body="<p>Snow!</p>")
    return campaign


def start(campaign: Campaign, actor: User) -> None:
    assert lifecycle_states.queue_campaign(campaign.pk, actor, NOW) == []
    assert lifecycle_states.start_due_campaigns(NOW) == 1


def tick(now: dt.datetime = LATER) -> None:
    """As the worker does every two seconds."""
    lifecycle_states.start_due_campaigns(now)
    run.open_rests(now)
    lifecycle_states.settle_cancelled(now)
    results.finish_mailings(now)
    lifecycle_states.follow_pauses()
    lifecycle_states.finish_campaigns()


def answer_all() -> None:
    Message.objects.filter(status="queued").update(status="accepted")


def per_person(campaign: Campaign) -> Counter[str]:
    campaign.refresh_from_db()
    return Counter(
        Message.objects.filter(mailing__in=mailings.mailing_ids(campaign)).values_list("email_key", flat=True)
    )


@pytest.mark.parametrize(
    ("people", "percent", "variants", "edges"),
    [
        (55, 100, 2, [0, 27, 55]),
        (55, 50, 2, [0, 14, 28]),
        (300, 20, 3, [0, 20, 40, 60]),
        (1_000_003, 33, 5, [0, 66_000, 132_000, 198_000, 264_000, 330_001]),
        (1, 100, 2, [0, 0, 1]),
        (0, 100, 2, [0, 0, 0]),
    ],
)
def test_the_parts_differ_by_one_person_at_most(people: int, percent: int, variants: int, edges: list[int]) -> None:
    assert split.edges(people, percent, variants) == edges


def test_the_parts_touch_and_do_not_overlap_and_all_that_is_beyond_the_last_is_the_last_ones() -> None:
    hashes = {27: "80ff", 55: "c0aa"}

    assert split.bounds([0, 27, 55], hashes) == [("0", "80ff"), ("80ff", "c0aa")]
    assert split.bounds([0, 27, 55], {27: "80ff"}) == [("0", "80ff"), ("80ff", "g")]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("percent", "number", "sizes"), [(100, 2, [128, 129]), (50, 2, [64, 65]), (33, 5, [17, 17, 17, 17, 17])]
)
def test_the_sample_is_shared_evenly_by_those_who_may_be_written_to(
    tested: Campaign, people: dict[str, User], percent: int, number: int, sizes: list[int]
) -> None:
    Experiment.objects.update(sample_percent=percent)
    for position in range(2, number):
        Variant.objects.create(experiment=tested.experiment, position=position, subject=f"Snow {position}")
    stopped = Contact.objects.order_by("pk")[10:53]  # 43 of 300; who they are hangs together with no hash.
    Suppression.objects.bulk_create(Suppression(email=each.email, email_key=each.email_key) for each in stopped)

    start(tested, people["marketer"])

    parts = [variant.mailing.messages.filter(status="queued").count() for variant in Variant.objects.all()]
    compared = compare(tested, NOW, lambda _: [])
    assert compared is not None
    assert parts == sizes
    assert [variant.messages for variant in compared.variants] == sizes
    assert Experiment.objects.get().expected == 257
    assert max(per_person(tested).values()) == 1


@pytest.mark.django_db
def test_a_sample_that_was_frozen_with_bounds_of_eight_digits_keeps_its_people(
    tested: Campaign, people: dict[str, User]
) -> None:
    def has_lower_fifth(email_key: str) -> bool:
        digest = hashlib.md5(f"0123456789abcdef{email_key}".encode(), usedforsecurity=False).hexdigest()
        return "33333333" <= digest[:8] < "66666666"

    mailing = outbox.open_mailing(
        stream="campaign",
        name="Old",
        subject="Old",
        html="",
        text="Old.",
        audience={
            "lists": list(tested.lists.values_list("pk", flat=True)),
            "as_of": NOW.isoformat(),
            "part": {"seed": "0123456789abcdef", "from": "33333333", "below": "66666666", "without": []},
        },
    )

    snapshot(mailing.pk, NOW)

    everybody = Contact.objects.values_list("email_key", flat=True)
    assert set(mailing.messages.values_list("email_key", flat=True)) == set(filter(has_lower_fifth, everybody))


@pytest.mark.django_db
def test_the_sample_is_parted_and_the_rest_gets_the_winner(tested: Campaign, people: dict[str, User]) -> None:
    start(tested, people["marketer"])
    sample = per_person(tested)
    experiment = Experiment.objects.get()
    winner = experiment.variants.get(position=1)
    sizes = [variant.mailing.messages.count() for variant in experiment.variants.all()]
    subjects = [variant.mailing.subject for variant in experiment.variants.all()]

    tick()
    before = per_person(tested)
    said = run.choose(tested.pk, winner.pk, people["marketer"], LATER)
    tick()
    tested.refresh_from_db()

    assert subjects == ["Hello {{ first_name }}", "Snow at last"]
    assert sizes == [30, 30]
    assert sum(sizes) == sample.total() == before.total()
    assert said == ""
    assert per_person(tested) == Counter(dict.fromkeys(Contact.objects.values_list("email_key", flat=True), 1))
    assert (tested.status, tested.mailing.subject, tested.mailing.state) == ("sending", "Snow at last", "open")
    assert tested.mailing.html == winner.mailing.html
    answer_all()
    tick()
    tested.refresh_from_db()
    assert tested.status == "finished"


# Of a mailing alone: its key, its people, its time and what became of it.
OWN = {"id", "stream", "state", "audience", "lists", "identity", "id_domain", "language", "server", "is_commercial"}
OWN |= {"snapshot_next", "snapshot_last", "is_snapshotted", "opens_at", "closes_at", "created_at"}
OWN |= {"waiting_reason", "waiting_until", "finished_at", "is_reported", "is_anonymous"}


def test_the_rest_says_who_sends_it_and_where_it_goes_as_the_sample_did(
    tested: Campaign, people: dict[str, User], settings: Any
) -> None:
    """A new field of a mailing is copied, or named above."""
    start(tested, people["marketer"])
    settings.ORGANISATION_NAME = "Somebody else"
    Mailing.objects.update(is_for_test_inbox=True, organisation="Books", postal_address="Here", site_language="de")
    winner = Experiment.objects.get().variants.get(position=1)

    run.choose(tested.pk, winner.pk, people["marketer"], LATER)
    tick()

    tested.refresh_from_db()
    fields = {field.name for field in Mailing._meta.get_fields() if not field.auto_created or field.concrete}
    assert {name: getattr(tested.mailing, name) for name in fields - OWN} == {
        name: getattr(winner.mailing, name) for name in fields - OWN
    }
    assert fields >= OWN


@pytest.mark.django_db
@pytest.mark.parametrize("breaks_at", range(1, 6))
def test_killed_between_any_two_snapshots_everybody_still_gets_one(
    tested: Campaign, people: dict[str, User], monkeypatch, breaks_at: int
) -> None:
    monkeypatch.setattr("delivery.outbox.snapshot.SLICE_CONTACTS", 100)
    real, calls = _snapshot_slice, Counter[str]()

    def killed(*args: Any) -> None:
        calls["slices"] += 1
        if calls["slices"] == breaks_at:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr("delivery.outbox.snapshot._snapshot_slice", killed)
    assert lifecycle_states.queue_campaign(tested.pk, people["marketer"], NOW) == []
    with pytest.raises(KeyboardInterrupt):
        lifecycle_states.start_due_campaigns(NOW)
    tick(NOW)
    variant = Variant.objects.order_by("position").first()
    assert run.choose(tested.pk, variant.pk, people["marketer"], LATER) == ""
    calls["slices"] = 0
    if breaks_at <= 3:
        with pytest.raises(KeyboardInterrupt):
            run.open_rests(LATER)
        tested.refresh_from_db()
        assert tested.mailing.state == "paused"
        lifecycle_states.follow_pauses()
        assert Campaign.objects.get().status == "sending"  # Nobody takes it for a pause.
    tick()
    tick()

    assert per_person(tested) == Counter(dict.fromkeys(Contact.objects.values_list("email_key", flat=True), 1))
    assert Campaign.objects.get().mailing.state == "open"
    assert Mailing.objects.count() == 3


@pytest.mark.django_db
def test_who_was_in_the_sample_never_gets_the_rest_and_who_came_later_does(
    tested: Campaign, people: dict[str, User], crowd: ContactList
) -> None:
    start(tested, people["marketer"])
    sampled = Contact.objects.filter(email_key__in=per_person(tested)).order_by("pk")
    renamed, deleted, gone = sampled[0], sampled[1], sampled[2]
    others = Contact.objects.exclude(email_key__in=per_person(tested)).order_by("pk")
    withdrew = others[0]
    Contact.objects.filter(pk=renamed.pk).update(email="new@example.com", email_key="new@example.com")
    key = deleted.email_key
    deleted.delete()
    for email in (key, "late@example.com"):  # Imported again, and somebody new.
        person = Contact.objects.create(email=email)
        Subscription.objects.create(contact=person, list=crowd)
    Subscription.objects.filter(contact=gone).update(status="unsubscribed")
    Subscription.objects.filter(contact=withdrew).update(status="unsubscribed")

    variant = Variant.objects.order_by("position").first()
    run.choose(tested.pk, variant.pk, people["marketer"], LATER)
    tick()

    counts = per_person(tested)
    assert set(counts.values()) == {1}
    assert "new@example.com" not in counts
    assert counts["late@example.com"] == 1
    assert Message.objects.get(email_key=withdrew.email_key).status == "suppressed"
    assert Message.objects.exclude(contact=None).values("contact").distinct().count() == (
        Message.objects.exclude(contact=None).count()
    )


@pytest.mark.django_db
def test_with_everybody_in_the_sample_there_is_no_rest(tested: Campaign, people: dict[str, User]) -> None:
    Experiment.objects.update(sample_percent=100)

    start(tested, people["marketer"])
    variant = Variant.objects.order_by("position").first()
    refused = run.choose(tested.pk, variant.pk, people["marketer"], LATER)
    answer_all()
    tick()

    assert refused == "Everyone is in the test, so there is nobody left for a winner."
    assert per_person(tested).total() == PEOPLE
    assert Campaign.objects.get().status == "finished"


@pytest.mark.django_db
def test_the_report_says_once_that_all_came_to_rest_however_many_parts_there_were(
    tested: Campaign, people: dict[str, User]
) -> None:
    def told() -> int:
        tested.refresh_from_db()
        return [step.what for step in timeline.steps(tested)].count("Sending finished.")

    start(tested, people["marketer"])
    answer_all()
    tick()
    assert told() == 0  # Only the sample has; most wait for the winner.

    run.choose(tested.pk, Experiment.objects.get().variants.get(position=1).pk, people["marketer"], LATER)
    tick()
    answer_all()
    tick()
    assert told() == 1


def test_pause_resume_and_cancel_hold_all_variants(tested: Campaign, people: dict[str, User]) -> None:
    start(tested, people["marketer"])

    def states() -> set[str]:
        return set(Mailing.objects.values_list("state", flat=True))

    assert lifecycle_states.pause(tested.pk)
    assert states() == {"paused"}
    assert lifecycle_states.resume(tested.pk)
    assert states() == {"open"}
    first = Variant.objects.order_by("position").first()
    outbox.pause(first.mailing_id)  # As the sending does where too much bounces.
    tick()
    assert Campaign.objects.get().status == "paused"
    assert states() == {"paused"}
    assert run.choose(tested.pk, first.pk, people["marketer"], LATER) == ""
    tick()  # Its rest is made, and waits with the others.
    assert states() == {"paused"}
    assert lifecycle_states.resume(tested.pk)
    assert states() == {"open"}
    assert lifecycle_states.cancel(tested.pk, LATER)
    tick()
    assert states() == {"cancelled"}
    assert per_person(tested).total() == PEOPLE
    assert set(Message.objects.values_list("status", flat=True)) == {"cancelled"}


@pytest.mark.django_db
def test_cancelled_before_the_winner_is_known_the_rest_never_leaves(tested: Campaign, people: dict[str, User]) -> None:
    start(tested, people["marketer"])
    sample = per_person(tested).total()

    assert lifecycle_states.cancel(tested.pk, LATER)
    variant = Variant.objects.order_by("position").first()
    refused = run.choose(tested.pk, variant.pk, people["marketer"], LATER)
    tick()

    assert refused == "The test hasn't started, so there is nothing to choose from."
    assert per_person(tested).total() == sample
    assert Campaign.objects.get().status == "cancelled"


@pytest.mark.django_db
def test_a_winner_is_chosen_once_and_only_among_its_own_variants(tested: Campaign, people: dict[str, User]) -> None:
    start(tested, people["marketer"])
    first, second = Variant.objects.order_by("position")

    answers = [run.choose(tested.pk, pk, people["marketer"], LATER) for pk in (second.pk + 7, first.pk, second.pk)]

    assert answers == ["This variant doesn't exist.", "", "Variant A has already been chosen."]
    assert Experiment.objects.get().winner == first
    assert Experiment.objects.get().chosen_by == people["marketer"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"body": "", "subject": ""}, "Variants A and B are identical."),
        ({"subject": "{{ first_nam }}"}, "Variant B: The subject uses {{ first_nam }}"),
        ({"mail_from": "Shop <a@elsewhere.net>"}, "Variant B: No server sends for elsewhere.net."),
    ],
)
def test_variants_are_checked_before_they_are_queued(tested: Campaign, change: dict[str, str], words: str) -> None:
    Variant.objects.filter(position=1).update(**change)

    assert any(reason.startswith(words) for reason in refusals(tested, NOW))


@pytest.mark.django_db
def test_a_sample_that_reaches_nobody_is_refused(tested: Campaign) -> None:
    Contact.objects.filter(email__startswith="reader").delete()

    assert any(reason.startswith("The A/B test's sample is too small") for reason in refusals(tested, NOW))


@pytest.mark.django_db
def test_a_duplicate_has_the_same_variants_and_another_sample(tested: Campaign) -> None:
    draft = lifecycle_states.duplicate(tested.pk)

    copied = draft.experiment
    assert [variant.subject for variant in copied.variants.all()] == ["", "Snow at last"]
    assert copied.seed != tested.experiment.seed
    assert copied.begun_at is None


# --- what the fleet will make of it -------------------------------------------------------------


@pytest.fixture
def slow(server: SmtpServer) -> SmtpServer:
    """A server that sends one message a second."""
    SmtpServer.objects.update(rate_limit=1, rate_unit="second")
    server.refresh_from_db()
    return server


def seconds_after(instant: dt.datetime, found: dt.datetime | None) -> float:
    assert found is not None
    return (found - instant).total_seconds()


@pytest.mark.django_db
def test_a_forecast_sends_the_sample_first_and_the_rest_after_the_hours_to_wait(
    tested: Campaign, slow: SmtpServer
) -> None:
    expected = forecast_campaign(tested, NOW)

    ripe_at = NOW + dt.timedelta(hours=4)
    assert (expected.total, expected.waiting, expected.waiting_until) == (300, 240, ripe_at)
    assert expected.first_at == NOW
    assert seconds_after(ripe_at, expected.finishes_at) == pytest.approx(240, rel=0.05)
    assert max(sent for at, sent in expected.progress if at < ripe_at) == 60
    assert words(expected, dt.UTC).notes[:2] == (
        "The test goes first: 60 messages.",
        "240 messages wait for the winner. The forecast assumes the winner is chosen at 30 Nov, 16:00.",
    )


@pytest.mark.django_db
def test_a_forecast_follows_a_test_on_its_way(tested: Campaign, people: dict[str, User], slow: SmtpServer) -> None:
    def foreseen() -> tuple[int, int, dt.datetime | None]:
        expected = forecast_campaign(Campaign.objects.get(), LATER)
        return expected.total, expected.waiting, expected.waiting_until

    start(tested, people["marketer"])
    on_its_way = forecast_campaign(Campaign.objects.get(), NOW + dt.timedelta(minutes=1))
    answer_all()
    Chunk.objects.all().delete()
    sampled = foreseen()
    run.choose(tested.pk, Experiment.objects.get().variants.get(position=1).pk, people["marketer"], LATER)
    chosen = foreseen()
    tick()

    assert (on_its_way.total, on_its_way.waiting) == (300, 240)
    assert on_its_way.waiting_until == NOW + dt.timedelta(hours=4)
    assert sampled == (240, 240, LATER)  # Later than planned already.
    assert chosen == (240, 0, None)
    assert foreseen() == (240, 0, None)
    assert Campaign.objects.get().mailing is not None


@pytest.mark.django_db
def test_a_forecast_of_a_sample_of_everybody_has_no_rest(tested: Campaign, slow: SmtpServer) -> None:
    Experiment.objects.update(sample_percent=100)

    expected = forecast_campaign(tested, NOW)

    assert (expected.total, expected.waiting, expected.waiting_until) == (300, 0, None)
    assert seconds_after(NOW, expected.finishes_at) == pytest.approx(300, rel=0.05)


@pytest.mark.django_db
def test_a_forecast_says_that_the_hours_to_wait_are_too_few(tested: Campaign, slow: SmtpServer) -> None:
    Experiment.objects.update(wait_hours=0)

    expected = forecast_campaign(tested, NOW)

    assert words(expected, dt.UTC).notes[2].startswith("The test isn't fully sent by then")


@pytest.mark.django_db
def test_campaigns_that_begin_while_the_sample_is_judged_go_before_the_rest_alone(
    tested: Campaign, slow: SmtpServer, crowd: ContactList
) -> None:
    SmtpServer.objects.update(max_per_month=400)
    other = Campaign.objects.create(
        name="Spring", subject="Spring", text="Sun.", status="scheduled", starts_at=NOW + dt.timedelta(hours=1)
    )
    other.lists.set([crowd])

    expected = forecast_campaign(tested, NOW)
    Campaign.objects.filter(pk=tested.pk).update(status="scheduled", starts_at=NOW - dt.timedelta(minutes=1))
    behind = forecast_campaign(other, NOW)

    # 60 of the sample, 300 of the other, 36 of the rest; 4 of the quota are kept from campaigns.
    assert (expected.ahead, expected.next_period) == (300, 204)
    assert behind.ahead == 60


@pytest.mark.django_db
def test_a_variant_is_foreseen_through_the_servers_of_its_own_sender(tested: Campaign, slow: SmtpServer) -> None:
    SmtpServer.objects.create(name="Beta", host="localhost", mail_from="Snow <snow@beta.example>", display_order=9)
    Variant.objects.filter(position=1).update(mail_from="Snow <snow@beta.example>")
    Campaign.objects.update(mail_from="Shop <news@example.com>")
    tested.refresh_from_db()

    expected = forecast_campaign(tested, NOW)

    assert {line.name: line.messages for line in expected.lines} == {"Alpha": 270, "Beta": 30}


# --- pages ----------------------------------------------------------------------------------


def form(**changes: object) -> dict[str, object]:
    return {"sample_percent": 100, "wait_hours": 2, "winner_by": "hand", "v1-subject": "Snow at last", **changes}


@pytest.mark.django_db
def test_a_test_is_written_changed_and_removed(campaign: Campaign, marketer: Client) -> None:
    url = reverse("campaigns:variants", args=[campaign.pk])

    page = marketer.get(url).content.decode()
    marketer.post(url, form())
    marketer.post(url, form(**{"sample_percent": 50, "v2-body": "<p>Sun</p>", "v4-subject": "Last"}))
    shown = marketer.get(reverse("campaigns:progress", args=[campaign.pk])).content.decode()

    assert "Variant E" in page
    assert f'placeholder="As the campaign: {campaign.subject}"' in page
    experiment = Experiment.objects.get()
    assert (experiment.sample_percent, experiment.wait_hours) == (50, 2)
    assert [(str(v), v.subject, v.body) for v in experiment.variants.all()] == [
        ("A", "", ""),
        ("B", "Snow at last", ""),
        ("C", "", "<p>Sun</p>"),
        ("D", "Last", ""),
    ]
    assert "4 variants share a sample of 50% of the recipients." in shown
    marketer.post(reverse("campaigns:remove_test", args=[campaign.pk]))
    assert not Experiment.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"v1-subject": ""}, "Add a second variant"),
        ({"v1-subject": "{{ first_name"}, "campaign-wrong"),
        ({"v1-mail_from": "nobody"}, "campaign-wrong"),
        ({"sample_percent": 0}, "campaign-wrong"),
        ({"sample_percent": 101}, "campaign-wrong"),
        ({"sample_percent": 50, "winner_by": "clicks", "wait_hours": 0}, "Enter 1 hour or more to choose"),
        ({"sample_percent": 50, "winner_by": "clicks"}, "This campaign doesn&#x27;t count clicks."),
        ({"sample_percent": 50, "winner_by": "opens"}, "This campaign doesn&#x27;t count opens by name."),
    ],
)
def test_a_wrong_test_is_told_and_nothing_is_stored_or_lost(
    campaign: Campaign, marketer: Client, changes: dict[str, object], words: str
) -> None:
    given = form(**{"v3-subject": "" if "v1-subject" in changes else "Kept", **changes})

    page = marketer.post(reverse("campaigns:variants", args=[campaign.pk]), given)

    assert page.status_code == 400
    assert words in page.content.decode()
    assert str(given["v3-subject"]) in page.content.decode()
    assert not Experiment.objects.exists()


@pytest.mark.django_db
def test_clicks_choose_the_winner_only_where_every_variant_counts_them(
    campaign: Campaign, marketer: Client, saved_settings: None
) -> None:
    SiteSettings.objects.create(tracking="anonymous")
    campaign.lists.update(tracking="personal")
    url = reverse("campaigns:variants", args=[campaign.pk])
    by_clicks = form(sample_percent=50, winner_by="clicks")

    assert marketer.post(url, by_clicks).status_code == 302
    assert Experiment.objects.get().winner_by == "clicks"

    Experiment.objects.all().delete()
    Campaign.objects.update(html="", text="https://example.com/")
    assert "count the links of its text" in marketer.post(url, by_clicks).content.decode()
    assert not Experiment.objects.exists()
    assert marketer.post(url, form(sample_percent=100, winner_by="clicks")).status_code == 302  # Nobody is left.
    Campaign.objects.update(track_text=True)
    assert marketer.post(url, by_clicks).status_code == 302


@pytest.mark.django_db
def test_the_winner_is_chosen_on_the_progress_page(tested: Campaign, people: dict[str, User]) -> None:
    start(tested, people["marketer"])
    second = Variant.objects.get(position=1)
    progress = reverse("campaigns:progress_json", args=[tested.pk])
    shown = reverse("campaigns:progress", args=[tested.pk])
    choose = reverse("campaigns:choose", args=[tested.pk])
    marketer = client_of(people["marketer"])

    seen()  # Where nobody sends there is nothing to foresee.
    before = marketer.get(progress).json()
    foreseen = marketer.get(shown).content.decode()
    statuses = {
        role: client_of(people[role]).post(choose, {"variant": second.pk}).status_code for role in ("ops", "viewer")
    }
    wrong = marketer.post(choose, {"variant": "x"})
    stale = marketer.post(choose, {"variant": second.pk}, follow=True).content.decode()
    marketer.post(choose, opened(before["test"], "choose_B_form"))
    after = marketer.get(progress).json()

    sampled = sum(per_person(tested).values())
    assert "The test goes first: 60 messages." in foreseen
    assert f"About {PEOPLE - sampled:,} people wait for the winner." in before["summary"]
    assert "Choose B…" in before["test"]
    assert f"Send variant B to about {PEOPLE - sampled:,} people?" in before["test"]
    assert before["test"].count(str(tested.lists.get())) == 2  # Each choice says to whom, …
    assert before["test"].count("<dt>From</dt>") == 2  # … and from which address.
    assert "Choose B…" not in client_of(people["viewer"]).get(progress).json()["test"]
    assert statuses == {"ops": 403, "viewer": 403}
    assert wrong.status_code == 302
    assert "The campaign changed since you opened this page." in stale
    assert after["summary"] == "Variant B won. Preparing messages for everyone else."
    assert LogEntry.objects.filter(change_message="Chose variant B for everyone else.").count() == 1
    assert client_of(people["marketer"]).get(reverse("campaigns:variants", args=[tested.pk])).status_code == 302


@pytest.mark.django_db
def test_a_recipient_of_a_sample_belongs_to_its_campaign(tested: Campaign, people: dict[str, User]) -> None:
    start(tested, people["marketer"])
    message = Message.objects.order_by("pk").first()
    marketer = client_of(people["marketer"])

    page = marketer.get(reverse("campaigns:recipient", args=[message.pk])).content.decode()
    listed = marketer.get(reverse("campaigns:recipients", args=[tested.pk])).content.decode()

    assert reverse("campaigns:progress", args=[tested.pk]) in page
    assert f"{Message.objects.count()} of {PEOPLE} recipients · {PEOPLE - Message.objects.count()} wait for" in listed


@pytest.mark.django_db
def test_the_list_of_campaigns_counts_the_sample_too(tested: Campaign, people: dict[str, User]) -> None:
    start(tested, people["marketer"])

    Message.objects.filter(pk=Message.objects.earliest("pk").pk).update(status="suppressed")
    marketer, sample = client_of(people["marketer"]), Message.objects.count()

    def listed() -> str:
        return marketer.get("/admin/campaigns/campaign/").content.decode()

    def report() -> Any:
        return marketer.get(reverse("campaigns:report", args=[tested.pk])).context["report"]

    waiting = report().waiting
    assert f"{sample} of {sample + waiting}<" in listed()
    assert f">{waiting} wait for the winner<" in listed()

    run.choose(tested.pk, Experiment.objects.get().variants.get(position=1).pk, people["marketer"], LATER)
    answer_all()
    tick()
    assert report().waiting == 0
    assert "wait for the winner" not in listed()


@pytest.mark.django_db
@pytest.mark.parametrize(("waited", "is_due"), [(dt.timedelta(hours=3), False), (dt.timedelta(hours=5), True)])
def test_a_decision_that_is_due_is_the_pages_main_button(
    tested: Campaign, people: dict[str, User], marketer: Client, waited: dt.timedelta, is_due: bool
) -> None:
    start(tested, people["marketer"])
    answer_all()
    Experiment.objects.update(begun_at=timezone.now() - waited)

    told = marketer.get(reverse("campaigns:progress_json", args=[tested.pk])).json()

    assert ("Choose winner" in told["actions"]) is is_due
    assert "Choose winner" not in client_of(people["viewer"]).get(f"/campaigns/{tested.pk}/").content.decode()
    assert "Pause" in told["actions"]
    assert told["summary"].startswith("Test sent. About ")
    assert "/s</dd>" not in told["now"]  # Nothing is being sent.


@pytest.mark.django_db
def test_the_shares_of_a_report_are_of_the_number_beside_them(
    tested: Campaign, people: dict[str, User], marketer: Client
) -> None:
    start(tested, people["marketer"])
    answer_all()

    page = marketer.get(reverse("campaigns:report", args=[tested.pk])).content.decode()
    card = page.split("<h2>Delivery status of ")[1].split("</section>")[0]
    progress = marketer.get(reverse("campaigns:progress", args=[tested.pk])).content.decode()

    assert card.startswith(f"{PEOPLE} recipients")
    assert re.findall(r"<td>(\d+)<small>(\d+)%</small>", card) == [("60", "20"), ("240", "80")]
    assert f"<dd>{PEOPLE}<small>240 wait for the winner</small></dd>" in progress


@pytest.mark.django_db
def test_no_page_of_a_test_shows_a_merge_field(tested: Campaign, people: dict[str, User], marketer: Client) -> None:
    Campaign.objects.update(subject='Snow, {{ first_name | default: "friend" }}')
    start(tested, people["marketer"])

    for name in ("campaigns:progress", "campaigns:report"):
        page = marketer.get(reverse(name, args=[tested.pk])).content.decode()
        assert page.count("Snow, Ann") == 2  # The campaign's subject, and variant A's.
        assert "first_name" not in page


@pytest.mark.django_db
def test_the_bar_counts_those_who_wait_for_the_winner(
    tested: Campaign, people: dict[str, User], marketer: Client
) -> None:
    start(tested, people["marketer"])
    answer_all()
    progress = reverse("campaigns:progress_json", args=[tested.pk])

    told = marketer.get(progress).json()
    before = told["now"]
    marketer.post(reverse("campaigns:choose", args=[tested.pk]), opened(told["test"], "choose_B_form"))
    after = marketer.get(progress).json()["now"]

    assert 'aria-valuenow="20"' in before
    assert 'aria-valuenow="20"' in after
