"""The worker's hand for campaigns: it works when rung, and a missing broker stops nobody."""

import datetime as dt
import logging

import pytest
from celery import current_app
from django.conf import settings as conf
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone

from campaigns import tasks
from campaigns.lifecycle import states
from campaigns.models import Campaign
from delivery import hints
from delivery.models import Mailing
from smtpservers.models import SmtpServer
from tests.campaigns.conftest import client_of


def test_beat_knows_the_task_by_its_name() -> None:
    assert conf.CELERY_BEAT_SCHEDULE["start-due-campaigns"]["task"] in current_app.tasks


@pytest.mark.django_db
def test_one_tick_starts_what_is_due_and_the_next_closes_what_is_done(
    campaign: Campaign, people: dict[str, User]
) -> None:
    states.queue_campaign(campaign.pk, people["marketer"], timezone.now() - dt.timedelta(seconds=1))

    tasks.start_due_campaigns()
    campaign.refresh_from_db()
    assert campaign.status == "sending"

    Mailing.objects.update(finished_at=timezone.now())
    tasks.start_due_campaigns()
    campaign.refresh_from_db()
    assert campaign.status == "finished"


@pytest.mark.django_db
def test_a_start_wakes_the_sending_worker_at_once(campaign: Campaign, people: dict[str, User]) -> None:
    states.queue_campaign(campaign.pk, people["marketer"], timezone.now() - dt.timedelta(seconds=1))
    before = hints.waiting("deliver")

    tasks.start_due_campaigns()
    tasks.start_due_campaigns()

    assert hints.waiting("deliver") == before + 1


def test_without_a_broker_the_click_still_counts(settings, caplog) -> None:
    settings.BROKER_URL = "redis://127.0.0.1:1/0"  # Nobody listens there.
    with caplog.at_level(logging.WARNING, logger="delivery.hints"):
        tasks.ring()

    assert "will notice by itself" in caplog.text


@pytest.mark.django_db
def test_a_campaign_that_the_sending_paused_can_be_resumed(
    campaign: Campaign, people: dict[str, User], server: SmtpServer
) -> None:
    assert states.queue_campaign(campaign.pk, people["marketer"], timezone.now()) == []
    tasks.start_due_campaigns()
    Mailing.objects.update(state="paused", waiting_reason="The sender was refused: 550 5.7.26 Mend it, then resume.")

    tasks.start_due_campaigns()

    campaign.refresh_from_db()
    assert campaign.status == "paused"
    page = client_of(people["marketer"]).get(reverse("campaigns:progress", args=[campaign.pk])).content.decode()
    assert "The sender was refused: 550 5.7.26 Mend it, then resume." in page
    assert reverse("campaigns:resume", args=[campaign.pk]) in page
    assert states.resume(campaign.pk)
    assert Mailing.objects.get().state == "open"
