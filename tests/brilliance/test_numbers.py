"""Numbers that no row can have, in addresses and forms: nothing is found, and nothing breaks."""

import pytest
from django.conf import settings
from django.test import Client

from contacts.models import Contact, ContactList

pytestmark = pytest.mark.django_db
LARGE = "9" * 30


@pytest.mark.parametrize(
    "address",
    [
        "/admin/contacts/contact/?list={}",
        "/admin/contacts/contact/?id__exact={}",
        "/admin/contacts/consentevent/?list__id__exact={}",
        "/messages/?server={}",
        "/reports/?server={}",
    ],
)
def test_a_filter_by_a_number_too_large_finds_nothing(admin_client: Client, address: str) -> None:
    ContactList.objects.create(name="Shop")  # Without one there is no filter by list.
    Contact.objects.create(email="person77@example.org")

    answer = admin_client.get(address.format(LARGE))

    assert answer.status_code == 200
    assert "person77@example.org" not in answer.content.decode()


@pytest.mark.parametrize(
    "address", ["/admin/contacts/consentevent/?contact={}", "/admin/contacts/contactimport/?list={}"]
)
def test_a_filter_that_a_list_does_not_have_is_refused_whatever_its_number(admin_client: Client, address: str) -> None:
    assert admin_client.get(address.format(LARGE)).status_code == 400


@pytest.mark.parametrize("address", ["/admin/contacts/contact/{}/change/", "/admin/campaigns/campaign/{}/change/"])
def test_the_form_of_a_row_with_a_number_too_large_leads_to_the_first_page(admin_client: Client, address: str) -> None:
    answer = admin_client.get(address.format(LARGE))

    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


def test_a_page_of_a_row_with_a_number_too_large_does_not_exist(admin_client: Client) -> None:
    assert admin_client.get(f"/campaigns/{LARGE}/").status_code == 404


def test_a_form_with_a_number_too_large_is_no_error_of_ours(admin_client: Client) -> None:
    shop = ContactList.objects.create(name="Shop")

    answer = admin_client.post(
        "/admin/contacts/contactlist/", {"action": "delete_selected", "_selected_action": LARGE, "post": "yes"}
    )

    # PostgreSQL looks for the number and finds no row; SQLite refuses to look.
    assert answer.status_code == (404 if settings.IS_SQLITE else 302)
    assert ContactList.objects.filter(pk=shop.pk).exists()
