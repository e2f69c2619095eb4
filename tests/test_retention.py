"""What was kept long enough goes in slices, a dry run tells it before, and figures stay."""

import datetime as dt
import io
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.test import Client

from contacts import tasks
from contacts.consent import changes
from contacts.models import ConsentEvent, Contact, ContactImport, ContactList, RefusedRow, Subscription
from contacts.privacy import retention
from delivery.models import Attempt, Mailing, Message
from delivery.outbox import mailings
from delivery.outbox.status_counts import by_status
from delivery.records import retention as records_retention
from feedback.models import Feedback
from tests.delivery.making import make_attempt

NOW = dt.datetime(2026, 3, 31, 12, 0, tzinfo=dt.UTC)
OLD = NOW - dt.timedelta(days=800)
NEW = NOW - dt.timedelta(days=5)


@pytest.fixture(autouse=True)
def _kept(settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RETAIN_MESSAGES_MONTHS = 12
    settings.RETAIN_LOG_MONTHS = 24
    for module in (retention, records_retention):
        monkeypatch.setattr(module, "SLICE_ROWS", 2)


@pytest.fixture
def ann(db: None) -> Contact:
    return Contact.objects.create(email="Ann@example.net", first_name="Ann")


def mailing(finished_at: dt.datetime, stream: str = "campaign", people: int = 0) -> Mailing:
    made = mailings.open_mailing(stream=stream, name="News", subject="News", html="", text="Hi")
    for number in range(people):
        email = f"P{number}@example.net"
        message = Message.objects.create(
            mailing=made,
            email=email,
            email_key=email.lower(),
            status="bounced",
            reason=f"550 {email} <{email.lower()}>",
        )
        make_attempt(
            message=message,
            number=1,
            server_name="One",
            lane_token="00000000-0000-0000-0000-000000000000",
            started_at=finished_at,
            outcome="bounced",
            reply=f"{email}: no such user",
        )
    Mailing.objects.filter(pk=made.pk).update(is_snapshotted=True, finished_at=finished_at)
    return made


def test_recipients_of_old_mailings_are_forgotten_and_their_counts_stay(ann: Contact) -> None:
    old, new = mailing(OLD, people=5), mailing(NEW, people=2)
    Message.objects.filter(mailing=old, email="P0@example.net").update(contact=ann)
    before = by_status(old.pk)

    gone, is_done = retention.run(NOW)

    assert is_done
    assert gone["Recipients of messages"] == 5
    messages = Message.objects.filter(mailing=old)
    assert {(m.email, m.merge, m.reason) for m in messages} == {("(erased)", None, "550 (erased) <(erased)>")}
    assert set(Attempt.objects.filter(message__mailing=old).values_list("reply", flat=True)) == {
        "(erased): no such user"
    }
    assert by_status(old.pk) == before
    assert messages.filter(contact=ann).count() == 1  # The unsubscribe link of the old mail works.
    assert set(Message.objects.filter(mailing=new).values_list("email", flat=True)) == {
        "P0@example.net",
        "P1@example.net",
    }
    assert retention.run(NOW) == ({"Recipients of messages": 0} | dict.fromkeys(gone, 0), True)


def test_the_content_of_an_old_single_message_goes_with_its_recipient(db: None) -> None:
    single = mailing(OLD, "single", people=1)
    campaign = mailing(OLD, people=1)

    retention.run(NOW)

    single.refresh_from_db()
    campaign.refresh_from_db()
    assert (single.subject, single.text, single.is_anonymous) == ("(erased)", "(erased)", True)
    assert (campaign.subject, campaign.text, campaign.is_anonymous) == ("News", "Hi", True)


def make_old_things(ann: Contact) -> None:
    for at in (OLD, NEW):
        Feedback.objects.create(kind="unsubscribe", channel="page", email=ann.email, reason="too much", received_at=at)
        of_import = ContactImport.objects.create(file_name="a.csv", stored_name=str(at))
        reasons = [["time_zone", "time_zone", "MEZ", 0, 1]]
        ContactImport.objects.filter(pk=of_import.pk).update(created_at=at, reasons=reasons)
        RefusedRow.objects.create(contact_import=of_import, line_number=2, content="x", reason="y")
        test = mailings.open_mailing(stream="test", name="T", subject="T", html="", text="T")
        Message.objects.create(
            mailing=test, email="a@example.net", email_key="a@example.net", merge={"a": 1}, changed_at=at
        )
        contact_list = ContactList.objects.create(name=str(at))
        changes.request_subscription(
            ann, contact_list, method="form", source="form", now=at, wording="I agree.", network=""
        )
    user = User.objects.create_user("ada")
    for at in (OLD, NEW):
        LogEntry.objects.log_actions(user.pk, [ann], CHANGE, "Changed.", single_object=True)
        entry = LogEntry.objects.order_by("-pk")[0]
        LogEntry.objects.filter(pk=entry.pk).update(action_time=at)


def test_everything_else_that_is_old_goes_and_the_rest_stays(ann: Contact) -> None:
    make_old_things(ann)
    told = {rule.title: number for rule, number in retention.report(NOW)}

    gone, _ = retention.run(NOW)

    assert {title: number for title, number in told.items() if number} == {
        title: number for title, number in gone.items() if number
    }
    assert sorted(number for number in gone.values() if number) == [1, 1, 1, 1, 1]
    assert sorted(Feedback.objects.values_list("email", "reason")) == [("(erased)", ""), (ann.email, "too much")]
    assert RefusedRow.objects.count() == 1
    assert [bool(each.reasons) for each in ContactImport.objects.order_by("created_at")] == [False, True]
    assert Message.objects.filter(merge__isnull=False).count() == 1
    assert Subscription.objects.get().changed_at == NEW
    assert ConsentEvent.objects.get().at == NEW
    assert LogEntry.objects.count() == 1


def test_what_is_kept_for_good_stays(ann: Contact, settings: LazySettings) -> None:
    make_old_things(ann)
    for rule in retention.RULES.values():
        setattr(settings, rule.setting, 0)

    assert retention.run(NOW) == ({}, True)
    assert {number for _, number in retention.report(NOW)} == {None}
    assert LogEntry.objects.count() == 2


def test_a_run_pauses_between_slices_and_goes_on(db: None) -> None:
    mailing(OLD, people=5)

    _, is_done = retention.run(NOW, should_pause=lambda: Message.objects.filter(email="(erased)").count() >= 2)

    assert not is_done
    assert Message.objects.filter(email="(erased)").count() == 2
    tasks.apply_retention()
    assert not Message.objects.exclude(email="(erased)").exists()


def test_a_dry_run_tells_and_changes_nothing(ann: Contact) -> None:
    make_old_things(ann)
    told = io.StringIO()

    call_command("retention", "--dry-run", stdout=told)

    line = next(line for line in told.getvalue().splitlines() if line.startswith("Who gave feedback"))
    assert line.split()[-3:] == ["13", "months", "1"]
    assert Feedback.objects.filter(email=ann.email).count() == 2
    done = io.StringIO()
    call_command("retention", stdout=done)
    assert Feedback.objects.filter(email=ann.email).count() == 1


@pytest.mark.parametrize(("role", "status"), [("admin", 200), ("marketer", 403), ("ops", 403), ("viewer", 403)])
def test_administrators_see_what_would_go(client: Client, ann: Contact, role: str, status: int) -> None:
    make_old_things(ann)
    user = User.objects.create_user("rolf", is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)

    response = client.get("/admin/contacts/contact/retention/")

    assert response.status_code == status
    if status == 200:
        assert "RETAIN_FEEDBACK_MONTHS" in response.content.decode()
    assert Feedback.objects.filter(email=ann.email).count() == 2


@pytest.mark.parametrize(
    ("day", "months", "expected"),
    [
        (dt.date(2026, 3, 31), 1, dt.date(2026, 2, 28)),
        (dt.date(2026, 3, 31), 13, dt.date(2025, 2, 28)),
        (dt.date(2028, 2, 29), 48, dt.date(2024, 2, 29)),
        (dt.date(2026, 1, 15), 1, dt.date(2025, 12, 15)),
        (dt.date(2026, 12, 31), 12, dt.date(2025, 12, 31)),
    ],
)
def test_months_are_those_of_the_calendar(day: dt.date, months: int, expected: dt.date) -> None:
    instant = dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC)

    assert retention.months_before(instant, months).date() == expected


def test_the_command_tells_each_rule_when_it_is_done(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(cutoff: dt.datetime, after: Any) -> retention.Slice:
        raise RuntimeError("the power went")

    last = retention.RetentionRule("The last of them", "RETAIN_PENDING_DAYS", lambda cutoff: 0, fail)
    monkeypatch.setitem(retention.RULES, last.title, last)
    told = io.StringIO()

    with pytest.raises(RuntimeError, match="the power went"):
        call_command("retention", stdout=told)

    assert "Refused rows of imports" in told.getvalue()
    assert "The last of them" not in told.getvalue()


def test_the_command_tells_how_far_a_long_rule_is(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = iter([retention.Slice(2000, 1), retention.Slice(2000, 2), retention.Slice(7)])
    rule = retention.RetentionRule(
        "A long one", "RETAIN_PENDING_DAYS", lambda cutoff: 0, lambda cutoff, after: next(steps)
    )
    monkeypatch.setattr(retention, "RULES", {rule.title: rule})
    monkeypatch.setattr("contacts.management.commands.retention.PROGRESS_SECONDS", 0.0)
    told = io.StringIO()

    call_command("retention", stdout=told)

    assert "A long one: 2,000 so far …" in told.getvalue()
    assert "A long one: 4,000 so far …" in told.getvalue()
    assert told.getvalue().rstrip().endswith("4,007")
