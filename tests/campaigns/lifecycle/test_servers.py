"""A campaign that names its servers."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from campaigns.lifecycle import states
from campaigns.lifecycle.servers import users_of_servers
from campaigns.models import Campaign
from campaigns.preflight.refusals import refusals
from contacts.models import Contact, ContactList, Subscription
from delivery.models import Mailing
from delivery.outbox import plan
from smtpservers.models import Route, SmtpServer
from tests.campaigns.views.test_pages import FORM

NOW = dt.datetime(2026, 11, 30, 12, 0, tzinfo=dt.UTC)


@pytest.fixture
def beta(server: SmtpServer) -> SmtpServer:
    return SmtpServer.objects.create(
        name="Beta", host="localhost", mail_from="Shop <news@other.example>", handles_email_validation=True
    )


def start(campaign: Campaign, actor: User) -> Mailing:
    assert states.queue_campaign(campaign.pk, actor, NOW) == []
    assert states.start_due_campaigns(NOW) == 1
    return Mailing.objects.get()


def test_what_was_ticked_is_saved_frozen_and_planned(
    marketer: Client, news: ContactList, server: SmtpServer, beta: SmtpServer, people: dict[str, User]
) -> None:
    marketer.post("/admin/campaigns/campaign/add/", {**FORM, "lists": [news.pk], "servers": [beta.pk]})
    campaign = Campaign.objects.get()
    page = marketer.get(f"/admin/campaigns/campaign/{campaign.pk}/change/")

    mailing = start(campaign, people["marketer"])
    Campaign.objects.update(server_ids=[server.pk])  # Too late.
    [work] = plan.plan(NOW)
    progress = marketer.get(f"/campaigns/{campaign.pk}/").content.decode()
    queued = marketer.get(f"/admin/campaigns/campaign/{campaign.pk}/change/").content.decode()

    assert page.context["adminform"].form["servers"].value() == [beta.pk]
    assert mailing.server_ids == [beta.pk]
    assert (work.server_id, work.shares[0].reason) == (
        beta.pk,
        "Beta is first in the display order among the campaign's servers.",
    )
    assert "Limited to Beta, within the routing rules." in progress
    assert "Alpha" in queued  # What the campaign itself holds now.


def test_a_deleted_server_never_turns_into_all_of_them(
    marketer: Client, campaign: Campaign, server: SmtpServer, beta: SmtpServer, people: dict[str, User]
) -> None:
    Campaign.objects.update(server_ids=[beta.pk])
    campaign.refresh_from_db()
    mailing = start(campaign, people["marketer"])
    draft = states.duplicate(campaign.pk)

    gone = beta.pk
    beta.delete()

    assert plan.plan(NOW) == []
    mailing.refresh_from_db()
    assert mailing.waiting_reason == (
        "All servers of this campaign were deleted. Duplicate the campaign and choose others."
    )
    assert draft.server_ids == [gone]
    assert refusals(draft, NOW)[0].startswith("None of the chosen servers is active.")
    page = marketer.get(f"/admin/campaigns/campaign/{draft.pk}/change/").content.decode()
    assert "A server that has been deleted" in page


def test_the_last_servers_to_the_test_inbox_are_kept_while_mail_for_it_is_on_its_way(
    campaign: Campaign, server: SmtpServer, beta: SmtpServer, people: dict[str, User], settings: Any
) -> None:
    settings.SANDBOX_ENABLED = True
    SmtpServer.objects.filter(pk__in=[server.pk, beta.pk]).update(port=settings.SANDBOX_PLAIN_PORT)
    mailing = start(campaign, people["marketer"])
    assert (mailing.server_ids, mailing.is_for_test_inbox) == ([], True)

    assert users_of_servers([beta.pk]) == []
    assert users_of_servers([server.pk, beta.pk]) == [f"the campaign “{campaign}”"]
    Mailing.objects.filter(pk=mailing.pk).update(finished_at=NOW)
    assert users_of_servers([server.pk, beta.pk]) == []


def test_a_sender_that_only_another_server_may_use_is_refused(campaign: Campaign, beta: SmtpServer) -> None:
    campaign.mail_from, campaign.server_ids = "Shop <news@example.com>", [beta.pk]

    assert refusals(campaign, NOW) == [
        "None of the chosen servers sends for example.com. Leave the From address empty to use each"
        " server's own, or ask an administrator for a server."
    ]


def test_a_server_sends_for_its_own_from_also_where_its_domain_name_is_another(
    campaign: Campaign, server: SmtpServer
) -> None:
    SmtpServer.objects.update(mail_from="News <news@shop.wiretest.example>", domain_name="mx.wiretest.example")
    campaign.mail_from = "News <news@shop.wiretest.example>"

    assert refusals(campaign, NOW) == []


@pytest.mark.parametrize(
    ("changes", "is_asked"),
    [
        ({"server_ids": ["alpha"]}, False),
        ({"server_ids": ["beta"]}, True),
        ({}, True),
        ({"mail_from": "Shop <sale@example.com>"}, False),  # Beta does not send for it.
    ],
)
def test_only_copies_of_the_servers_that_may_send_it_are_asked_about(
    campaign: Campaign, server: SmtpServer, beta: SmtpServer, changes: dict[str, object], is_asked: bool
) -> None:
    SmtpServer.objects.filter(pk=beta.pk).update(mail_bcc=",".join(f"copy{n}@other.example" for n in range(10)))
    for number in range(11):
        contact = Contact.objects.create(email=f"more{number}@example.com")
        Subscription.objects.create(contact=contact, list=campaign.lists.get(), status="subscribed")
    for name, value in changes.items():
        known = {"alpha": server.pk, "beta": beta.pk}
        setattr(campaign, name, [known[each] for each in value] if isinstance(value, list) else value)

    why = refusals(campaign, NOW)

    assert len(why) == is_asked, why
    assert not is_asked or "The CC and BCC addresses of Beta" in why[0]


def test_a_rule_that_allows_none_of_the_chosen_servers_is_named(
    campaign: Campaign, server: SmtpServer, beta: SmtpServer
) -> None:
    Route.objects.create(name="Gmail", recipient_domains="gmail.com", server_ids=[server.pk])
    campaign.server_ids = [beta.pk]

    [why] = refusals(campaign, NOW)

    assert why.startswith("The routing rule “Gmail” allows none of the chosen servers for some recipients.")
    campaign.server_ids = [beta.pk, server.pk]
    assert refusals(campaign, NOW) == []


def test_a_server_that_is_none_cannot_be_ticked(marketer: Client, news: ContactList, server: SmtpServer) -> None:
    page = marketer.post("/admin/campaigns/campaign/add/", {**FORM, "lists": [news.pk], "servers": [server.pk + 7]})

    assert "servers" in page.context["adminform"].form.errors
    assert not Campaign.objects.exists()
