"""What reports do: to the message, to the recipient, to the campaign and the server, each once."""

import datetime as dt
import itertools
from typing import Any

import pytest
from django.conf import settings

from contacts.models import ConsentEvent, Subscription, Suppression
from delivery.models import NOT_ACCEPTED, Incident, Mailing, Message, ScoreCount, ServerOutcome, StatusCount, StopTally
from delivery.records import figures, search
from feedback.models import Feedback, RawReport, Report, Seen
from mail import verp
from smtpservers.models import SmtpServer
from tests.feedback.reports.making import (
    GONE,
    NOW,
    bounce,
    dsn,
    event,
    mail,
    make_mailing,
    make_server,
    post,
    process,
    return_path,
    sent_to,
)

pytestmark = pytest.mark.django_db

ANN = "ann@customer.example"
FULL = "452 4.2.2 mailbox full"
SPAM = "550 5.7.1 message content rejected as spam"
BLOCKED = "550 5.7.1 Client host blocked using zen.spamhaus.org"


@pytest.fixture
def server() -> SmtpServer:
    return make_server()


@pytest.fixture
def mailing() -> Mailing:
    return make_mailing()


def status(message: Message) -> str:
    return Message.objects.get(pk=message.pk).status


def scores() -> dict[str, int]:
    return {row.kind: row.number for row in ScoreCount.objects.all()}


def kinds() -> list[str]:
    return sorted(Feedback.objects.values_list("kind", flat=True))


def reason_of(email: str) -> str | None:
    return Suppression.objects.filter(email_key=email).values_list("reason", flat=True).first()


@pytest.mark.parametrize(
    ("diagnostic", "kind", "becomes", "suppressed", "tally", "incident"),
    [
        (GONE, "hard", "bounced", "hard_bounce", (1, 0), ""),
        (FULL, "soft", "bounced", None, (0, 0), ""),
        ("552 5.3.4 message size exceeds fixed limit", "content", "failed", None, (0, 1), ""),
        (SPAM, "content", "failed", None, (0, 1), ""),
        (BLOCKED, "server", "failed", None, (0, 0), "ip-reputation"),
    ],
)
def test_a_bounce_by_mail_has_the_effects_of_its_kind_once(
    server: SmtpServer,
    mailing: Mailing,
    diagnostic: str,
    kind: str,
    becomes: str,
    suppressed: str | None,
    tally: tuple[int, int],
    incident: str,
) -> None:
    message = sent_to(ANN, mailing, server)

    mail(bounce(message, diagnostic))
    mail(bounce(message, diagnostic, number=2))  # Another report of the same failure.
    process()

    assert status(message) == becomes
    assert kinds() == [kind]
    assert reason_of(ANN) == suppressed
    rows = StopTally.objects.values_list("sent", "hard_bounces", "content_failures")
    assert sum((row[1] for row in rows), 0) == tally[0]
    assert sum((row[2] for row in rows), 0) == tally[1]
    assert list(Incident.objects.values_list("kind", flat=True)) == ([incident] if incident else [])
    assert scores() == {kind: 1}
    assert sorted(Report.objects.values_list("state", flat=True)) == ["applied", "repeated"]
    assert {row.feedback_id for row in Report.objects.all()} == {Feedback.objects.get().pk}
    assert set(RawReport.objects.values_list("state", "is_recognised")) == {("done", True)}
    assert Subscription.objects.get().status == Subscription.Status.SUBSCRIBED


def complaint(message: Message) -> dict[str, Any]:
    return event("SpamComplaint", message, ID=message.pk)


def test_a_complaint_unsubscribes_the_person_from_everything_and_the_status_stays(
    server: SmtpServer, mailing: Mailing
) -> None:
    message = sent_to(ANN, mailing, server)

    post(server, complaint(message))
    process()

    assert status(message) == "accepted"
    assert reason_of(ANN) == "complaint"
    assert Suppression.objects.get().unsubscribed_at == NOW
    assert Subscription.objects.get().status == Subscription.Status.UNSUBSCRIBED
    assert ConsentEvent.objects.latest("pk").method == "complaint"
    assert kinds() == ["complaint"]
    assert scores() == {"complaint": 1}


def test_what_the_provider_suppresses_is_suppressed_here_and_no_bounce(server: SmtpServer, mailing: Mailing) -> None:
    message = sent_to(ANN, mailing, server)

    post(server, event("Bounce", message, Type="ManuallyDeactivated", ID=1))
    process()

    assert (status(message), reason_of(ANN)) == ("suppressed", "provider")
    assert not StopTally.objects.filter(hard_bounces__gt=0).exists()


@pytest.mark.parametrize(
    ("record", "fields", "kind"),
    [
        ("Bounce", {"Type": "AutoResponder"}, "auto_reply"),
        ("Bounce", {"Type": "Transient"}, "delayed"),
    ],
)
def test_a_note_changes_nothing(
    server: SmtpServer, mailing: Mailing, record: str, fields: dict[str, str], kind: str
) -> None:
    message = sent_to(ANN, mailing, server)

    post(server, event(record, message, ID=1, **fields))
    process()

    assert (status(message), kinds(), reason_of(ANN)) == ("accepted", [kind], None)


def test_delivered_is_noted_once_without_a_report_and_its_request_is_not_kept(
    server: SmtpServer, mailing: Mailing
) -> None:
    messages = [sent_to(f"p{number}@customer.example", mailing, server) for number in range(3)]
    told = [event("Delivery", each) for each in messages]

    post(server, *told[:2])
    process()
    post(server, *told)
    process()

    at = dt.datetime(2026, 11, 30, 23, 57, tzinfo=dt.UTC)
    assert set(Message.objects.values_list("delivered_at", "status")) == {(at, "accepted")}
    assert scores() == {"delivered": 3}
    for model in (Report, Seen, RawReport):
        assert not model.objects.exists()


def test_a_delivery_that_names_somebody_else_is_not_noted_at_the_message_of_its_tag(
    server: SmtpServer, mailing: Mailing
) -> None:
    message, other = sent_to(ANN, mailing, server), sent_to("ben@customer.example", mailing, server)

    post(server, event("Delivery", message, Email=other.email))
    process()

    assert set(Message.objects.values_list("delivered_at", flat=True)) == {None}
    assert scores() == {}


ORDERS = list(itertools.permutations(["delivered", "bounce", "complaint"]))


@pytest.mark.parametrize("order", ORDERS, ids=map(" ".join, ORDERS))
@pytest.mark.parametrize("is_one_batch", [True, False])
def test_the_order_of_reports_makes_no_difference(
    server: SmtpServer, mailing: Mailing, order: tuple[str, ...], is_one_batch: bool
) -> None:
    message = sent_to(ANN, mailing, server)
    come_in = {
        "delivered": lambda: post(server, event("Delivery", message)),
        "bounce": lambda: mail(bounce(message)),
        "complaint": lambda: post(server, complaint(message)),
    }

    for each in order:
        come_in[each]()
        if not is_one_batch:
            process()
    process()

    message.refresh_from_db()
    assert (message.status, message.delivered_at is None) == ("bounced", False)
    assert kinds() == ["complaint", "hard"]
    assert scores() == {"complaint": 1, "delivered": 1, "hard": 1}
    # Of two reasons for good the first one stays; the wish is kept with either.
    assert (
        reason_of(ANN) == ("hard_bounce" if order.index("bounce") < order.index("complaint") else "complaint")
        or is_one_batch
    )
    assert Suppression.objects.get().unsubscribed_at == NOW
    assert {row.status: row.number for row in StatusCount.objects.filter(number__gt=0, is_sum=True)} in (
        {"bounced": 1},
        {},
    )


@pytest.mark.parametrize("stream", ["campaign", "test", "notice", "single"])
def test_the_failures_of_today_are_the_messages_that_the_search_lists(server: SmtpServer, stream: str) -> None:
    mailing = make_mailing(stream)
    sent_to("old@customer.example", mailing, server, status="failed", at=NOW - dt.timedelta(days=1))
    late, copied = (sent_to(f"{name}@customer.example", mailing, server) for name in ("late", "copied"))
    Message.objects.filter(pk=copied.pk).update(copy_of=late, copy_kind="cc")
    for message in (late, copied):
        mail(bounce(message))
    process()

    since = figures.midnight(NOW, dt.UTC)
    listed = search.search(Message.objects.all(), "", NOT_ACCEPTED, None, None, since).messages

    assert {message.pk for message in listed} == {late.pk, copied.pk}
    assert figures.today(NOW, dt.UTC)["failed"] == len(listed)


def test_what_bounces_after_acceptance_counts_on_the_day_of_its_report_once(
    server: SmtpServer, mailing: Mailing
) -> None:
    messages = [sent_to(f"p{number}@customer.example", mailing, server) for number in range(4)]
    unsure = sent_to(ANN, mailing, server, status="unconfirmed")  # Counted as not accepted when it was sent.

    for message, diagnostic in zip(messages, (GONE, FULL, SPAM), strict=False):
        mail(bounce(message, diagnostic))
    mail(bounce(messages[0], number=2))
    mail(bounce(unsure))
    post(server, complaint(messages[3]))
    process()

    assert figures.per_day(NOW.date(), NOW.date(), dt.UTC) == [(NOW.date(), 0, 3)]
    assert figures.today(NOW + dt.timedelta(days=1), dt.UTC)["failed"] == 0
    assert set(ServerOutcome.objects.values_list("server_name", "outcome")) == {(server.name, "late")}


@pytest.mark.parametrize("before", ["bounced", "failed", "expired", "cancelled", "suppressed"])
def test_only_accepted_and_unconfirmed_messages_change(server: SmtpServer, mailing: Mailing, before: str) -> None:
    other = sent_to(ANN, mailing, server, status=before, reason="As it was.")
    unsure = sent_to("ben@customer.example", mailing, server, status="unconfirmed")

    mail(bounce(other, BLOCKED))
    mail(bounce(unsure))
    process()

    other.refresh_from_db()
    assert (other.status, other.reason) == (before, "As it was.")
    assert status(unsure) == "bounced"
    assert kinds() == ["hard", "server"]


def test_a_report_of_an_earlier_attempt_suppresses_and_leaves_the_status(server: SmtpServer, mailing: Mailing) -> None:
    message = sent_to(ANN, mailing, server, attempt_count=2)

    mail(bounce(message, attempt=1))
    process()

    assert (status(message), reason_of(ANN)) == ("accepted", "hard_bounce")
    assert Feedback.objects.get().attempt == 1


@pytest.mark.parametrize("tagged", [0, 2, 63])
def test_an_attempt_that_the_message_never_had_counts_as_its_last(
    server: SmtpServer, mailing: Mailing, tagged: int
) -> None:
    message = sent_to(ANN, mailing, server)

    mail(bounce(message, attempt=tagged))
    process()

    assert (status(message), Feedback.objects.get().attempt) == ("bounced", 1)


def test_a_report_that_came_before_the_acceptance_is_applied_when_the_attempt_settles(
    server: SmtpServer, mailing: Mailing
) -> None:
    message = sent_to(ANN, mailing, server)
    Message.objects.filter(pk=message.pk).update(status="queued", attempt_count=0)

    mail(bounce(message))
    process()
    early = Report.objects.get().state
    before = (kinds(), reason_of(ANN), status(message))
    Message.objects.filter(pk=message.pk).update(status="accepted", attempt_count=1)
    process()

    assert early == "early"
    assert before == ([], None, "queued")
    assert (status(message), kinds(), reason_of(ANN)) == ("bounced", ["hard"], "hard_bounce")
    assert Report.objects.get().state == "applied"
    assert Report.objects.get().feedback == Feedback.objects.get()


def test_a_copy_is_suppressed_alone(server: SmtpServer, mailing: Mailing) -> None:
    original = sent_to(ANN, mailing, server)
    boss = "boss@shop.example"
    copy = sent_to(boss, mailing, server, has_contact=False, copy_of=original, copy_kind="cc")

    mail(bounce(copy))
    post(server, complaint(copy))
    process()

    assert (status(original), status(copy)) == ("accepted", "bounced")
    assert (reason_of(ANN), reason_of(boss)) == (None, "hard_bounce")
    assert Subscription.objects.get().status == Subscription.Status.SUBSCRIBED
    assert not StopTally.objects.exists()


@pytest.mark.parametrize("stream", ["test", "notice"])
def test_mail_to_our_own_people_is_on_record_and_counts_nowhere(server: SmtpServer, stream: str) -> None:
    message = sent_to(ANN, make_mailing(stream), server)

    mail(bounce(message, BLOCKED))
    post(server, complaint(message))
    process()

    assert status(message) == "failed"
    assert set(Report.objects.values_list("state", flat=True)) == {"noted"}
    for model in (Feedback, Suppression, Incident):
        assert not model.objects.exists()
    assert scores() == {}


def test_the_tag_of_nobody_is_counted_by_server_only(server: SmtpServer) -> None:
    to = verp.tagged("bounces@shop.example", 0, 0, settings.TOKEN_KEYS)

    mail(dsn(("ops@shop.example", "failed", GONE), to=to), server=server)
    process()

    row = ScoreCount.objects.get()
    assert (row.server_id, row.from_domain, row.kind, row.number) == (server.pk, "", "hard", 1)
    assert not Suppression.objects.exists()


def test_singles_count_and_suppress_like_campaigns(server: SmtpServer) -> None:
    message = sent_to(ANN, make_mailing("single"), server)

    mail(bounce(message))
    process()

    assert (status(message), reason_of(ANN), scores()) == ("bounced", "hard_bounce", {"hard": 1})


def test_the_fifth_soft_bounce_in_a_row_over_a_week_suppresses(server: SmtpServer) -> None:
    for days in range(5):
        at = NOW - dt.timedelta(days=10 - 2 * days)
        message = sent_to(ANN, make_mailing(), server, at=at)
        mail(bounce(message, FULL), now=at)
        process(at)
        is_suppressed = reason_of(ANN) is not None
        assert is_suppressed == (days == 4)


def test_three_refusals_without_a_reason_within_a_month_suppress_whoever_reports_them(server: SmtpServer) -> None:
    for number in range(3):
        message = sent_to(ANN, make_mailing(), server)
        mail(bounce(message, "550 no", number=number))
        process()
        assert (reason_of(ANN) is not None) == (number == 2)


def test_one_of_several_recipients_of_an_alias_is_no_hard_bounce(server: SmtpServer, mailing: Mailing) -> None:
    alias, named = sent_to(ANN, mailing, server), sent_to("ben@customer.example", mailing, server)
    others = (("x@there.example", "failed", GONE), ("y@there.example", "delayed", "451 4.4.1 later"))

    mail(dsn(*others, to=return_path(alias)))
    mail(dsn(*others, (named.email, "failed", FULL), to=return_path(named)))
    process()

    assert (reason_of(ANN), reason_of(named.email)) == (None, None)
    assert kinds() == ["delayed", "soft", "soft"]


def test_late_hard_bounces_stop_a_running_campaign_and_leave_a_finished_one(server: SmtpServer, settings: Any) -> None:
    running, finished = make_mailing(), make_mailing(finished_at=NOW)
    for mailing in (running, finished):
        StopTally.objects.create(mailing=mailing, server=server, sent=200, hard_bounces=9)
        mail(bounce(sent_to(f"a{mailing.pk}@customer.example", mailing, server)))

    process()

    assert Mailing.objects.get(pk=running.pk).state == "paused"
    assert "do not exist" in Mailing.objects.get(pk=running.pk).waiting_reason
    assert Mailing.objects.get(pk=finished.pk).state == "open"
    assert not Mailing.objects.get(pk=finished.pk).is_reported


def test_an_event_that_names_somebody_else_has_no_effect_on_the_recipient_of_its_tag(
    server: SmtpServer, mailing: Mailing
) -> None:
    message = sent_to(ANN, mailing, server)
    sent_to("ben@customer.example", mailing, server)

    post(server, event("Bounce", message, Type="HardBounce", ID=1, Email="ben@customer.example"))
    process()
    assert (status(message), kinds(), Suppression.objects.count()) == ("accepted", [], 0)
    report = Report.objects.get()
    assert (report.state, report.message, report.reason) == (
        "noted", message, "The report names another recipient for this."
    )  # fmt: skip
    post(server, event("Bounce", message, Type="HardBounce", ID=2, Email="Ann@Customer.example"))
    process()

    assert (status(message), kinds(), reason_of(ANN)) == ("bounced", ["hard"], "hard_bounce")


def test_two_events_of_one_post_without_id_and_time_are_two(server: SmtpServer, mailing: Mailing) -> None:
    first, second = ({"RecordType": "SubscriptionChange", "Email": ANN, "SuppressSending": on} for on in (False, False))

    post(server, first, second)
    process()
    post(server, first, second)  # The same bytes are the same request.
    process()

    assert Report.objects.count() == 2
