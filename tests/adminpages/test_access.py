"""Who may open a page that is a function, and where signing in leads to afterwards."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign

pytestmark = pytest.mark.django_db


@pytest.fixture
def campaign() -> Campaign:
    return Campaign.objects.create(name="Winter")


def way_back(url: str) -> str:
    parts = urlsplit(url)
    assert parts.path == reverse("account_login")
    return parse_qs(parts.query)["next"][0]


def test_a_page_is_opened_after_signing_in(campaign: Campaign) -> None:
    page = reverse("campaigns:progress", args=[campaign.pk]) + "?page=2"

    assert way_back(Client().get(page)["Location"]) == page


@pytest.mark.parametrize(
    ("referer", "expected"),
    [
        ("http://testserver/campaigns/5/", "http://testserver/campaigns/5/"),
        ("https://evil.example/campaigns/5/", "/admin/"),
        ("javascript:alert(1)", "/admin/"),
        ("", "/admin/"),
    ],
)
def test_a_button_leads_back_to_its_page_because_its_own_address_takes_no_get(
    campaign: Campaign, referer: str, expected: str
) -> None:
    button = reverse("campaigns:duplicate", args=[campaign.pk])

    answer = Client().post(button, headers={"referer": referer} if referer else {})

    assert way_back(answer["Location"]) == expected
    assert Campaign.objects.count() == 1
