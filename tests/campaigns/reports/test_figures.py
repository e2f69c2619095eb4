"""The figures are every attempt counted once, by day, server, provider and what the answer meant."""

import csv
import datetime as dt
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Any

import psycopg
import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Max, Sum
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.models import Approval, Campaign, CheckOverride, DomainProvider, Tally, TallyMark
from campaigns.reports import providers, tally
from campaigns.reports.figures import FiguresQuery, figures
from delivery.models import Attempt, Incident, Mailing, MailingOutcome, Message
from feedback.models import Feedback
from mail.replies.rules import RULES
from mail.replies.words import MEANINGS, meaning_of, rules_of
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.delivery.making import make_attempt

NOW = dt.datetime(2026, 11, 30, 23, 30, tzinfo=dt.UTC)


def knows(domains: Collection[str]) -> dict[str, str]:
    """Stands for DNS: one company's mail is at Google, and of the others nobody knows."""
    return {"company.net": "google.com"} if "company.net" in domains else {}


@pytest.fixture
def mailing(server: SmtpServer) -> Mailing:
    TallyMark.objects.all().delete()  # Numbers of attempts begin anew here.
    return Mailing.objects.create(stream="campaign", name="Winter sale", subject="Snow")


@pytest.fixture(autouse=True)
def nobody_else(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Count as if no other transaction ran: in PostgreSQL those of every database hold the count back."""
    if request.node.get_closest_marker("postgres") is None:
        monkeypatch.setattr(tally, "_ceiling", lambda mark: Attempt.objects.aggregate(last=Max("pk"))["last"] or 0)


def attempt(mailing: Mailing, email: str, outcome: str = "accepted", rule: str = "", **fields: object) -> Attempt:
    copy_of = fields.pop("copy_of", None)
    message, _ = Message.objects.get_or_create(
        mailing=mailing, email=email, email_key=email.lower(), copy_of=copy_of, copy_kind="cc" if copy_of else ""
    )
    message.attempt_count += 1
    message.status = fields.pop("status", "queued" if outcome == "not_sent" else outcome)
    message.redirected_to = fields.pop("redirected_to", "")
    message.save()
    given = {"server_name": "Alpha", "started_at": NOW, "finished_at": NOW, **fields}
    return make_attempt(message=message, number=message.attempt_count, outcome=outcome, rule=rule, **given)


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

    assert tally.tally(NOW, ask=knows) == 5

    day, next_day = dt.date(2026, 11, 30), dt.date(2026, 12, 1)
    assert tallied("day", "mailing_id", "server_name", "provider", "outcome", "rule") == {
        (day, mailing.pk, "Alpha", "google.com", "deferred", "greylist"): 1,
        (day, mailing.pk, "Alpha", "google.com", "accepted", ""): 1,
        (day, mailing.pk, "Beta", "google.com", "accepted", ""): 1,
        (day, mailing.pk, "Alpha", "outlook.com", "bounced", "user-unknown"): 1,
        (next_day, mailing.pk, "Alpha", "village.net", "accepted", ""): 1,
    }
    assert [providers.name_of(name) for name in ("google.com", "outlook.com", "gmx.net", "village.net", "")] == [
        "Gmail",
        "Outlook",
        "GMX",
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

    tally.tally(NOW, ask=knows)

    assert tallied("mailing_id", "provider") == {
        (mailing.pk, "google.com"): 1,
        (0, "google.com"): 2,
        (mailing.pk, "icloud.com"): 1,  # Who got it in the recipient's place.
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "rule", "counted"),
    [
        ("queued", "", None),
        ("failed", "no-domain", ("failed", "no-domain")),
        ("failed", "poison", ("failed", "poison")),
        ("failed", "", ("failed", "other")),
        ("suppressed", "", ("suppressed", "withdrawn")),
    ],
)
def test_what_ended_without_an_attempt_has_a_reason_and_what_was_given_back_is_none(
    mailing: Mailing, status: str, rule: str, counted: tuple[str, str] | None
) -> None:
    attempt(
        mailing, "ann@nowhere.net", "not_sent", status=status, rule=rule, reply="The domain nowhere.net takes no mail."
    )

    tally.tally(NOW, ask=knows)

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
        tally.tally(NOW + dt.timedelta(days=days), ask=ask)

    assert asked == [{"company.net"}, {"company.net"}]
    assert DomainProvider.objects.get().provider == "google.com"


@pytest.mark.django_db
def test_providers_beyond_the_most_are_counted_together(mailing: Mailing, monkeypatch) -> None:
    monkeypatch.setattr(tally, "MOST_PROVIDERS", 2)
    for email in ("a@one.example", "b@two.example", "c@two.example", "d@three.example", "e@three.example"):
        attempt(mailing, email)
    tally.tally(NOW, ask=knows)
    attempt(mailing, "f@one.example")
    attempt(mailing, "g@two.example")
    tally.tally(NOW, ask=knows)

    assert tallied("provider") == {("two.example",): 3, ("three.example",): 2, ("",): 2}


@pytest.mark.django_db
def test_slices_count_each_attempt_once_and_so_does_a_repetition(mailing: Mailing, monkeypatch) -> None:
    monkeypatch.setattr(tally, "SLICE_ATTEMPTS", 2)
    first, *_, last = [attempt(mailing, f"{number}@gmail.com") for number in range(5)]
    TallyMark.objects.create(pk=1, attempt_id=first.pk - 1)  # Numbers go on from test to test, and slices are small.

    counted = tally.tally(NOW, ask=knows)
    again = tally.tally(NOW, ask=knows)
    stale = tally._count(0, last.pk, {})

    assert (counted, again, stale) == (5, 0, None)
    assert tallied("mailing_id") == {(mailing.pk,): 5}
    assert TallyMark.objects.get().attempt_id == last.pk


@pytest.mark.django_db(transaction=True)
def test_a_count_that_breaks_off_is_begun_anew(mailing: Mailing, monkeypatch) -> None:
    attempt(mailing, "ann@gmail.com")
    write = tally._add

    def break_off(counts: Counter[tally.Key]) -> None:
        write(counts)
        raise KeyboardInterrupt

    monkeypatch.setattr(tally, "_add", break_off)
    with pytest.raises(KeyboardInterrupt):
        tally.tally(NOW, ask=knows)
    monkeypatch.setattr(tally, "_add", write)

    assert tally.tally(NOW, ask=knows) == 1
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

    meanwhile = tally.tally(NOW, ask=knows)
    may_commit.set()
    writer.join()

    assert meanwhile == 0  # The later one is seen, and not counted before the earlier one.
    counted, deadline = 0, time.monotonic() + 60
    while counted < 2 and time.monotonic() < deadline:
        counted += tally.tally(NOW, ask=knows)
    assert counted == 2


@pytest.fixture
def elsewhere() -> Iterator[Callable[[str], psycopg.Connection[Any]]]:
    """Open a transaction that writes in another database of the cluster, or in ours, and leave it open."""
    made = []

    def begin(database: str) -> psycopg.Connection[Any]:
        given = {key: value for key, value in connection.get_connection_params().items() if key in CONNECTION}
        made.append(psycopg.connect(**{**given, "dbname": database or given["dbname"]}))
        made[-1].execute("SELECT pg_current_xact_id()")
        return made[-1]

    yield begin
    for each in made:
        each.close()


CONNECTION = ("dbname", "user", "password", "host", "port")


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_a_transaction_of_another_database_holds_nothing_back(
    mailing: Mailing, elsewhere: Callable[[str], psycopg.Connection[Any]]
) -> None:
    elsewhere("postgres")
    attempt(mailing, "ann@gmail.com")

    assert tally.tally(NOW, ask=knows) == 1
    mark = TallyMark.objects.get()
    assert (mark.counted_at, mark.held_since) == (NOW, None)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_what_a_transaction_of_ours_holds_back_is_not_called_complete(
    mailing: Mailing, elsewhere: Callable[[str], psycopg.Connection[Any]], marketer: Client
) -> None:
    tally.tally(NOW, ask=knows)
    open_now = elsewhere("")
    attempt(mailing, "ann@gmail.com")
    later = NOW + dt.timedelta(minutes=1)

    assert tally.tally(later, ask=knows) == 0
    mark = TallyMark.objects.get()
    assert (mark.counted_at, mark.held_since) == (NOW, later)
    assert tally.tally(later + dt.timedelta(minutes=1), ask=knows) == 0
    assert TallyMark.objects.get().held_since == later
    assert tally.held_since(later + dt.timedelta(seconds=1)) is None  # A moment is no news.
    TallyMark.objects.update(held_since=timezone.now() - dt.timedelta(minutes=5))
    assert "These figures are incomplete." in marketer.get("/reports/").content.decode()

    open_now.commit()
    assert tally.tally(later, ask=knows) == 1
    assert tally.held_since(later) is None
    assert "incomplete" not in marketer.get("/reports/").content.decode()


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


# --- pages ----------------------------------------------------------------------------------


@pytest.fixture
def counted(campaign: Campaign, mailing: Mailing) -> Campaign:
    """A campaign of two days through two servers, and a test."""
    mailing.lists.set(campaign.lists.all())
    Campaign.objects.filter(pk=campaign.pk).update(mailing=mailing, status="finished")
    for day, mailing_id, server, provider, outcome, rule, number in (
        (29, mailing.pk, "Alpha", "google.com", "accepted", "", 100),
        (29, mailing.pk, "Alpha", "google.com", "deferred", "greylist", 30),
        (30, mailing.pk, "Beta", "village.net", "accepted", "", 5),
        (30, mailing.pk, "Beta", "village.net", "bounced", "user-unknown", 1),
        (30, 0, "Alpha", "google.com", "accepted", "", 7),
    ):
        Tally.objects.create(
            day=dt.date(2026, 11, day),
            mailing_id=mailing_id,
            server_name=server,
            provider=provider,
            outcome=outcome,
            rule=rule,
            number=number,
        )
    message = Message.objects.create(
        mailing=mailing,
        email="ann@village.net",
        email_key="ann@village.net",
        server=SmtpServer.objects.get(name="Alpha"),
        status="accepted",
    )
    for is_global in (False, True):  # From the list, then from everything: one person.
        Feedback.objects.create(
            kind="unsubscribe",
            channel="page",
            message=message,
            email=message.email,
            is_global=is_global,
            received_at=dt.datetime(2026, 11, 30, 9, tzinfo=dt.UTC),
        )
    return campaign


PERIOD = "?from=2026-11-29&to=2026-11-30"


@pytest.mark.django_db
def test_the_figures_of_a_period_add_up_in_every_table(counted: Campaign) -> None:
    found = figures(FiguresQuery(dt.date(2026, 11, 29), dt.date(2026, 11, 30)), NOW)

    assert [(line.label, line.accepted, line.unsubscribed) for line in found.days] == [
        ("2026-11-29", 100, 0),
        ("2026-11-30", 12, 1),
    ]
    assert [(line.label, line.cells) for line in found.servers] == [
        ("Alpha", [107, 30, 0, 0, 0, 0, 0, 0, 1]),
        ("Beta", [5, 0, 1, 0, 0, 0, 0, 0, 0]),
    ]
    assert [(line.label, line.tried, line.unsubscribed) for line in found.providers] == [
        ("Gmail", 137, 0),
        ("village.net", 6, 1),
    ]
    assert [(line.label, line.accepted, line.unsubscribed) for line in found.lists] == [("News", 105, 1)]
    assert [(answer.outcome, answer.meaning.key, answer.number) for answer in found.answers] == [
        ("deferred", "transient", 30),
        ("bounced", "user-unknown", 1),
    ]
    for table in (found.days, found.servers, found.providers):
        assert [sum(column) for column in zip(*(line.cells for line in table), strict=True)] == found.total.cells


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("asked", "accepted"),
    [
        (FiguresQuery(dt.date(2026, 11, 30), None), 12),
        (FiguresQuery(None, dt.date(2026, 11, 29)), 100),
        (FiguresQuery(server_name="Beta"), 5),
        (FiguresQuery(mailing_ids=[0]), 7),
        (FiguresQuery(mailing_ids=[]), 0),
    ],
)
def test_figures_are_of_what_was_asked(counted: Campaign, asked: FiguresQuery, accepted: int) -> None:
    assert figures(asked, NOW).total.accepted == accepted


@pytest.mark.django_db
def test_small_domains_are_named_only_to_those_who_may_see_recipients(
    counted: Campaign, people: dict[str, User]
) -> None:
    urls = [
        reverse("reports:figures") + PERIOD,
        reverse("reports:figures_csv", args=["providers"]) + PERIOD,
        reverse("campaigns:report", args=[counted.pk]),
        reverse("campaigns:report_csv", args=[counted.pk, "providers"]),
    ]
    for url in urls:
        for role, user in people.items():
            response = client_of(user).get(url)
            assert response.status_code == 200, (url, role)
            assert (b"village.net" in response.getvalue()) == (role in ("admin", "marketer")), (url, role)
        assert Client().get(url).status_code == 302


@pytest.mark.django_db
def test_a_table_is_handed_out_as_a_file_that_is_safe_in_a_spreadsheet(counted: Campaign, marketer: Client) -> None:
    Tally.objects.filter(server_name="Beta").update(server_name="=Beta")

    file = marketer.get(reverse("reports:figures_csv", args=["servers"]) + PERIOD).getvalue().decode("utf-8-sig")

    assert list(csv.reader(io.StringIO(file))) == [
        [
            *("server", "accepted", "deferred", "bounced", "failed", "unconfirmed", "suppressed"),
            *("late_bounces", "complaints", "unsubscribed"),
        ],
        ["Alpha", "107", "30", "0", "0", "0", "0", "0", "0", "1"],
        ["'=Beta", "5", "0", "1", "0", "0", "0", "0", "0", "0"],
    ]
    assert marketer.get(reverse("reports:figures_csv", args=["people"])).status_code == 404
    # Days are words on the page and dates in the file.
    assert '<th scope="row">29 Nov' in marketer.get(reverse("reports:figures") + PERIOD).content.decode()
    days = marketer.get(reverse("reports:figures_csv", args=["days"]) + PERIOD).getvalue().decode()
    assert '"2026-11-29","100"' in days


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?from=2025-01-01&to=2025-01-31", "Nothing was sent from 1 Jan 2025 to 31 Jan 2025."),
        ("?from=2025-01-31&to=2025-01-01", "Nothing was sent from 1 Jan 2025 to 31 Jan 2025."),
        ("?from=31.1.2026", "Enter dates like 2026-11-23."),
        ("?from=2026-01-01&to=2026-01-31&server=<b>", "through &lt;b&gt;"),
    ],
)
def test_a_period_without_mail_says_so(counted: Campaign, marketer: Client, query: str, words: str) -> None:
    assert words in marketer.get(reverse("reports:figures") + query).content.decode()


@pytest.mark.django_db
def test_the_report_tells_decisions_overrides_and_incidents(
    counted: Campaign, marketer: Client, people: dict[str, User], mailing: Mailing, server: SmtpServer
) -> None:
    log = LogEntry.objects.log_actions
    log(people["marketer"].pk, Campaign.objects.all(), CHANGE, "Paused.", single_object=True)
    log(
        people["marketer"].pk,
        Campaign.objects.all(),
        CHANGE,
        json.dumps([{"changed": {"fields": ["Subject"]}}]),
        single_object=True,
    )
    Approval.objects.create(
        campaign=counted,
        requested_by_name="marketer",
        requested_at=NOW,
        decision="approved",
        decided_by_name="admin",
        decided_at=NOW,
        note="Fine with me",
    )
    CheckOverride.objects.create(
        campaign=counted, check_id="x", sentence="Links are dead.", reason="They come tonight", by_name="admin", at=NOW
    )
    MailingOutcome.objects.create(
        mailing=mailing, server_name="Alpha", minute_at=NOW, outcome="accepted", number=1, first_at=NOW
    )
    for key, minutes in (("during", 0), ("long after", 90)):
        seen_at = NOW + dt.timedelta(minutes=minutes)
        Incident.objects.create(key=key, server=server, kind="sender-auth", reason=f"DMARC {key}", seen_at=seen_at)

    page = marketer.get(reverse("campaigns:report", args=[counted.pk])).content.decode()

    for words in ("Paused.", "Changed Subject.", "Approved: Fine with me", "Links are dead.", "They come tonight"):
        assert words in page
    assert "DMARC during" in page
    assert "DMARC long after" not in page
    assert "Mailbox doesn&#x27;t exist" in page


def test_two_servers_whose_names_begin_alike_have_figures_of_their_own(
    people: dict[str, User], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaigns.reports.cache.QUICK_SECONDS", -1)  # Everything is remembered.
    one, other = ("Relay of the first data centre in Frankfurt, rack twelve, number " + each for each in ("one", "two"))
    today = timezone.localtime().date()
    Tally.objects.create(day=today, server_name=one, provider="a.example", outcome="accepted", rule="", number=41)
    client = client_of(people["viewer"])

    pages = [client.get("/reports/days.csv", {"server": name}) for name in (one, other, one)]

    shown = [b"".join(page.streaming_content).decode() for page in pages]
    assert ["41" in text for text in shown] == [True, False, True]
