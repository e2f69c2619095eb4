"""Figures after reports: the campaign's report, scorecards of attempts, segments, and the lists for pages."""

import datetime as dt
import uuid

import pytest
from django.db.models import Max

from campaigns.reports import tally as campaigns_tally
from campaigns.reports.figures import FiguresLine, FiguresQuery, figures
from campaigns.reports.report import late_outcomes
from campaigns.reports.tally import tally
from contacts.models import Contact
from contacts.segments.comparisons import Moment
from contacts.segments.conditions import Condition
from delivery.models import Attempt, Batch, Mailing, Message, ScoreCount
from delivery.outbox import status_counts
from feedback.models import Feedback
from feedback.records.late_figures import late_counts
from feedback.records.segment_fields import FEEDBACK
from smtpservers.models import SmtpServer
from tests.delivery.making import make_attempt
from tests.feedback.reports.making import (
    FROM,
    NOW,
    SENT_AT,
    bounce,
    event,
    mail,
    make_mailing,
    make_server,
    post,
    process,
    sent_to,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def server() -> SmtpServer:
    return make_server()


@pytest.fixture
def mailing() -> Mailing:
    return make_mailing()


def test_the_report_of_a_campaign_follows_what_came_back(server: SmtpServer, mailing: Mailing) -> None:
    messages = [sent_to(f"p{number}@customer.example", mailing, server) for number in range(5)]
    copy = sent_to("boss@shop.example", mailing, server, has_contact=False, copy_of=messages[0], copy_kind="cc")
    mail(bounce(messages[0]))
    mail(bounce(messages[1], "552 5.3.4 message too big"))
    for message in (messages[2], copy):
        post(server, event("SpamComplaint", message, ID=message.pk))
    post(server, event("Bounce", messages[3], Type="AutoResponder", ID=9))
    process()

    counts = {status: number for status, number in status_counts.by_status(mailing.pk).items() if number}
    assert counts == {"accepted": 3, "bounced": 1, "failed": 1}
    assert dict(late_outcomes([mailing.pk])) == {"Unsubscribed": 0, "Complaints": 1, "Auto-replies": 1}


def test_late_bounces_and_complaints_are_columns_of_a_period_s_figures(server: SmtpServer, mailing: Mailing) -> None:
    single = make_mailing("single")
    gone, full, big, blocked, told, twice = (
        sent_to(f"p{number}@customer.example", mailing, server) for number in range(6)
    )
    copy = sent_to("boss@shop.example", mailing, server, has_contact=False, copy_of=gone, copy_kind="cc")
    alone = sent_to("ann@elsewhere.example", single, server)
    diagnostics = ("550 5.1.1 gone", "452 4.2.2 full", "552 5.3.4 too big", "550 5.7.1 blocked using zen.spamhaus.org")
    for message, diagnostic in zip((gone, full, big, blocked), diagnostics, strict=True):
        mail(bounce(message, diagnostic))
    mail(bounce(gone, number=2))
    for message in (told, twice, twice, copy, alone):
        post(server, event("SpamComplaint", message, ID=message.pk))
    process()

    def numbers(line: FiguresLine) -> tuple[int, int]:
        return line.late_bounces, line.complaints

    found = figures(FiguresQuery(start=NOW.date(), end=NOW.date()), NOW)
    assert numbers(found.total) == (4, 4)
    assert [(line.label, *numbers(line)) for line in found.days] == [("2026-11-30", 4, 4)]
    assert [(line.label, *numbers(line)) for line in found.servers] == [("Alpha", 4, 4)]
    assert [(line.label, *numbers(line)) for line in found.lists] == [("News", 4, 2)]
    assert numbers(figures(FiguresQuery(mailing_ids=[mailing.pk]), NOW).total) == (4, 2)
    assert numbers(figures(FiguresQuery(start=NOW.date() + dt.timedelta(days=1)), NOW).total) == (0, 0)
    assert numbers(figures(FiguresQuery(server_name="Beta"), NOW).total) == (0, 0)


def test_what_came_back_late_has_the_name_that_its_server_had_at_sending(server: SmtpServer, mailing: Mailing) -> None:
    gone, told, left = (sent_to(f"p{number}@customer.example", mailing, server) for number in range(3))
    mail(bounce(gone))
    post(server, event("SpamComplaint", told, ID=told.pk))
    process()
    Feedback.objects.create(kind="unsubscribe", channel="page", message=left, email=left.email, received_at=NOW)

    def servers() -> list[tuple[str, int, int, int]]:
        lines = figures(FiguresQuery(start=NOW.date(), end=NOW.date()), NOW).servers
        return [(line.label, line.late_bounces, line.complaints, line.unsubscribed) for line in lines]

    SmtpServer.objects.update(name="Renamed")
    assert servers() == [("Alpha", 1, 1, 1)]
    server.delete()
    assert servers() == [("Alpha", 1, 1, 1)]


def test_a_late_bounce_counts_for_the_server_of_its_own_attempt(server: SmtpServer, mailing: Mailing) -> None:
    twice = sent_to("ann@customer.example", mailing, server, attempt_count=2)
    Batch.objects.filter(attempts__message=twice, attempts__number=1).update(server_name="Beta")
    for attempt, kind in ((1, "hard"), (2, "soft"), (None, "unsubscribe")):
        Feedback.objects.create(
            kind=kind, channel="mail", message=twice, email=twice.email, attempt=attempt, received_at=NOW
        )

    counts = {(one.column, one.server_name): one.number for one in late_counts(None, None)}

    assert counts == {("late_bounces", "Beta"): 1, ("late_bounces", "Alpha"): 1, ("unsubscribed", "Alpha"): 1}


def test_attempts_count_once_by_utc_day_provider_and_from_domain(
    server: SmtpServer, mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The transaction of the test itself never ends, and another database's may be older.
    monkeypatch.setattr(
        campaigns_tally, "_ceiling", lambda mark: Attempt.objects.aggregate(last=Max("pk"))["last"] or 0
    )
    rows = [("accepted", ""), ("accepted", ""), ("bounced", "user-unknown"), ("bounced", "full"), ("deferred", "4xx")]
    single, test = make_mailing("single"), make_mailing("test")
    for place, (outcome, rule) in enumerate([*rows, ("failed", "spam-content")]):
        for stream in (single, test):
            email = f"p{place}@hotmail.fr"
            message = Message.objects.create(mailing=stream, email=email, email_key=email, attempt_count=1)
            make_attempt(
                message=message,
                number=1,
                server=server,
                server_name="Alpha",
                lane_token=uuid.UUID(int=0),
                started_at=SENT_AT,
                finished_at=SENT_AT,
                outcome=outcome,
                rule=rule,
                header_from=FROM,
            )

    for _ in range(2):
        tally(NOW, ask=lambda domains: {})

    row = ScoreCount.objects.order_by("pk").first()
    assert row is not None
    assert (row.day, row.server_id, row.from_domain, row.provider) == (
        SENT_AT.date(),
        server.pk,
        "shop.example",
        "outlook.com",
    )
    assert {each.kind: each.number for each in ScoreCount.objects.all()} == {
        "accepted": 2,
        "hard": 1,
        "soft": 1,
        "content": 1,
    }


def test_new_kinds_of_feedback_are_conditions_of_segments(server: SmtpServer, mailing: Mailing) -> None:
    mail(bounce(sent_to("ann@customer.example", mailing, server)))
    sent_to("ben@customer.example", mailing, server)
    process()
    condition = Condition("feedback", "gave", {"kinds": ["hard"]})

    found = Contact.objects.filter(FEEDBACK.compile(condition, Moment(NOW, dt.UTC)))

    assert [contact.email for contact in found] == ["ann@customer.example"]
