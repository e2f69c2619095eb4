"""Copies of a campaign: asked about where they would be many, and left out where they are unticked."""

import datetime as dt

import pytest
from django.contrib.auth.models import User

from campaigns.lifecycle import states
from campaigns.models import Campaign
from campaigns.preflight.refusals import refusals
from contacts.models import Contact, Subscription
from delivery.models import Mailing
from mail.addresses import fold
from smtpservers.models import SmtpServer

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)


def add_people(campaign: Campaign, number: int) -> None:
    addresses = [f"reader{position}@customer.example" for position in range(number)]
    people = Contact.objects.bulk_create(Contact(email=address, email_key=fold(address)) for address in addresses)
    (audience,) = campaign.lists.all()
    Subscription.objects.bulk_create(
        Subscription(contact=person, list=audience, status="subscribed") for person in people
    )


def test_many_copies_must_be_meant(campaign: Campaign, server: SmtpServer) -> None:
    SmtpServer.objects.update(mail_cc="boss@shop.example", mail_bcc="archive@shop.example")
    assert refusals(campaign, NOW) == []
    add_people(campaign, 60)

    (refusal,) = refusals(campaign, NOW)

    assert refusal.startswith("The CC and BCC addresses of ")
    assert "copies, which count towards the quota" in refusal
    campaign.confirms_copies = True
    assert refusals(campaign, NOW) == []
    campaign.confirms_copies, campaign.sends_copies = False, False
    assert refusals(campaign, NOW) == []


def test_unticked_copies_are_frozen_into_the_mailing(
    campaign: Campaign, people: dict[str, User], server: SmtpServer
) -> None:
    Campaign.objects.update(sends_copies=False)

    assert states.queue_campaign(campaign.pk, people["marketer"], NOW) == []
    states.start_due_campaigns(NOW)

    assert Mailing.objects.get().sends_copies is False
