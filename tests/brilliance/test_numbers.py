"""Numbers that no row can have, in addresses and forms: nothing is found, and nothing breaks."""

import pytest
from django.test import Client

pytestmark = pytest.mark.django_db
LARGE = "9" * 30


@pytest.mark.parametrize(
    "address",
    [
        "/admin/contacts/consentevent/?contact={}",
        "/admin/contacts/contactimport/?list={}",
        "/admin/contacts/contact/{}/change/",
        "/admin/campaigns/campaign/{}/change/",
    ],
)
def test_an_address_with_a_number_too_large_finds_nothing(admin_client: Client, address: str) -> None:
    # 400: the list has no such filter.
    assert admin_client.get(address.format(LARGE)).status_code in (200, 302, 400, 404)


def test_a_form_with_a_number_too_large_is_no_error_of_ours(admin_client: Client) -> None:
    answer = admin_client.post("/admin/contacts/contactlist/", {"action": "delete_selected", "_selected_action": LARGE})

    assert answer.status_code in (200, 302, 404)
