"""The page of one's own account: what it changes, and the zone that pages tell times in."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from accounts.models import Profile
from campaigns.models import ArchivedCampaign, ArchiveSettings, Campaign
from tests.accounts.conftest import App, signed_in
from tests.accounts.test_fresh_sign_in import asks, forms_of, grow_old
from tests.harness.browser import sign_in

PAGE = "/accounts/"
ANN = {"first_name": "Ann", "last_name": "Lee", "email": "ann@example.com", "time_zone": "America/New_York"}


def test_name_address_and_zone_are_saved_and_the_history_says_so(ann: User) -> None:
    client = signed_in()

    said = client.post(PAGE, ANN, follow=True).content.decode()

    ann.refresh_from_db()
    assert (ann.get_full_name(), ann.email) == ("Ann Lee", "ann@example.com")
    assert Profile.objects.get(user=ann).time_zone == "America/New_York"
    assert "Account saved." in said
    assert "Ann Lee" in said
    assert "Email" in LogEntry.objects.get(user=ann).get_change_message()


def test_the_page_changes_nobody_else_and_gives_no_right(ann: User) -> None:
    bob = User.objects.create_user("bob", email="bob@example.com", is_staff=True)
    more = {"id": bob.pk, "username": "root", "is_superuser": "on", "groups": [Group.objects.get(name="admin").pk]}

    signed_in().post(PAGE, {**ANN, **more})

    ann.refresh_from_db()
    bob.refresh_from_db()
    assert (ann.username, ann.is_superuser, bob.email) == ("ann", False, "bob@example.com")


def test_a_new_address_asks_for_a_fresh_sign_in_and_the_zone_does_not(ann: User) -> None:
    client = signed_in()
    grow_old(client)

    client.post(PAGE, {"email": "", "time_zone": "Asia/Tokyo"})
    asked = client.post(PAGE, ANN)

    assert Profile.objects.get(user=ann).time_zone == "Asia/Tokyo"
    assert asks(asked)
    ann.refresh_from_db()
    assert ann.email == ""
    client.post(PAGE, {**forms_of(asked)[0], "fresh_password": "correct horse battery"})
    ann.refresh_from_db()
    assert ann.email == "ann@example.com"


def test_nobody_takes_the_address_by_which_single_sign_on_would_find_a_colleague(ann: User, settings: Any) -> None:
    settings.OIDC_LINK_BY_EMAIL = True

    signed_in().post(PAGE, ANN)

    ann.refresh_from_db()
    assert (ann.first_name, ann.email) == ("Ann", "")


@pytest.mark.parametrize(("field", "value"), [("time_zone", "Mars/Olympus"), ("email", "nobody"), ("email", "a\x00b")])
def test_what_cannot_be_is_refused(ann: User, field: str, value: str) -> None:
    answer = signed_in().post(PAGE, {**ANN, field: value})

    ann.refresh_from_db()
    assert answer.status_code in (200, 400)
    assert (ann.email, Profile.objects.count()) == ("", 0)


def test_it_leads_to_password_second_factor_and_sessions(ann: User, app: App) -> None:
    client = Client()
    client.force_login(User.objects.create_user("bob", password="x", is_staff=True))

    page = client.get(PAGE).content.decode()

    for link in ("/admin/password_change/", "/accounts/factors/", "/accounts/sessions/"):
        assert f'href="{link}"' in page
    assert "None yet" in page


def test_the_user_menu_leads_to_it_from_every_page(ann: User) -> None:
    assert 'href="/accounts/"' in signed_in().get("/admin/").content.decode()


# --- the zone of pages


def test_pages_tell_times_in_the_zone_of_their_reader_and_name_it_once(ann: User, settings: Any) -> None:
    User.objects.create_user("bob", is_staff=True, last_login=dt.datetime(2025, 10, 31, 23, 30, tzinfo=dt.UTC))
    settings.TIME_ZONE = "Europe/Berlin"
    client = signed_in()
    by_site = client.get("/admin/auth/user/").content.decode()
    client.post(PAGE, ANN)

    own = client.get("/admin/auth/user/").content.decode()

    assert "1 Nov 2025, 00:30" in by_site
    assert by_site.count("Berlin time") == 1
    assert "31 Oct 2025, 19:30" in own
    assert own.count("New York time") == 1
    assert "Berlin" not in own


def test_a_request_leaves_its_zone_to_no_other(ann: User) -> None:
    client = signed_in()
    client.post(PAGE, ANN)

    client.get("/admin/")

    assert timezone.get_current_timezone() == ZoneInfo("UTC")


def test_days_in_figures_stay_those_of_the_site(ann: User) -> None:
    client = signed_in()
    client.post(PAGE, {**ANN, "time_zone": "Pacific/Kiritimati"})

    page = client.get("/reports/").content.decode()

    assert "Days in UTC" in page
    assert "Kiritimati time" in page


def test_a_zone_that_this_machine_does_not_know_is_left_alone(ann: User) -> None:
    Profile.objects.create(user=ann, time_zone="Mars/Olympus")
    client = signed_in()

    assert "Times in UTC" in client.get("/admin/").content.decode()
    assert "Mars/Olympus" in client.get(PAGE).content.decode()


def test_pages_for_strangers_keep_the_zone_of_the_site(ann: User) -> None:
    ArchiveSettings.objects.create(pk=1, is_on=True)
    sent_at = dt.datetime(2026, 10, 31, 23, 30, tzinfo=dt.UTC)
    campaign = Campaign.objects.create(name="News", subject="News", text="x")
    ArchivedCampaign.objects.create(
        campaign=campaign, slug="news", subject="News", sent_at=sent_at, published_at=sent_at
    )
    Profile.objects.create(user=ann, time_zone="Asia/Tokyo")

    assert "31 October 2026" in signed_in().get("/archive/").content.decode()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_the_zone_of_the_browser_is_proposed(live_server: object, page: Page) -> None:
    user = User.objects.create_user("ada", is_staff=True)
    sign_in(page, user)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setTimezoneOverride", {"timezoneId": "America/New_York"})

    page.goto(PAGE)
    page.get_by_role("button", name="Use America/New_York").click()
    expect(page.get_by_role("button", name="Use America/New_York")).to_be_hidden()
    page.get_by_role("button", name="Save changes").click()

    expect(page.get_by_text("New York time")).to_be_visible()
    assert Profile.objects.get(user=user).time_zone == "America/New_York"
