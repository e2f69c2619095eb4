"""Following a campaign: its pace, the time that is left, providers and answers, and what it may be steered to."""

import csv
import datetime as dt
import io
import uuid

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from campaigns.lifecycle import states
from campaigns.models import Campaign, DomainProvider, Tally
from campaigns.reports import cache, pace, recipients
from campaigns.reports.report import report
from campaigns.templatetags.preflight import forecast_of
from delivery.models import Mailing, MailingOutcome, Message
from delivery.outbox import plan
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of, seen
from tests.delivery.making import make_attempt

NOON = dt.datetime(2026, 11, 30, 12, 0, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)


# --- pace -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("span", "step"),
    [
        (dt.timedelta(0), 1),
        (dt.timedelta(minutes=119), 1),
        (dt.timedelta(minutes=120), 2),
        (dt.timedelta(hours=24), 15),
        (dt.timedelta(days=7), 120),
        (dt.timedelta(days=365), 10_080),
        (dt.timedelta(days=9999), 10_080),
    ],
)
def test_no_chart_has_too_many_points(span: dt.timedelta, step: int) -> None:
    assert pace.step_minutes(span) == step


def test_points_have_no_gaps_and_say_how_many_a_minute() -> None:
    rows = [
        (NOON + 1 * MINUTE, "Alpha", "accepted", 30),
        (NOON + 1 * MINUTE, "Alpha", "deferred", 4),
        (NOON + 4 * MINUTE, "Beta", "accepted", 100),
        (NOON + 5 * MINUTE, "Alpha", "accepted", 10),
    ]

    drawn = pace.drawn(rows, NOON + MINUTE, NOON + 7 * MINUTE, 2)

    assert drawn.servers == ("Beta", "Alpha")  # The busier one first.
    assert [(point.at, point.accepted, point.deferred) for point in drawn.points] == [
        (NOON, (0, 15), 2),
        (NOON + 2 * MINUTE, (0, 0), 0),
        (NOON + 4 * MINUTE, (50, 5), 0),
        (NOON + 6 * MINUTE, (0, 0), 0),
    ]


def test_many_servers_are_drawn_as_the_busiest_and_the_others() -> None:
    rows = [(NOON, f"Server {number}", "accepted", number) for number in range(1, 10)]

    drawn = pace.drawn(rows, NOON, NOON, 1)

    assert drawn.servers == (*(f"Server {number}" for number in range(9, 3, -1)), "other servers")
    assert drawn.points[0].accepted[-1] == 1 + 2 + 3
    assert drawn.points[0].all_accepted == sum(range(1, 10))


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"pending": 0}, ""),
        ({"pending": 100, "rate": 10.0}, "under a minute (done about 12:00)"),
        ({"pending": 100_000, "rate": 10.0}, "about 2 h 47 min (done about 14:46)"),
        ({"pending": 5_000_000, "rate": 10.0}, "about 6 days (done about 6 Dec, 06:53)"),
        ({"pending": 30_000_000, "rate": 10.0}, "about 35 days (done about 4 Jan 2027, 05:20)"),
        ({"pending": 100, "waiting_until": dt.datetime(2026, 12, 1, tzinfo=dt.UTC)}, "waiting until 1 Dec, 00:00"),
        ({"pending": 100, "rate": 10.0, "waiting_until": NOON}, "under a minute (done about 12:00)"),
        ({"pending": 100, "is_waiting": True}, "waiting"),
        ({"pending": 100, "rate": 10.0, "is_paused": True}, "paused"),
        ({"pending": 100}, "unknown (no replies in the last minutes)"),
        ({"pending": 0, "deferred": 1}, "until 1 retry is over"),
        ({"pending": 0, "deferred": 1_200}, "until 1,200 retries are over"),
    ],
)
def test_the_time_left_says_no_more_than_is_known(facts: dict[str, object], words: str) -> None:
    given = {"deferred": 0, "rate": 0.0, **facts}

    assert pace.time_left(**given, now=NOON, zone=dt.UTC) == words


@pytest.mark.django_db
def test_the_rate_is_that_of_the_last_minutes_and_none_once_they_were_quiet() -> None:
    mailing = Mailing.objects.create(stream="campaign", name="Winter sale", subject="Snow")
    for minutes, outcome, number in (
        (30, "accepted", 9_000),
        (4, "accepted", 200),
        (4, "deferred", 50),
        (1, "bounced", 40),
    ):
        at = NOON - minutes * MINUTE
        MailingOutcome.objects.create(
            mailing=mailing, server_name="Alpha", minute_at=at, outcome=outcome, number=number, first_at=at
        )

    assert pace.recent([mailing.pk], NOON).rate == 240 / 240
    assert pace.recent([mailing.pk], NOON + 2 * MINUTE).rate == 240 / 360
    assert pace.recent([mailing.pk], NOON + 3 * MINUTE).rate == 0
    assert pace.recent([], NOON).rate == 0


@pytest.mark.django_db
def test_the_chart_of_a_campaign_goes_on_until_now_while_it_is_sent() -> None:
    mailing = Mailing.objects.create(stream="campaign", name="Winter sale", subject="Snow")
    MailingOutcome.objects.create(
        mailing=mailing, server_name="Alpha", minute_at=NOON, outcome="accepted", number=60, first_at=NOON
    )
    later = NOON + 3 * MINUTE

    assert [point.all_accepted for point in pace.pace([mailing.pk], later, is_live=True).points] == [60, 0, 0, 0]
    assert [point.all_accepted for point in pace.pace([mailing.pk], later, is_live=False).points] == [60]
    assert pace.pace([mailing.pk + 1], later, is_live=True).points == ()


def test_what_took_long_is_remembered_and_what_was_quick_is_not(monkeypatch) -> None:
    clock = iter([0.0, 0.01, 10.0, 11.0])
    monkeypatch.setattr(cache.time, "monotonic", lambda: next(clock))
    answers = iter(["quick", "slow", "asked again"])

    seen = [cache.remembered("following-test", lambda: next(answers)) for _ in range(3)]

    assert seen == ["quick", "slow", "slow"]


# --- the page -------------------------------------------------------------------------------


@pytest.fixture
def sending(campaign: Campaign, people: dict[str, User], server: SmtpServer) -> Campaign:
    assert states.queue_campaign(campaign.pk, people["marketer"], NOON) == []
    states.start_due_campaigns(NOON)
    campaign.refresh_from_db()
    for provider, outcome, rule, number in (
        ("google.com", "accepted", "", 2),
        ("google.com", "deferred", "greylist", 7),
        ("village.net", "bounced", "user-unknown", 1),
    ):
        Tally.objects.create(
            day=NOON.date(),
            mailing_id=campaign.mailing_id,
            server_name="Alpha",
            provider=provider,
            outcome=outcome,
            rule=rule,
            number=number,
        )
    MailingOutcome.objects.create(
        mailing_id=campaign.mailing_id, server_name="Alpha", minute_at=NOON, outcome="accepted", number=2, first_at=NOON
    )
    return campaign


def test_providers_and_answers_are_told_in_plain_words(sending: Campaign, people: dict[str, User]) -> None:
    url = reverse("campaigns:progress", args=[sending.pk])

    marketers = client_of(people["marketer"]).get(url).content.decode()
    viewers = client_of(people["viewer"]).get(url).content.decode()

    for page in (marketers, viewers):
        assert "Gmail" in page
        assert "Mailbox doesn&#x27;t exist" in page
        assert "A temporary problem or greylisting. It&#x27;s retried automatically." in page
    assert "?provider=google.com" in marketers
    assert "?answer=user-unknown" in marketers
    assert "village.net" in marketers
    assert "village.net" not in viewers  # So few: it may be one person's own domain.
    assert "other domains" in viewers


def test_nothing_is_foreseen_once_nothing_is_left(campaign: Campaign, server: SmtpServer) -> None:
    mailing = Mailing.objects.create(stream="campaign", name="Snow", subject="Snow", html="<p>Snow</p>")
    campaign.status, campaign.mailing = Campaign.Status.SENDING, mailing
    campaign.save()

    assert forecast_of(campaign) == {}


def test_the_chart_is_asked_for_now_and_then(sending: Campaign, marketer: Client) -> None:
    MailingOutcome.objects.update(number=10**9)  # Enough for a mean above nothing, however long ago noon is.
    url = reverse("campaigns:progress_json", args=[sending.pk])

    often, now_and_then = marketer.get(url).json(), marketer.get(f"{url}?pace").json()

    assert "pace" not in often
    assert now_and_then["pace"]["datasets"][0]["label"] == "Alpha"
    assert max(now_and_then["pace"]["datasets"][0]["data"]) > 0
    assert "Alpha" in now_and_then["pace_table"]


# --- servers --------------------------------------------------------------------------------


def test_servers_are_changed_while_it_runs_and_the_next_plan_obeys(
    sending: Campaign, people: dict[str, User], server: SmtpServer
) -> None:
    beta = SmtpServer.objects.create(name="Beta", host="localhost", mail_from="Shop <news@example.com>")
    url = reverse("campaigns:servers", args=[sending.pk])
    ops = client_of(people["ops"])

    before = plan.plan(NOON)
    page = ops.get(url).content.decode()
    response = ops.post(url, {"servers": [beta.pk]})
    after = plan.plan(NOON)

    assert [work.server_id for work in before] == [server.pk]
    assert "Alpha" in page
    assert response.status_code == 302
    assert [work.server_id for work in after] == [beta.pk]
    sending.refresh_from_db()
    assert sending.server_ids == [beta.pk]  # A duplicate names them too.
    assert LogEntry.objects.get(object_id=sending.pk).change_message == "Changed its servers to Beta."
    assert client_of(people["viewer"]).get(url).status_code == 403


def test_servers_that_could_not_send_it_are_refused_and_nothing_changes(
    sending: Campaign, marketer: Client, server: SmtpServer
) -> None:
    off = SmtpServer.objects.create(name="Off", host="localhost", mail_from="a@example.com", is_active=False)
    url = reverse("campaigns:servers", args=[sending.pk])

    refused = marketer.post(url, {"servers": [off.pk]})
    Campaign.objects.update(status="finished")
    too_late = marketer.post(url, {"servers": [server.pk]})

    assert refused.status_code == too_late.status_code == 400
    assert "None of the chosen servers is active." in refused.content.decode()
    assert "nothing left to send" in too_late.content.decode()
    assert Mailing.objects.get().server_ids == []


# --- recipients -----------------------------------------------------------------------------


@pytest.fixture
def answered(sending: Campaign, server: SmtpServer) -> Campaign:
    """Ann is at Gmail and was accepted; Bea is at a company that is at Gmail, Cleo at a village: refused."""
    DomainProvider.objects.create(domain="company.net", provider="google.com", asked_at=NOON)
    for name, domain, status, reason, rule in (
        ("ann", "gmail.com", "accepted", "", ""),
        ("bea", "company.net", "bounced", "550 5.1.1 User unknown", "user-unknown"),
        ("cleo", "village.net", "deferred", "450 4.7.1 =Greylisted", "greylist"),
    ):
        message = Message.objects.get(email=f"{name}@example.com")
        Message.objects.filter(pk=message.pk).update(
            email=f"{name}@{domain}",
            email_key=f"{name}@{domain}",
            status=status,
            reason=reason,
            attempt_count=1,
            server=server,
            message_id="<1@example.com>",
        )
        make_attempt(message=message, number=1, lane_token=uuid.UUID(int=0), started_at=NOON, rule=rule, outcome=status)
    return sending


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("provider=google.com", {"ann", "bea"}),
        ("provider=village.net", {"cleo"}),
        ("provider=outlook.com", set()),
        ("provider=google.com&status=bounced", {"bea"}),
        ("answer=user-unknown", {"bea"}),
        ("answer=transient", {"cleo"}),
        ("answer=nonsense", set()),
        ("reply=greylisted", {"cleo"}),
        ("reply=5.1.1&q=bea", {"bea"}),
        ("server=999", set()),
        ("status=nonsense", {"ann", "bea", "cleo"}),
    ],
)
def test_recipients_are_found_by_provider_and_answer_and_exported_as_shown(
    answered: Campaign, marketer: Client, query: str, found: set[str]
) -> None:
    page = marketer.get(reverse("campaigns:recipients", args=[answered.pk]) + f"?{query}").content.decode()
    file = marketer.post(reverse("campaigns:export", args=[answered.pk]) + f"?{query}").getvalue().decode()

    assert {name for name in ("ann", "bea", "cleo") if f">{name}@" in page} == found
    assert {name for name in ("ann", "bea", "cleo") if f'"{name}@' in file} == found


def test_an_export_is_logged_safe_in_a_spreadsheet_and_for_those_who_may(
    answered: Campaign, people: dict[str, User]
) -> None:
    url = reverse("campaigns:export", args=[answered.pk])
    Message.objects.filter(email="bea@company.net").update(reason="=cmd|' /C calc'!A0")

    allowed = {role: client_of(user).post(url).status_code for role, user in people.items()}
    file = client_of(people["marketer"]).post(f"{url}?status=bounced").getvalue().decode("utf-8-sig")

    assert allowed == {"admin": 200, "marketer": 200, "ops": 403, "viewer": 403}
    assert client_of(people["marketer"]).get(url).status_code == 405
    heading, bea = csv.reader(io.StringIO(file))
    assert heading[0] == "recipient"
    assert bea[0] == "bea@company.net"
    assert bea[5] == "'=cmd|' /C calc'!A0"
    assert LogEntry.objects.latest("pk").change_message == "Exported its recipients as CSV: those filtered by status."


def test_an_export_goes_slice_by_slice(answered: Campaign, marketer: Client, monkeypatch) -> None:
    monkeypatch.setattr(recipients, "AT_ONCE", 1)

    file = marketer.post(reverse("campaigns:export", args=[answered.pk])).getvalue().decode("utf-8-sig")

    assert [row[0] for row in csv.reader(io.StringIO(file))][1:] == [
        "ann@gmail.com",
        "bea@company.net",
        "cleo@village.net",
    ]


def test_the_forecast_tells_all_its_times_in_the_zone_of_its_reader(campaign: Campaign) -> None:
    at = dt.datetime(2030, 11, 28, 20, 36, tzinfo=dt.UTC)
    Campaign.objects.filter(pk=campaign.pk).update(
        status="scheduled", starts_at=at, time_zone="America/Lima", not_after=at + dt.timedelta(days=1)
    )

    with timezone.override("Asia/Tokyo"):
        card = render_to_string("campaigns/forecast_card.html", forecast_of(Campaign.objects.get(pk=campaign.pk)))

    assert "Nothing is sent after 30 Nov 2030, 05:36." in card
    assert "20:36" not in card


def test_the_forecast_comes_with_the_figures_and_goes_with_the_last_of_them(
    marketer: Client, campaign: Campaign, server: SmtpServer
) -> None:
    seen()
    at = timezone.now() + dt.timedelta(days=1)
    Campaign.objects.filter(pk=campaign.pk).update(status="scheduled", starts_at=at)
    url = f"/campaigns/{campaign.pk}/progress.json"
    assert "routing rules" in marketer.get(url, {"pace": ""}).json()["forecast"]
    assert "forecast" not in marketer.get(url).json()

    Campaign.objects.filter(pk=campaign.pk).update(status="finished")

    assert marketer.get(url).json()["forecast"].strip() == ""


@pytest.mark.django_db
def test_no_server_accepts_more_than_is_done_while_replies_come_in() -> None:
    campaign = Campaign.objects.create(name="News", subject="News", status="sending")
    mailing = Mailing.objects.create(stream="campaign", name="News", subject="News")
    campaign.mailing = mailing
    campaign.save()
    people = [
        Message.objects.create(mailing=mailing, email=f"{n}@example.org", email_key=f"{n}@example.org", status="queued")
        for n in range(3)
    ]
    MailingOutcome.objects.create(
        mailing=mailing, server_name="Alpha", minute_at=NOON, outcome="accepted", number=3, first_at=NOON
    )
    came: list[bool] = []

    def reply_before_it_is_read(execute, sql, parameters, many, context):
        """Record the replies right before the servers' counts are read, as a worker's sweep does."""
        if "delivery_mailingoutcome" in sql and not came:
            came.append(True)
            Message.objects.filter(pk__in=[person.pk for person in people]).update(status="accepted")
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(reply_before_it_is_read):
        shown = report(campaign, NOON, with_replies=True)

    assert came
    assert sum(share.count for share in shown.servers) == 3
    assert shown.settled == 3
