"""The figures are every attempt counted once, by day, server, provider and what the answer meant."""

import datetime as dt
import threading
from collections import Counter
from collections.abc import Collection

import pytest
from django.db import connection, transaction
from django.db.models import Sum

from campaigns import providers, tallying
from campaigns.tallies import DomainProvider, Tally, TallyMark
from delivery.models import Attempt, Mailing, Message
from mail.reply_rules import RULES
from mail.reply_words import MEANINGS, meaning_of, rules_of
from smtpservers.models import SmtpServer

NOW = dt.datetime(2026, 11, 30, 23, 30, tzinfo=dt.UTC)


def knows(domains: Collection[str]) -> dict[str, str]:
    """Stands for DNS: one company's mail is at Google, and of the others nobody knows."""
    return {"company.net": "google.com"} if "company.net" in domains else {}


@pytest.fixture
def mailing(server: SmtpServer) -> Mailing:
    return Mailing.objects.create(stream="campaign", name="Winter sale", subject="Snow")


def attempt(mailing: Mailing, email: str, outcome: str = "accepted", rule: str = "", **fields: object) -> Attempt:
    copy_of = fields.pop("copy_of", None)
    message, _ = Message.objects.get_or_create(
        mailing=mailing, email=email, email_key=email.lower(), copy_of=copy_of, copy_kind="cc" if copy_of else ""
    )
    message.attempt_count += 1
    message.status = fields.pop("status", "queued" if outcome == "not_sent" else outcome)
    message.redirected_to = fields.pop("redirected_to", "")
    message.save()
    given = {"server_name": "Alpha", "started_at": NOW, "finished_at": NOW, "settings_used": {}, **fields}
    lane = "00000000-0000-0000-0000-000000000000"
    return Attempt.objects.create(
        message=message, number=message.attempt_count, lane_token=lane, outcome=outcome, rule=rule, **given
    )


def tallied(*columns: str) -> dict[tuple[object, ...], int]:
    rows = Tally.objects.values_list(*columns).annotate(sum=Sum("number"))
    return {tuple(row[:-1]): row[-1] for row in rows}


@pytest.mark.django_db
def test_attempts_are_counted_by_day_server_provider_and_rule(mailing: Mailing) -> None:
    attempt(mailing, "ann@gmail.com", "deferred", "greylist")
    attempt(mailing, "ann@gmail.com")
    attempt(mailing, "bea@company.net", server_name="Beta")
    attempt(mailing, "cleo@hotmail.co.uk", "bounced", "user-unknown")
    attempt(mailing, "dora@village.net", finished_at=NOW + dt.timedelta(hours=1))

    assert tallying.tally(NOW, ask=knows) == 5

    day, next_day = dt.date(2026, 11, 30), dt.date(2026, 12, 1)
    assert tallied("day", "mailing_id", "server_name", "provider", "outcome", "rule") == {
        (day, mailing.pk, "Alpha", "google.com", "deferred", "greylist"): 1,
        (day, mailing.pk, "Alpha", "google.com", "accepted", ""): 1,
        (day, mailing.pk, "Beta", "google.com", "accepted", ""): 1,
        (day, mailing.pk, "Alpha", "outlook.com", "bounced", "user-unknown"): 1,
        (next_day, mailing.pk, "Alpha", "village.net", "accepted", ""): 1,
    }
    assert [providers.name_of(name) for name in ("google.com", "outlook.com", "village.net", "")] == [
        "Gmail",
        "Outlook",
        "village.net",
        "other domains",
    ]


@pytest.mark.django_db
def test_what_is_no_campaigns_is_counted_together(mailing: Mailing) -> None:
    test = Mailing.objects.create(stream="test", name="Test", subject="Test")
    original = attempt(mailing, "ann@gmail.com").message
    attempt(mailing, "boss@company.net", copy_of=original)
    attempt(test, "me@gmail.com")
    attempt(mailing, "bea@nowhere.example", redirected_to="postbox@icloud.com")

    tallying.tally(NOW, ask=knows)

    assert tallied("mailing_id", "provider") == {
        (mailing.pk, "google.com"): 1,
        (0, "google.com"): 2,
        (mailing.pk, "icloud.com"): 1,  # Who got it in the recipient's place.
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "reply", "counted"),
    [
        ("queued", "The worker was stopped.", None),
        ("failed", "The domain nowhere.net does not exist.", ("failed", "no-domain")),
        ("failed", "The domain nowhere.net says that it takes no mail.", ("failed", "no-mail")),
        ("failed", "The message could not be composed: a hole", ("failed", "composing")),
        ("failed", "Something else.", ("failed", "other")),
        ("suppressed", "Unsubscribed.", ("suppressed", "withdrawn")),
    ],
)
def test_what_ended_without_an_attempt_has_a_reason_and_what_was_given_back_is_none(
    mailing: Mailing, status: str, reply: str, counted: tuple[str, str] | None
) -> None:
    attempt(mailing, "ann@nowhere.net", "not_sent", status=status, reply=reply)

    tallying.tally(NOW, ask=knows)

    assert tallied("outcome", "rule") == ({counted: 1} if counted else {})


@pytest.mark.django_db
def test_a_domain_is_asked_for_once_a_month(mailing: Mailing) -> None:
    asked: list[set[str]] = []

    def ask(domains: Collection[str]) -> dict[str, str]:
        asked.append(set(domains))
        return knows(domains)

    for days in (0, 1, 31):
        attempt(mailing, f"{days}@company.net")
        attempt(mailing, f"{days}@gmail.com")
        tallying.tally(NOW + dt.timedelta(days=days), ask=ask)

    assert asked == [{"company.net"}, {"company.net"}]
    assert DomainProvider.objects.get().provider == "google.com"


@pytest.mark.django_db
def test_providers_beyond_the_most_are_counted_together(mailing: Mailing, monkeypatch) -> None:
    monkeypatch.setattr(tallying, "MOST_PROVIDERS", 2)
    for email in ("a@one.example", "b@two.example", "c@two.example", "d@three.example", "e@three.example"):
        attempt(mailing, email)
    tallying.tally(NOW, ask=knows)
    attempt(mailing, "f@one.example")
    attempt(mailing, "g@two.example")
    tallying.tally(NOW, ask=knows)

    assert tallied("provider") == {("two.example",): 3, ("three.example",): 2, ("",): 2}


@pytest.mark.django_db
def test_slices_count_each_attempt_once_and_so_does_a_repetition(mailing: Mailing, monkeypatch) -> None:
    monkeypatch.setattr(tallying, "SLICE_ATTEMPTS", 2)
    last = [attempt(mailing, f"{number}@gmail.com") for number in range(5)][-1]

    counted = tallying.tally(NOW, ask=knows)
    again = tallying.tally(NOW, ask=knows)
    stale = tallying._count(0, last.pk, {})

    assert (counted, again, stale) == (5, 0, None)
    assert tallied("mailing_id") == {(mailing.pk,): 5}
    assert TallyMark.objects.get().attempt_id == last.pk


@pytest.mark.django_db(transaction=True)
def test_a_count_that_breaks_off_is_begun_anew(mailing: Mailing, monkeypatch) -> None:
    attempt(mailing, "ann@gmail.com")
    write = tallying._add

    def break_off(counts: Counter[tallying.Key]) -> None:
        write(counts)
        raise KeyboardInterrupt

    monkeypatch.setattr(tallying, "_add", break_off)
    with pytest.raises(KeyboardInterrupt):
        tallying.tally(NOW, ask=knows)
    monkeypatch.setattr(tallying, "_add", write)

    assert tallying.tally(NOW, ask=knows) == 1
    assert tallied("mailing_id") == {(mailing.pk,): 1}


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_an_attempt_that_is_committed_after_a_later_one_is_counted(mailing: Mailing) -> None:
    may_commit, is_written = threading.Event(), threading.Event()

    def write_slowly() -> None:
        try:
            with transaction.atomic():
                Mailing.objects.select_for_update().get(pk=mailing.pk)  # As recording does, it locks before it writes.
                attempt(mailing, "early@gmail.com")
                is_written.set()
                may_commit.wait(20)
        finally:
            connection.close()

    writer = threading.Thread(target=write_slowly)
    writer.start()
    assert is_written.wait(20)
    attempt(Mailing.objects.create(stream="campaign", name="Other", subject="Snow"), "late@gmail.com")

    meanwhile = tallying.tally(NOW, ask=knows)
    may_commit.set()
    writer.join()

    assert meanwhile == 0  # The later one is seen, and not counted before the earlier one.
    assert tallying.tally(NOW, ask=knows) == 2


def test_every_rule_has_a_meaning_and_every_meaning_its_rules() -> None:
    assert {rule.kind for rule in RULES} <= set(MEANINGS)
    assert {meaning_of(rule.name).key for rule in RULES} == {rule.kind for rule in RULES}
    assert [meaning_of(rule).key for rule in ("lost-line", "no-connection", "lost-answer", "no-domain", "gone")] == [
        "line",
        "line",
        "lost-answer",
        "no-domain",
        "other",
    ]
    assert set(rules_of("inactive")) == {"inactive", "gmail-overquota-perm", "disabled"}
    assert rules_of("nonsense") == []
