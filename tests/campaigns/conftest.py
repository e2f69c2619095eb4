"""People, a list, a server and campaigns for the pages' tests."""

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from brilliance.roles import make_roles
from campaigns.models import Campaign
from contacts.models import Contact, ContactList, Subscription
from smtpservers.models import SmtpServer


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
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def marketer(people: dict[str, User]) -> Client:
    return client_of(people["marketer"])


@pytest.fixture
def server(db: None) -> SmtpServer:
    return SmtpServer.objects.create(
        name="Alpha",
        host="localhost",
        port=2525,
        use_tls=False,
        mail_from="Shop <news@example.com>",
        utm_source="news",
        utm_campaign="{{campaign.slug}}-{{date}}",
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
