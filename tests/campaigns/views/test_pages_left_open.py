"""Pages of a campaign that stood open while somebody else saved: schedule, A/B test, servers, and the archive."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from campaigns.models import ArchiveSettings, Campaign, Experiment
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of
from tests.harness.forms import opened


@pytest.fixture
def admin(people: dict[str, User]) -> Client:
    return client_of(people["admin"])


def test_a_schedule_is_not_put_back(campaign: Campaign, marketer: Client) -> None:
    page, address = f"/campaigns/{campaign.pk}/review/", f"/campaigns/{campaign.pk}/schedule/"
    older = opened(marketer.get(page).content, "schedule_form")
    theirs = older | {"start": "at", "wall": "2027-05-04T09:00", "time_zone": "UTC"}
    assert marketer.post(address, theirs).status_code == 302

    refused = marketer.post(address, older | {"days": ["0"]})

    text = refused.content.decode()
    assert refused.status_code == 422
    assert "Someone else changed this schedule while you had it open, so nothing was saved." in text
    campaign.refresh_from_db()
    assert (campaign.start, campaign.start_wall, campaign.window_days) == ("at", "2027-05-04T09:00", [])
    assert marketer.post(address, opened(text, "schedule_form")).status_code == 302
    campaign.refresh_from_db()
    assert (campaign.start, campaign.start_wall, campaign.window_days) == ("at", "2027-05-04T09:00", [0])


def test_a_schedule_that_nobody_else_touched_is_saved_at_once(campaign: Campaign, marketer: Client) -> None:
    page, address = f"/campaigns/{campaign.pk}/review/", f"/campaigns/{campaign.pk}/schedule/"
    whole = {"start": "at", "wall": "2027-05-04T09:00", "time_zone": "Europe/Berlin", "days": ["0", "2"]}
    whole |= {"opens": "08:00", "closes": "17:30", "not_after": "2027-06-01T10:00"}

    for _ in range(2):
        form = opened(marketer.get(page).content, "schedule_form")
        assert marketer.post(address, form | whole).status_code == 302


def test_a_variant_that_somebody_added_is_not_taken_off(campaign: Campaign, marketer: Client) -> None:
    page = f"/campaigns/{campaign.pk}/variants/"
    older = opened(marketer.get(page).content, "variants_form")
    assert marketer.post(page, older | {"v1-subject": "Second", "v2-subject": "Third"}).status_code == 302

    refused = marketer.post(page, older | {"v1-subject": "Mine"})

    text = refused.content.decode()
    assert refused.status_code == 400
    assert "Someone else changed this variant while you had it open" in text
    test = Experiment.objects.get(campaign=campaign)
    assert [variant.subject for variant in test.variants.order_by("position")] == ["", "Second", "Third"]
    again = opened(text, "variants_form")
    assert (again["v1-subject"], again["v2-subject"]) == ("Mine", "Third")
    assert marketer.post(page, again).status_code == 302
    test = Experiment.objects.get(campaign=campaign)
    assert [variant.subject for variant in test.variants.order_by("position")] == ["", "Mine", "Third"]


def test_the_servers_of_a_running_campaign_are_not_put_back(
    campaign: Campaign, server: SmtpServer, admin: Client
) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(status=Campaign.Status.SCHEDULED)
    page = f"/campaigns/{campaign.pk}/servers/"
    older: dict[str, Any] = opened(admin.get(page).content, "servers_form")
    assert admin.post(page, older | {"servers": [str(server.pk)]}).status_code == 302

    refused = admin.post(page, older)

    assert "Someone else changed the servers" in refused.content.decode()
    campaign.refresh_from_db()
    assert campaign.server_ids == [server.pk]
    assert admin.post(page, opened(admin.get(page).content, "servers_form")).status_code == 302


def test_the_settings_of_the_archive_are_not_put_back(admin: Client) -> None:
    page = "/campaigns/archive/"
    older = opened(admin.get(page).content, "archive_form")
    assert admin.post(page, older | {"title": "Theirs", "is_on": "on"}).status_code == 302

    refused = admin.post(page, older | {"description": "Mine"})

    assert "Someone else changed this" in refused.content.decode()
    archive = ArchiveSettings.objects.get()
    assert (archive.title, archive.description, archive.is_on) == ("Theirs", "", True)
    assert admin.post(page, opened(refused.content, "archive_form")).status_code == 302
    archive.refresh_from_db()
    assert (archive.title, archive.description, archive.is_on) == ("Theirs", "Mine", True)
