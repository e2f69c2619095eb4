"""The table of status changes equals what the use cases do, and no code writes a status around it."""

import ast
import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from campaigns.lifecycle import states
from campaigns.models import Campaign, transitions
from campaigns.models.transitions import ALLOWED, TransitionForbidden, before, change, change_one
from campaigns.schedule import returns, schedule
from delivery.models import Mailing, Message
from smtpservers.models import SmtpServer

NOW = dt.datetime(2026, 11, 30, 23, 59, 30, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(seconds=2)
Status = Campaign.Status
PAIRS = list(itertools.permutations(Status, 2))
TABLE = {(old, new) for old, following in ALLOWED.items() for new in following}
HOUSE = Path(__file__).parents[3]
ROOMS = ("brilliance", "publicpages", "feedback", "campaigns", "delivery", "contacts", "smtpservers", "sandbox")
WRITES = ("update", "create", "get_or_create", "update_or_create", "Campaign")


def status_of(campaign: Campaign) -> str:
    return Campaign.objects.values_list("status", flat=True).get(pk=campaign.pk)


# --- the table


def test_every_status_has_its_line() -> None:
    assert set(ALLOWED) == set(Status)
    assert before(Status.CANCELLED) == (Status.SCHEDULED, Status.SENDING, Status.PAUSED)


@pytest.mark.django_db
@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_what_the_table_has_takes_place_once_and_all_else_never(campaign: Campaign, old: Status, new: Status) -> None:
    Campaign.objects.update(status=old)
    mine = Campaign.objects.filter(pk=campaign.pk)

    if (old, new) in TABLE:
        assert [change(mine, old, new, starts_at=NOW) for _ in range(2)] == [1, 0]
        assert mine.values_list("status", "starts_at").get() == (new, NOW)
    else:
        with pytest.raises(TransitionForbidden, match=f"^A campaign that is {old} never becomes {new}\\.$"):
            change(mine, old, new)
        assert status_of(campaign) == old


@pytest.mark.django_db
def test_a_campaign_in_another_status_stays_as_it_is(campaign: Campaign) -> None:
    Campaign.objects.update(status=Status.PAUSED)

    assert change(Campaign.objects.all(), Status.SCHEDULED, Status.CANCELLED, starts_at=NOW) == 0
    assert Campaign.objects.values_list("status", "starts_at").get() == ("paused", None)


@pytest.mark.django_db
def test_the_object_changes_with_its_row_or_not_at_all(campaign: Campaign) -> None:
    assert change_one(campaign, Status.DRAFT, Status.SCHEDULED, starts_at=NOW)
    assert (campaign.status, campaign.starts_at, status_of(campaign)) == ("scheduled", NOW, "scheduled")

    Campaign.objects.update(status=Status.CANCELLED)
    assert not change_one(campaign, Status.SCHEDULED, Status.DRAFT, starts_at=None)
    assert (campaign.status, campaign.starts_at, status_of(campaign)) == ("scheduled", NOW, "cancelled")


@pytest.mark.django_db
def test_a_campaign_that_is_checked_as_a_draft_stays_scheduled(campaign: Campaign) -> None:
    Campaign.objects.update(status=Status.SCHEDULED, starts_at=NOW)
    scheduled = Campaign.objects.get()

    draft = transitions.as_draft(scheduled)

    assert (draft.status, draft.starts_at, draft.subject) == ("draft", None, campaign.subject)
    assert (scheduled.status, scheduled.starts_at, status_of(campaign)) == ("scheduled", NOW, "scheduled")


# --- the use cases


def finish(_: Campaign, __: User) -> None:
    Mailing.objects.update(finished_at=LATER)
    states.finish_campaigns()


def follow_pauses(_: Campaign, __: User) -> None:
    Mailing.objects.update(state="paused")
    states.follow_pauses()


def retry(campaign: Campaign, _: User) -> None:
    Message.objects.update(status="failed")
    states.retry_failed(campaign.pk, LATER)


def resend(_: Campaign, __: User) -> None:
    for message in Message.objects.all():
        Message.objects.filter(pk=message.pk).update(status="unconfirmed")
        states.resend(message.pk, message.mailing_id, LATER)


USE_CASES: dict[str, Callable[[Campaign, User], object]] = {
    "queue": lambda campaign, actor: states.queue_campaign(campaign.pk, actor, NOW),
    "start": lambda campaign, actor: states.start_due_campaigns(LATER),
    "take back": lambda campaign, actor: schedule.take_back(campaign.pk),
    "send back": lambda campaign, actor: returns.send_back(campaign.pk, "So.", LATER),
    "pause": lambda campaign, actor: states.pause(campaign.pk),
    "resume": lambda campaign, actor: states.resume(campaign.pk),
    "cancel": lambda campaign, actor: states.cancel(campaign.pk, LATER),
    "settle": lambda campaign, actor: states.settle_cancelled(LATER),
    "follow pauses": follow_pauses,
    "finish": finish,
    "retry": retry,
    "resend": resend,
}


def changes_from(status: Status, campaign: Campaign, actor: User) -> Iterator[tuple[str, str]]:
    """Yield the status changes that the use cases make from one status. Each use case starts afresh."""
    if status != Status.DRAFT:
        assert states.queue_campaign(campaign.pk, actor, NOW) == []
    if status not in (Status.DRAFT, Status.SCHEDULED):
        assert states.start_due_campaigns(LATER) == 1
        Campaign.objects.update(status=status)
    for use_case in USE_CASES.values():
        with transaction.atomic():
            use_case(campaign, actor)
            after = status_of(campaign)
            transaction.set_rollback(True)
        if after != status:
            yield status, after


@pytest.mark.django_db
@pytest.mark.parametrize("status", Status)
def test_the_use_cases_change_a_campaign_as_the_table_says(
    status: Status, campaign: Campaign, server: SmtpServer, people: dict[str, User]
) -> None:
    assert set(changes_from(status, campaign, people["marketer"])) == {pair for pair in TABLE if pair[0] == status}


# --- the code


def writes_of_status(source: str) -> Iterator[int]:
    """Yield the numbers of the lines that write a status into a row or an object."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in WRITES and any(keyword.arg == "status" for keyword in node.keywords):
                yield node.lineno
            if name == "bulk_update" and "'status'" in ast.unparse(node):
                yield node.lineno
        if isinstance(node, ast.Attribute) and node.attr == "status" and isinstance(node.ctx, ast.Store):
            yield node.lineno
        if isinstance(node, ast.Constant) and re.search(r"UPDATE\s+campaigns_campaign\b", str(node.value), re.I):
            yield node.lineno


def test_the_walk_finds_every_way_to_write_a_status() -> None:
    ways = """
Campaign.objects.filter(pk=1).update(status="sending")
Campaign(status="sending")
Campaign.objects.bulk_update(found, ["status"])
campaign.status = "sending"
campaign.status, campaign.starts_at = "sending", None
cursor.execute("UPDATE campaigns_campaign SET status = 'sending'")
Campaign.objects.filter(status="sending").update(is_overdue=True)
"""

    assert sorted(writes_of_status(ways)) == [2, 3, 4, 5, 6, 7]


def test_nobody_changes_a_status_around_the_table() -> None:
    found = []
    for path in sorted(path for room in ROOMS for path in (HOUSE / room).rglob("*.py")):
        source = path.read_text()
        # Other models have a status, too: a module without campaigns is not read.
        knows_campaigns = path.is_relative_to(HOUSE / "campaigns") or re.search(r"^from campaigns\b", source, re.M)
        if knows_campaigns and "migrations" not in path.parts and path.name != "transitions.py":
            found += [f"{path.relative_to(HOUSE)}:{line}" for line in writes_of_status(source)]

    assert found == []
