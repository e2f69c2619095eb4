"""The UTM fields of a campaign: what servers suggest, and what may not stand in a web address."""

import pytest
from django.contrib.auth.models import User
from django.urls import reverse

from campaigns.models import Campaign
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of

pytestmark = pytest.mark.django_db


def test_a_server_that_does_not_always_use_its_term_suggests_it(
    campaign: Campaign, people: dict[str, User], server: SmtpServer
) -> None:
    SmtpServer.objects.update(utm_term="<i>shoes</i>", utm_content="footer", always_utm_content=True)
    address = reverse("admin:campaigns_campaign_change", args=[campaign.pk])

    page = client_of(people["marketer"]).get(address).content.decode()

    assert '<option value="&lt;i&gt;shoes&lt;/i&gt;"></option>' in page
    assert "Your servers suggest: &lt;i&gt;shoes&lt;/i&gt;." in page
    assert 'list="utm_term-suggestions"' in page
    assert "utm_content-suggestions" not in page  # Always used: nothing to suggest.


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{{ email }}", "would put personal data into web addresses"),
        ("{{ city }}", "known here"),
        ("{{campaign.slug", "A merge tag is incomplete"),
    ],
)
def test_a_utm_value_names_no_person(campaign: Campaign, people: dict[str, User], value: str, message: str) -> None:
    address = reverse("admin:campaigns_campaign_change", args=[campaign.pk])
    fields = {"name": campaign.name, "subject": campaign.subject, "html": campaign.html, "utm_campaign": value}

    response = client_of(people["marketer"]).post(address, fields)

    assert message in response.content.decode()
    campaign.refresh_from_db()
    assert campaign.utm_campaign != value
