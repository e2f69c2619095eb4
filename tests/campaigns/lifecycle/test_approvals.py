"""Overridden checks and the second person: who may, for how long it holds, and that nothing starts without."""

import datetime as dt

import pytest
from django.contrib.auth.models import User

from campaigns.content.written import Written
from campaigns.lifecycle import approvals, states
from campaigns.models import Approval, ApprovalRule, Campaign, CheckOverride
from campaigns.schedule import schedule
from campaigns.schedule.schedule import Schedule
from contacts.models import Contact
from smtpservers.models import SmtpServer

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def blocked(campaign: Campaign, server: SmtpServer) -> Campaign:
    campaign.html = '<p>Snow! <a href="http://localhost/sale">Sale</a></p>'
    campaign.subject = "Snow"
    campaign.save()
    return campaign


@pytest.fixture
def large(campaign: Campaign, server: SmtpServer) -> Campaign:
    campaign.html, campaign.subject = "<p>Snow!</p>", "Snow"
    campaign.save()
    ApprovalRule.objects.create(needed_above=2)  # There are three people.
    return campaign


def queue(campaign: Campaign, actor: User) -> list[str]:
    return states.queue_campaign(campaign.pk, actor, NOW)


# --- overrides


def test_a_check_that_blocks_is_overridden_with_a_reason(blocked: Campaign, people: dict[str, User]) -> None:
    admin = people["admin"]
    [refusal] = queue(blocked, admin)
    assert refusal.startswith("A link leads to a computer that recipients can't reach: http://localhost/sale")

    assert approvals.override(blocked.pk, "M11", "  ", admin, NOW).startswith("Enter a reason.")
    assert approvals.override(blocked.pk, "M11", "It is a test in our own office.", admin, NOW) == ""

    row = CheckOverride.objects.get()
    assert (row.check_id, row.by_name, row.at) == ("M11", "admin", NOW)
    assert "http://localhost/sale" in row.sentence
    assert queue(blocked, admin) == []


def test_an_override_holds_for_what_the_campaign_said_then(blocked: Campaign, people: dict[str, User]) -> None:
    approvals.override(blocked.pk, "M11", "Our own office.", people["admin"], NOW)

    blocked.html += "<p>More.</p>"
    blocked.save()

    assert len(queue(blocked, people["admin"])) == 1


def test_what_cannot_be_sent_at_all_is_not_overridden(blocked: Campaign, people: dict[str, User]) -> None:
    Campaign.objects.filter(pk=blocked.pk).update(subject=" ")

    refusal = approvals.override(blocked.pk, "B1", "I want it.", people["admin"], NOW)

    assert refusal == "This check can't be overridden: the campaign couldn't be sent at all."
    assert (
        approvals.override(blocked.pk, "M2", "I want it.", people["admin"], NOW)
        == "This check no longer blocks the campaign."
    )
    assert not CheckOverride.objects.exists()


# --- the second person


def test_a_large_campaign_waits_for_a_second_person(large: Campaign, people: dict[str, User]) -> None:
    ann, bea = people["marketer"], people["admin"]
    [refusal] = queue(large, ann)
    assert refusal.startswith("Campaigns to more than 2 people need a second person's approval.")

    assert approvals.ask_for(large.pk, "Please look.", ann, NOW) == ""
    assert approvals.ask_for(large.pk, "", ann, NOW) == "Approval has already been requested."
    request = Approval.objects.get()
    assert approvals.decide(request.pk, True, "", ann, NOW).startswith("You can't approve your own request.")
    assert len(queue(large, ann)) == 1

    assert approvals.decide(request.pk, True, "Fine.", bea, NOW) == ""
    assert approvals.decide(request.pk, False, "No.", bea, NOW) == "Someone else has already decided."
    assert queue(large, ann) == []


def test_a_rejection_needs_words_and_keeps_it_a_draft(large: Campaign, people: dict[str, User]) -> None:
    approvals.ask_for(large.pk, "", people["marketer"], NOW)
    request = Approval.objects.get()

    assert approvals.decide(request.pk, False, " ", people["admin"], NOW).startswith("Enter a note")
    assert approvals.decide(request.pk, False, "The price is wrong.", people["admin"], NOW) == ""

    assert len(queue(large, people["marketer"])) == 1
    assert approvals.ask_for(large.pk, "Mended.", people["marketer"], NOW) == ""


@pytest.mark.parametrize("edit", ["content", "time", "audience"])
def test_any_edit_makes_the_approval_void(large: Campaign, people: dict[str, User], edit: str) -> None:
    approvals.ask_for(large.pk, "", people["marketer"], NOW)
    approvals.decide(Approval.objects.get().pk, True, "", people["admin"], NOW)

    if edit == "content":
        large.subject = "Sun"
        large.save()
    elif edit == "time":
        schedule.set_schedule(large.pk, Schedule(opens=dt.time(9), closes=dt.time(20), time_zone="UTC"), NOW)
    else:
        other = large.lists.create(name="Others")
        large.lists.add(other)
    large.refresh_from_db()

    standing = approvals.standing(Written(large), 3)
    assert (standing.is_met, standing.void, standing.latest) == (False, Approval.objects.get(), None)
    assert len(queue(large, people["marketer"])) == 1


def test_what_was_edited_meanwhile_is_not_decided(large: Campaign, people: dict[str, User]) -> None:
    approvals.ask_for(large.pk, "", people["marketer"], NOW)
    large.subject = "Sun"
    large.save()

    assert approvals.decide(Approval.objects.get().pk, True, "", people["admin"], NOW) == approvals.CHANGED
    # And it is asked for anew.
    assert approvals.ask_for(large.pk, "", people["marketer"], NOW) == ""


def test_small_campaigns_and_no_rule_need_nobody(large: Campaign, people: dict[str, User]) -> None:
    assert approvals.standing(Written(large), 2).is_met
    assert not approvals.standing(Written(large), 3).is_met

    ApprovalRule.objects.update(needed_above=None)

    assert approvals.standing(Written(large), 3_000_000).is_met
    assert Contact.objects.count() == 3
    assert queue(large, people["marketer"]) == []
