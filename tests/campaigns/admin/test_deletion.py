"""What a campaign still needs cannot be deleted without a word: on its own page, and where many are chosen at once."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from campaigns.content import media_library
from campaigns.models import Campaign, Layout, MediaFile
from contacts.models import ContactList, Segment
from smtpservers.models import Route, SmtpServer
from tests.campaigns.conftest import client_of
from tests.harness.files import pdf

Status = Campaign.Status
OVER = (Status.FINISHED, Status.CANCELLED)


@pytest.fixture
def admin(people: dict[str, User]) -> Client:
    return client_of(people["admin"])


def delete(client: Client, row: Model) -> str:
    page = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_delete", args=[row.pk])
    return client.post(page, {"post": "yes"}, follow=True).content.decode()


def delete_in_list(client: Client, *rows: Model) -> str:
    page = reverse(f"admin:{rows[0]._meta.app_label}_{rows[0]._meta.model_name}_changelist")
    chosen: dict[str, Any] = {"action": "delete_selected", "post": "yes", "_selected_action": [row.pk for row in rows]}
    return client.post(page, chosen, follow=True).content.decode()


@pytest.mark.parametrize("status", Campaign.UNFINISHED)
@pytest.mark.parametrize("how", [delete, delete_in_list])
def test_a_list_that_a_campaign_is_sent_to_stays(
    how: Any, status: str, admin: Client, campaign: Campaign, news: ContactList
) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(status=status)

    page = how(admin, news)

    assert "the campaign “Winter sale”" in page
    assert ContactList.objects.filter(pk=news.pk).exists()


def test_one_list_in_use_keeps_all_that_were_chosen_with_it(
    admin: Client, campaign: Campaign, news: ContactList
) -> None:
    other = ContactList.objects.create(name="Other")

    assert "the campaign “Winter sale”" in delete_in_list(admin, other, news)

    assert ContactList.objects.count() == 2


@pytest.mark.parametrize("status", OVER)
def test_a_list_of_a_campaign_that_is_over_goes(
    status: str, admin: Client, campaign: Campaign, news: ContactList
) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(status=status)

    delete(admin, news)

    assert not ContactList.objects.exists()


@pytest.mark.parametrize("choice", ["segments", "excluded_segments"])
@pytest.mark.parametrize("status", Campaign.UNFINISHED)
def test_a_segment_of_a_campaign_on_its_way_stays(
    status: str, choice: str, admin: Client, campaign: Campaign, news: ContactList
) -> None:
    segment = Segment.objects.create(name="Staff")
    Campaign.objects.filter(pk=campaign.pk).update(status=status, audience={choice: [segment.pk]})

    assert "the campaign “Winter sale”" in delete(admin, segment)

    assert Segment.objects.exists()


@pytest.mark.parametrize("how", [delete, delete_in_list])
def test_a_server_that_a_campaign_or_a_rule_names_stays(
    how: Any, admin: Client, campaign: Campaign, server: SmtpServer
) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(server_ids=[server.pk], status=Status.SENDING)
    route = Route.objects.create(name="Gmail", server_ids=[server.pk])

    page = how(admin, server)

    assert "the campaign “Winter sale”" in page
    assert "the routing rule “Gmail”" in page
    route.delete()
    Campaign.objects.update(status=Status.FINISHED)
    how(admin, server)
    assert not SmtpServer.objects.exists()


def test_a_layout_and_a_file_that_a_campaign_has_stay(admin: Client, campaign: Campaign) -> None:
    layout = Layout.objects.create(name="House")
    file = media_library.store(pdf(), "prices.pdf", "", None)
    campaign.attachments.add(file)
    Campaign.objects.filter(pk=campaign.pk).update(layout=layout)

    assert "Winter sale" in delete(admin, layout)
    assert "the campaign “Winter sale”" in delete(admin, file)

    assert Layout.objects.exists()
    assert MediaFile.objects.exists()


@pytest.mark.parametrize(
    ("status", "gone", "kept"),
    [
        ("draft", "The draft with its content, A/B test, approvals and notes", "Contacts, lists, segments"),
        (
            "finished",
            "The campaign with its content, report, approvals and overrides",
            "Sent messages and their status",
        ),
    ],
)
def test_the_question_says_what_is_deleted_and_what_stays(
    admin: Client, campaign: Campaign, status: str, gone: str, kept: str
) -> None:
    Campaign.objects.update(status=status)
    url = reverse("admin:campaigns_campaign_delete", args=[campaign.pk])

    page = admin.get(url).content.decode()

    assert "Delete “Winter sale”?" in page
    assert gone in page.partition("This is kept:")[0]
    assert kept in page.partition("This is kept:")[2]
    assert "Campaign_lists object" not in page
    admin.post(url, {"post": "yes"})
    assert not Campaign.objects.exists()
