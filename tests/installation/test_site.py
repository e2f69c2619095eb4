"""Which value holds: the saved one, or that of the environment; and who sees a change, and when."""

import time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction

from installation import site as module
from installation.models import SiteSettings
from installation.site import site
from tests.harness.children import in_child

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("saved_settings")]


def test_the_environment_holds_until_something_is_saved(settings: Any) -> None:
    settings.ORGANISATION_NAME, settings.SITE_LANGUAGE, settings.TIME_ZONE = "Env Ltd", "de", "Asia/Tokyo"

    assert (site().organisation, site().language, site().time_zone) == ("Env Ltd", "de", ZoneInfo("Asia/Tokyo"))
    assert site().alert_address == ""


def test_a_saved_value_wins_and_an_empty_one_goes_back(settings: Any) -> None:
    settings.ORGANISATION_NAME, settings.POSTAL_ADDRESS = "Env Ltd", "1 Env Street"
    saved = SiteSettings.objects.create(organisation="Saved Ltd", time_zone="Europe/Berlin")
    assert (site().organisation, site().postal_address) == ("Saved Ltd", "1 Env Street")
    assert str(site().time_zone) == "Europe/Berlin"

    saved.organisation = ""
    saved.save()

    assert site().organisation == "Env Ltd"


def test_a_zone_that_this_machine_does_not_know_leaves_that_of_the_environment(settings: Any) -> None:
    settings.TIME_ZONE = "Asia/Tokyo"
    SiteSettings.objects.create(time_zone="Moon/Tycho")

    assert str(site().time_zone) == "Asia/Tokyo"


def test_one_query_every_few_seconds(monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any) -> None:
    now = time.monotonic()
    monkeypatch.setattr("installation.site.time.monotonic", lambda: now)
    with django_assert_num_queries(1):
        site()
        site()
    SiteSettings.objects.update_or_create(pk=1)  # Here: at once.
    with django_assert_num_queries(1):
        site()


def test_another_process_s_change_is_seen_within_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr("installation.site.time.monotonic", lambda: now)
    SiteSettings.objects.create(organisation="Before")
    assert site().organisation == "Before"

    SiteSettings.objects.update(organisation="After")  # Without a signal, as another process does it.
    assert site().organisation == "Before"
    monkeypatch.setattr("installation.site.time.monotonic", lambda: now + 5)

    assert site().organisation == "After"


@pytest.mark.django_db(transaction=True)
def test_a_reader_during_the_change_does_not_keep_the_old_value() -> None:
    SiteSettings.objects.create(organisation="Before")
    with transaction.atomic():
        SiteSettings.objects.get().delete()
        module._known = (
            module.Site("Before", "", ZoneInfo("UTC"), "en", "", "off", ()),
            time.monotonic() + 4,
        )  # Another thread.

    assert site().organisation != "Before"


@pytest.mark.django_db(transaction=True)
def test_a_process_that_starts_sees_what_is_saved() -> None:
    SiteSettings.objects.create(organisation="Saved Ltd", alert_address="ops@example.com")

    assert in_child(lambda: print(site().organisation, site().alert_address)).strip() == "Saved Ltd ops@example.com"


@pytest.mark.parametrize(
    ("environment", "saved", "holds"),
    [("", "", "off"), ("anonymous", "", "anonymous"), ("anonymous", "off", "off"), ("", "personal", "personal")],
)
def test_nothing_is_counted_until_somebody_decides(settings: Any, environment: str, saved: str, holds: str) -> None:
    settings.TRACKING_LEVEL = environment
    SiteSettings.objects.create(tracking=saved)

    assert site().tracking == holds
