"""Servers that lead to the test inbox never share a campaign with real ones."""

import datetime as dt
import html
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from campaigns.lifecycle import states
from campaigns.lifecycle.servers import change_servers
from campaigns.models import Campaign, Experiment, Variant
from campaigns.preflight.refusals import refusals
from campaigns.schedule.mailings import is_for_test_inbox
from delivery.content.test_inbox import leads_to_test_inbox
from delivery.models import Mailing, MailingOutcome
from delivery.outbox import plan
from smtpservers.models import SmtpServer

NOW = dt.datetime(2026, 11, 30, 12, 0, tzinfo=dt.UTC)
MIXED = (
    "Some of this mail would stay in the test inbox (Inbox), and some would reach real people (Alpha). Choose servers"
    " of one kind under Servers, or deactivate the others."
)


@pytest.fixture
def inbox(server: SmtpServer, settings: Any) -> SmtpServer:
    found = SmtpServer.objects.create(
        name="Inbox",
        host="127.0.0.1",
        port=settings.SANDBOX_PLAIN_PORT,
        use_tls=False,
        mail_from="news@example.com",
        tested_at=NOW,
        handles_email_validation=True,
    )
    assert leads_to_test_inbox(found)
    assert not leads_to_test_inbox(server)
    return found


def choose(campaign: Campaign, *servers: SmtpServer) -> None:
    campaign.server_ids = [server.pk for server in servers]
    campaign.save()


def start(campaign: Campaign, actor: User) -> Mailing:
    assert states.queue_campaign(campaign.pk, actor, NOW) == []
    assert states.start_due_campaigns(NOW) == 1
    return Mailing.objects.get()


def test_the_review_says_so_and_nobody_can_override_it(campaign: Campaign, inbox: SmtpServer, people: Any) -> None:
    client = Client()
    client.force_login(people["admin"])

    page = client.get(f"/campaigns/{campaign.pk}/review/").content.decode()

    assert html.escape(MIXED) in page
    assert f'href="/admin/campaigns/campaign/{campaign.pk}/change/#id_servers"' in page
    assert "Override “Test inbox" not in page
    assert MIXED in states.queue_campaign(campaign.pk, people["admin"], NOW)
    assert Campaign.objects.get().status == "draft"


@pytest.mark.parametrize("untested", ["Inbox", "Alpha"])
def test_one_that_waits_for_its_first_test_stops_no_campaign_and_takes_none_of_it_later(
    campaign: Campaign, inbox: SmtpServer, people: dict[str, User], untested: str
) -> None:
    SmtpServer.objects.filter(name=untested).update(tested_at=None)
    assert refusals(campaign, NOW) == []

    mailing = start(campaign, people["marketer"])
    SmtpServer.objects.update(tested_at=NOW)

    assert mailing.is_for_test_inbox is (untested == "Alpha")
    other = SmtpServer.objects.exclude(name=untested).get()
    assert [work.server_id for work in plan.plan(NOW)] == [other.pk]


def test_the_sentence_names_at_most_three_servers_of_each_kind(campaign: Campaign, inbox: SmtpServer) -> None:
    alpha = SmtpServer.objects.get(name="Alpha")
    for name in ("Beta", "Gamma", "Delta", "Epsilon"):
        alpha.pk, alpha.name = None, name
        alpha.save(force_insert=True)

    [said] = refusals(campaign, NOW)

    assert "(Inbox)" in said
    assert "(Alpha, Beta, Gamma and 2 more)" in said


def test_servers_of_one_kind_are_fine(campaign: Campaign, server: SmtpServer, inbox: SmtpServer) -> None:
    for chosen in (server, inbox):
        choose(campaign, chosen)
        assert refusals(campaign, NOW) == []
    choose(campaign)
    SmtpServer.objects.filter(pk=inbox.pk).update(is_active=False)
    assert refusals(campaign, NOW) == []


def test_the_variants_of_a_test_count_together(campaign: Campaign, inbox: SmtpServer) -> None:
    SmtpServer.objects.filter(name="Alpha").update(mail_from="news@other.example")
    campaign.mail_from = "news@example.com"
    campaign.save()
    assert refusals(campaign, NOW) == []
    experiment = Experiment.objects.create(campaign=campaign, sample_percent=100)
    Variant.objects.create(experiment=experiment, position=0)
    Variant.objects.create(experiment=experiment, position=1, mail_from="news@other.example")

    assert MIXED in refusals(campaign, NOW)


def test_what_is_switched_on_after_the_start_takes_nothing(
    campaign: Campaign, server: SmtpServer, inbox: SmtpServer, people: dict[str, User]
) -> None:
    SmtpServer.objects.filter(pk=inbox.pk).update(is_active=False)
    mailing = start(campaign, people["marketer"])
    SmtpServer.objects.filter(pk=inbox.pk).update(is_active=True)
    SmtpServer.objects.filter(pk=server.pk).update(is_active=False)

    assert not mailing.is_for_test_inbox
    assert plan.plan(NOW) == []
    mailing.refresh_from_db()
    assert mailing.waiting_reason == (
        "No server can send this now: Inbox sends to the Test inbox and this campaign to real mailboxes, Alpha is"
        " inactive."
    )


def test_one_that_is_added_after_the_start_takes_nothing(
    campaign: Campaign, server: SmtpServer, people: dict[str, User], request: pytest.FixtureRequest
) -> None:
    mailing = start(campaign, people["marketer"])
    SmtpServer.objects.filter(pk=server.pk).delete()
    request.getfixturevalue("inbox")

    assert plan.plan(NOW) == []
    mailing.refresh_from_db()
    assert mailing.waiting_reason == plan.ONLY_TEST_INBOX


@pytest.mark.parametrize("begins_at_inbox", [True, False])
def test_one_that_is_edited_into_the_other_kind_takes_nothing_more(
    campaign: Campaign, server: SmtpServer, people: dict[str, User], settings: Any, begins_at_inbox: bool
) -> None:
    kinds = [("127.0.0.1", settings.SANDBOX_PLAIN_PORT), (server.host, server.port)]
    before, after = kinds if begins_at_inbox else reversed(kinds)
    SmtpServer.objects.update(host=before[0], port=before[1])
    mailing = start(campaign, people["marketer"])
    assert mailing.is_for_test_inbox is begins_at_inbox
    assert len(plan.plan(NOW)) == 1

    SmtpServer.objects.update(host=after[0], port=after[1])

    assert plan.plan(NOW) == []
    mailing.refresh_from_db()
    assert mailing.waiting_reason == (plan.ONLY_REAL if begins_at_inbox else plan.ONLY_TEST_INBOX)


def test_what_is_switched_on_before_the_start_sends_it_back(
    campaign: Campaign, inbox: SmtpServer, people: dict[str, User]
) -> None:
    SmtpServer.objects.filter(pk=inbox.pk).update(is_active=False)
    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []
    SmtpServer.objects.filter(pk=inbox.pk).update(is_active=True)

    assert states.start_due_campaigns(NOW) == 0
    campaign.refresh_from_db()
    assert (campaign.status, campaign.returned_reason) == ("draft", MIXED)


def test_a_campaign_that_has_begun_keeps_its_kind(
    campaign: Campaign, server: SmtpServer, inbox: SmtpServer, people: dict[str, User]
) -> None:
    choose(campaign, server)
    mailing = start(campaign, people["marketer"])
    assert change_servers(campaign.pk, [inbox.pk], NOW) == []  # Nothing was sent yet.
    assert change_servers(campaign.pk, [server.pk], NOW) == []
    MailingOutcome.objects.create(
        mailing=mailing, server_name="Alpha", minute_at=NOW, outcome="accepted", number=1, first_at=NOW
    )

    [refused] = change_servers(campaign.pk, [inbox.pk], NOW)

    assert refused.startswith("A part of this campaign was sent already.")
    mailing.refresh_from_db()
    assert (mailing.server_ids, mailing.is_for_test_inbox) == ([server.pk], False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "0x7f000001", "LocalHost.", "[::1]"])
def test_the_test_inbox_is_known_by_every_spelling_of_this_machine(
    campaign: Campaign, server: SmtpServer, settings: Any, host: str
) -> None:
    SmtpServer.objects.update(host=host, port=settings.SANDBOX_PLAIN_PORT)
    assert is_for_test_inbox(campaign)
    SmtpServer.objects.update(host="relay.example.com")
    assert not is_for_test_inbox(campaign)
