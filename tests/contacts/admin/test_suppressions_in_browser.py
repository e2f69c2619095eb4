"""Suppressions, lists and consents in a real browser: lifting by a dialog, and every page on a telephone."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from contacts.consent import changes
from contacts.models import Contact, ContactList, Suppression, SuppressionLift
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def stopped(ann: Contact, marketer: User) -> None:
    """An address, a domain, one that is over and one that was lifted."""
    now = timezone.now()
    changes.suppress("gone@example.org", "hard_bounce", "550 5.1.1 <gone@example.org>: no such user here", now)
    changes.suppress("@rival.example", "manual", "admin: mia – asked by their lawyer", now, until=now + dt.timedelta(9))
    changes.suppress("old@example.org", "manual", "", now, until=now - dt.timedelta(days=1))
    changes.suppress("back@example.org", "complaint", "feedback loop", now)
    changes.lift(Suppression.objects.get(email="back@example.org"), "She wrote that it was a mistake.", marketer, now)
    club = ContactList.objects.create(name="Club", is_public=True, consent_text="Yes, write to me about the club.")
    changes.request_subscription(ann, club, source="form of Club", now=now, wording="Yes.", network="192.0.2.7")


def test_a_suppression_is_added_and_lifted_with_the_keyboard(
    live_server: LiveServer, page: Page, marketer: User, stopped: None
) -> None:
    sign_in(page, marketer)

    page.goto("/admin/contacts/suppression/add/")
    page.get_by_label("Address or domain").fill("third.example")
    page.keyboard.press("Enter")
    expect(page.get_by_text("@third.example is suppressed. 0 contacts have an address there.")).to_be_visible()
    page.get_by_role("link", name="@third.example").first.click()
    page.get_by_role("link", name="Lift").click()
    page.locator("#id_why").fill("A mistake.")
    page.get_by_role("button", name="Lift").press("Enter")

    expect(page.get_by_text("@third.example is no longer suppressed.")).to_be_visible()
    assert SuppressionLift.objects.filter(email="@third.example", why="A mistake.").exists()

    page.get_by_role("row", name="gone@example.org").get_by_role("checkbox").check()
    page.get_by_role("row", name="old@example.org").get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option("lift_chosen")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_text("Mail to dead mailboxes")).to_be_visible()
    page.locator("#id_why").fill("They work again.")
    page.get_by_role("button", name="Lift").click()
    expect(page.get_by_text("2 suppressions lifted.")).to_be_visible()
    assert Suppression.objects.get().email == "@rival.example"


def test_the_pages_fit_a_telephone(live_server: LiveServer, page: Page, marketer: User, stopped: None) -> None:
    sign_in(page, marketer)
    page.set_viewport_size({"width": 390, "height": 844})
    suppression, club = Suppression.objects.latest("pk").pk, ContactList.objects.get().pk

    for path in (
        *("suppression/", "suppression/add/", "suppression/import/", "suppression/export/"),
        *(f"suppression/{suppression}/change/", f"suppression/{suppression}/lift/", "suppressionlift/"),
        *("consentevent/", "contactlist/", f"contactlist/{club}/change/", f"contactlist/{club}/consents/"),
    ):
        page.goto(f"/admin/contacts/{path}")
        assert sideways_scroll(page) == 0, f"{path} is too wide"
