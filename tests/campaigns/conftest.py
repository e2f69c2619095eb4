"""People, a list, a server and campaigns for the pages' tests."""

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from brilliance.roles import make_roles
from campaigns.models import Campaign
from contacts.models import Contact, ContactList, Subscription
from delivery.models import WorkerReport, WorkerSeen
from smtpservers.models import SmtpServer
from tests.campaigns import gate


@pytest.fixture
def people(db: None) -> dict[str, User]:
    """One user of every role; the groups are made by a migration."""
    if not Group.objects.filter(name="marketer").exists():  # A transactional test before this one emptied the tables.
        from django.apps import apps

        make_roles(apps, "default")
    users = {}
    for role in ("admin", "marketer", "ops", "viewer"):
        users[role] = User.objects.create_user(role, f"{role}@example.com", is_staff=True)
        users[role].groups.add(Group.objects.get(name=role))
    return users


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def marketer(people: dict[str, User]) -> Client:
    return client_of(people["marketer"])


@pytest.fixture
def server(db: None) -> SmtpServer:
    return SmtpServer.objects.create(
        name="Alpha",
        host="localhost",
        port=2600,  # None of the test inbox.
        use_tls=False,
        mail_from="Shop <news@example.com>",
        utm_source="news",
        utm_campaign="{{campaign.slug}}-{{date}}",
        handles_email_validation=True,  # All addresses here are at reserved domains.
    )


@pytest.fixture
def news(db: None) -> ContactList:
    contact_list = ContactList.objects.create(name="News")
    for name in ("Ann", "Bea", "Cleo"):
        contact = Contact.objects.create(email=f"{name.lower()}@example.com", first_name=name)
        Subscription.objects.create(contact=contact, list=contact_list)
    return contact_list


@pytest.fixture
def campaign(news: ContactList) -> Campaign:
    campaign = Campaign.objects.create(
        name="Winter sale",
        subject="Hello {{ first_name }}",
        html='<p>Snow, {{ first_name }}! <a href="https://example.com/sale">Sale</a></p><script>alert(1)</script>',
    )
    campaign.lists.set([news])
    return campaign


@pytest.fixture
def relay(db: None) -> SmtpServer:
    """A server that leads to real mailboxes."""
    return SmtpServer.objects.create(
        name="Relay",
        host="smtp.relay-company.net",
        mail_from=f"Shop <news@{gate.AUTHOR}>",
        return_path=f"bounces@{gate.ENVELOPE}",
        use_return_path=True,
        use_abuse_address=True,
        abuse_address=f"abuse@{gate.AUTHOR}",
        handles_email_validation=True,
        tested_at=gate.NOW,
    )


@pytest.fixture
def relayed(campaign: Campaign, relay: SmtpServer) -> Campaign:
    """A campaign to real mailboxes, with good findings about its domain and its server."""
    campaign.html, campaign.subject = "<p>Snow!</p>", "Snow"
    campaign.save()
    gate.know_all()
    gate.tried(relay)
    return campaign


def seen(ago: float = 0, **fields: Any) -> dt.datetime:
    """Let a worker for everything have been seen and at work so many seconds ago."""
    at = timezone.now() - dt.timedelta(seconds=ago)
    for queue in ("deliver", "errands"):
        WorkerSeen.objects.update_or_create(name=f"{queue} here process 2", defaults={"seen_at": at})
    said = {"host": "mail-1", "queues": "deliver errands", "drift": dt.timedelta(), "step": dt.timedelta()}
    WorkerReport.objects.update_or_create(name="here", defaults={"seen_at": at, **said, **fields})
    return at
