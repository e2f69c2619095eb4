"""The cost of Send now: its queries, the reads among them that are repeated, and the builds of the content."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from campaigns.content.build import build
from campaigns.models import Campaign, Experiment, Layout, Variant
from delivery import clock, identity
from smtpservers.models import SmtpServer
from tests.harness.forms import opened

pytestmark = pytest.mark.django_db
MOST_QUERIES = 25  # In the whole request, those for its session, its user and their second factor included.
# Tables that are read again under the lock, because somebody may have changed them during the checks.
READ_TWICE = {"campaigns_campaign", "contacts_contactlist", "campaigns_mediafile"}
# Statements that read and write nothing: the ends of transactions, and settings of PostgreSQL's planner.
NO_QUERIES = ("SAVEPOINT", "RELEASE", "BEGIN", "COMMIT", "SET LOCAL")


@pytest.fixture(autouse=True)
def identity_and_clock_checked(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each process checks the identity every 20 seconds and the clock every 5, whatever click that falls on."""
    monkeypatch.setattr(clock, "FRESH_SECONDS", float("inf"))
    clock.now()
    monkeypatch.setattr(identity, "_process", identity._Process())
    identity.check(timezone.now())


@contextmanager
def builds_counted() -> Iterator[list[str]]:
    """Collect the letters of the contents that the real function builds, whoever calls it."""
    letters: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call" and frame.f_code is build.__code__:
            letters.append(frame.f_locals["campaign"].letter)

    sys.setprofile(note)
    try:
        yield letters
    finally:
        sys.setprofile(None)


def click(client: Client, campaign: Campaign) -> tuple[list[str], list[str]]:
    """Queue a campaign after a look at its review; return the queries, and the letters of the built contents."""
    ContentType.objects.get_for_model(Campaign)  # Each process reads it once.
    asked = opened(client.get(reverse("campaigns:review", args=[campaign.pk])).content, "send_form")
    with CaptureQueriesContext(connection) as queries, builds_counted() as letters:
        client.post(reverse("campaigns:queue", args=[campaign.pk]), asked)
    campaign.refresh_from_db()
    assert campaign.status == "scheduled"
    statements = [query["sql"] for query in queries.captured_queries]
    return [each for each in statements if not each.startswith(NO_QUERIES)], letters


def test_queue_now_takes_few_queries(marketer: Client, campaign: Campaign, server: SmtpServer) -> None:
    queries, _ = click(marketer, campaign)

    assert len(queries) <= MOST_QUERIES, "\n".join(queries)


def test_the_content_is_built_once(marketer: Client, campaign: Campaign, server: SmtpServer) -> None:
    campaign.layout = Layout.objects.create(name="Ours", footer="Our footer")
    campaign.save()

    _, letters = click(marketer, campaign)

    assert letters == [""]


def test_each_variant_is_built_once(marketer: Client, campaign: Campaign, server: SmtpServer) -> None:
    experiment = Experiment.objects.create(campaign=campaign, sample_percent=100)
    Variant.objects.create(experiment=experiment, position=0)
    Variant.objects.create(experiment=experiment, position=1, subject="Snow?")

    _, letters = click(marketer, campaign)

    assert sorted(letters) == ["", "A", "B"]  # The campaign's own is checked as well.


def test_nothing_is_read_twice_but_what_may_have_changed(
    marketer: Client, campaign: Campaign, server: SmtpServer
) -> None:
    queries, _ = click(marketer, campaign)

    repeated = [re.findall(r'FROM "(\w+)"', query)[0] for query, times in Counter(queries).items() if times > 1]
    assert set(repeated) <= READ_TWICE
    assert len(repeated) <= len(READ_TWICE)


def test_the_review_page_builds_the_content_once(marketer: Client, campaign: Campaign, server: SmtpServer) -> None:
    with builds_counted() as letters:
        marketer.get(reverse("campaigns:review", args=[campaign.pk]))

    assert letters == [""]
