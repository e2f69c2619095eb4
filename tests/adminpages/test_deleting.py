"""What is still needed is not deleted, and the page says so in plain words: for one row and for many."""

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign, Layout
from contacts.models import ContactList

pytestmark = pytest.mark.django_db


def test_the_page_of_one_row_says_what_still_needs_it(admin_client: Client) -> None:
    layout = Layout.objects.create(name="<b>House</b>")
    Campaign.objects.create(name="Winter", subject="Winter", text="x", layout=layout)

    page = admin_client.get(reverse("admin:campaigns_layout_delete", args=[layout.pk])).content.decode()

    assert "“&lt;b&gt;House&lt;/b&gt;” can’t be deleted" in page
    assert "The following still needs it:" in page
    assert "Winter" in page
    assert "protected related objects" not in page
    assert 'name="post"' not in page


def test_the_page_of_many_rows_does_too(admin_client: Client) -> None:
    contact_list = ContactList.objects.create(name="Readers")
    campaign = Campaign.objects.create(name="Winter", subject="Winter", text="x")
    campaign.lists.add(contact_list)
    chosen = {"action": "delete_selected", "_selected_action": [contact_list.pk]}

    page = admin_client.post(reverse("admin:contacts_contactlist_changelist"), chosen).content.decode()

    assert "The following still needs them:" in page
    assert "Winter" in page
    assert "protected related objects" not in page
    assert 'name="post"' not in page


def test_what_nothing_needs_is_deleted_as_before(admin_client: Client) -> None:
    layout = Layout.objects.create(name="House")
    page = reverse("admin:campaigns_layout_delete", args=[layout.pk])

    assert 'name="post"' in admin_client.get(page).content.decode()
    admin_client.post(page, {"post": "yes"})

    assert not Layout.objects.exists()
