"""The checks of what receivers report: signatures, feedback loops, and reports that nobody has read."""

import datetime as dt

import pytest

from campaigns.models import Campaign
from campaigns.preflight.review import review
from domains.models import DmarcCount, SendingDomain
from feedback.models import RawReport
from smtpservers.models import SmtpServer
from tests.campaigns.gate import AUTHOR, NOW, of, told

pytestmark = pytest.mark.django_db


def reported(messages: int, *, is_signed: bool, is_ours: bool = True, days_ago: int = 1) -> None:
    DmarcCount.objects.create(
        domain=SendingDomain.objects.get(name=AUTHOR),
        key=f"{is_signed} {is_ours} {days_ago} {messages}",
        day=NOW.date() - dt.timedelta(days=days_ago),
        author=AUTHOR,
        dkim_result="pass" if is_signed else "fail",
        spf_result="pass",
        is_dkim_aligned=is_signed,
        is_spf_aligned=is_ours,
        disposition="none",
        messages=messages,
    )


@pytest.mark.parametrize(
    ("good", "bad", "severities"),
    [(0, 0, ["warn"]), (100, 0, []), (96, 4, []), (95, 5, ["warn"]), (50, 50, ["block"]), (0, 9, ["block"])],
)
def test_signatures_are_judged_by_what_receivers_report(
    relayed: Campaign, good: int, bad: int, severities: list[str]
) -> None:
    if good:
        reported(good, is_signed=True)
    if bad:
        reported(bad, is_signed=False)

    assert told(relayed, "M7") == severities


def test_mail_of_strangers_and_old_reports_say_nothing(relayed: Campaign) -> None:
    reported(10, is_signed=True)
    reported(9_000, is_signed=False, is_ours=False)  # Somebody forges the domain.
    reported(9_000, is_signed=False, days_ago=31)

    assert told(relayed, "M7") == []


def test_feedback_loops_are_a_note_until_they_are_registered(relayed: Campaign) -> None:
    assert told(relayed, "C6") == []  # Nobody asked for complaints.
    SmtpServer.objects.update(use_spam_address=True, spam_address=f"fbl@{AUTHOR}")
    [both] = of(review(relayed, NOW), "C6")
    SendingDomain.objects.update(yahoo_loop_on=NOW.date())
    [one] = of(review(relayed, NOW), "C6")
    SendingDomain.objects.update(microsoft_loop_on=NOW.date())

    assert both.sentence.startswith("Complaints of Yahoo, Microsoft about gatehouse.net may not reach you")
    assert one.sentence.startswith("Complaints of Microsoft about")
    assert one.severity.value == "inform"
    assert told(relayed, "C6") == []


@pytest.mark.parametrize(("hours", "severities"), [(24, []), (25, ["warn"]), (49, ["block"])])
def test_reports_that_wait_unread_warn_and_block(relayed: Campaign, hours: int, severities: list[str]) -> None:
    received_at = NOW - dt.timedelta(hours=hours)
    RawReport.objects.create(source="mailbox", digest="1", sealed=b"", size_bytes=0, received_at=received_at)
    RawReport.objects.create(source="mailbox", digest="2", sealed=b"", size_bytes=0, received_at=NOW)
    RawReport.objects.create(
        source="mailbox", digest="3", sealed=b"", size_bytes=0, state="done", received_at=NOW - dt.timedelta(days=9)
    )

    assert told(relayed, "T3") == severities
