"""The pages about people in a real browser: the import that shows how far it is, and the rows of attributes."""

import datetime as dt
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from contacts.models import Contact, ContactImport, ContactList, Subscription
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    monkeypatch.setattr("contacts.tasks.ring", lambda import_id: None)  # The tests are the worker.


def test_attributes_and_lists_are_edited_without_writing_any_code(
    live_server: LiveServer, page: Page, marketer: User, ann: Contact
) -> None:
    news = ContactList.objects.create(name="News")
    Contact.objects.update(attributes={"city": "Bonn", "plan": "free"})
    sign_in(page, marketer)

    page.goto(f"/admin/contacts/contact/{ann.pk}/change/")
    names = page.get_by_label("Attribute name")
    expect(names).to_have_count(4)
    page.get_by_role("button", name="Remove attribute").nth(1).click()
    page.get_by_role("button", name="Add attribute").click()
    expect(names.last).to_be_focused()
    page.keyboard.type("shoe_size")
    page.keyboard.press("Tab")
    page.keyboard.type("38")
    page.locator(".select2-search__field").click()
    page.get_by_role("option", name="News").click()
    page.get_by_role("button", name="Save", exact=True).click()

    page.wait_for_url("**/admin/contacts/contact/")
    ann.refresh_from_db()
    assert ann.attributes == {"city": "Bonn", "shoe_size": "38"}
    subscription = Subscription.objects.get()
    assert (subscription.list_id, subscription.source) == (news.pk, "admin: mia")


def test_an_export_arrives_as_a_file(live_server: LiveServer, page: Page, marketer: User, ann: Contact) -> None:
    sign_in(page, marketer)

    page.goto("/admin/contacts/contact/")
    page.locator("a[href$='/contact/export/']").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export as CSV").click()

    assert "Ann@example.org" in Path(download.value.path()).read_text()


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_needs_sideways_scrolling(
    live_server: LiveServer, page: Page, marketer: User, ann: Contact, width: int
) -> None:
    ContactList.objects.create(name="A list with a rather long name, as people like to give")
    contact_import = ContactImport.objects.create(file_name="x" * 120 + ".csv", stored_name="x")
    sign_in(page, marketer)
    page.set_viewport_size({"width": width, "height": 844})

    for path in (
        "contact/",
        "contact/add/",
        f"contact/{ann.pk}/change/",
        "contact/export/",
        "contactlist/",
        "suppression/",
        "suppression/add/",
        "contactimport/",
        "contactimport/add/",
        f"contactimport/{contact_import.pk}/change/",
    ):
        page.goto(f"/admin/contacts/{path}")
        assert sideways_scroll(page) == 0, path
