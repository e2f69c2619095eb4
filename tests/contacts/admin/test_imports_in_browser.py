"""An import in a real browser: upload, columns, progress, result; and that a small screen is enough."""

import datetime as dt
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from contacts.models import Contact, ContactImport, ContactList
from contacts.transfer import import_contacts
from contacts.transfer.import_contacts import BATCH_ROWS, import_people
from tests.contacts.files import started, stored
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

NOW = dt.datetime(2026, 1, 31, 23, 59, 30, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "DATA_DIR", tmp_path)
    monkeypatch.setattr("contacts.tasks.ring", lambda import_id: None)  # The tests are the worker.
    monkeypatch.setattr(import_contacts, "POSTGRES_BATCH_ROWS", BATCH_ROWS)


def test_an_import_asks_for_its_columns_and_shows_how_far_it_is(
    live_server: LiveServer, page: Page, marketer: User, tmp_path: Path
) -> None:
    ContactList.objects.create(name="News")
    rows = "".join(f"p{number}@example.org;P{number};{number}\n" for number in range(BATCH_ROWS))
    file = tmp_path / "people.csv"
    file.write_text(f"email;first name;Shoe size\n{rows}ann@@example.org;<script>alert(1)</script>;\n")
    sign_in(page, marketer)

    page.goto("/admin/contacts/contact/")
    page.locator("a[href$='/contact/import/']").click()
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_role("button", name="Upload and continue").click()
    expect(page.get_by_label("Shoe size", exact=True)).to_have_value("attributes.shoe_size")
    page.get_by_label("Shoe size", exact=True).select_option("")
    page.get_by_role("checkbox", name="News").check()
    page.locator("#columns-form").get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("how these people gave consent")).to_be_visible()
    expect(page.get_by_label("Shoe size", exact=True)).to_have_value("")  # What was chosen is still there.
    page.get_by_label("How did they agree").fill("Signed at the fair.")
    page.locator("#columns-form").get_by_role("button", name="Import", exact=True).click()

    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "0")
    contact_import = ContactImport.objects.get()
    assert import_people(contact_import.pk, NOW, should_pause=lambda: True)
    expect(page.get_by_text("Importing:")).to_be_visible()
    expect(page.locator("[data-figure=rows_added]")).to_have_text(f"{BATCH_ROWS:,}")
    assert not import_people(contact_import.pk, NOW)
    expect(page.get_by_text("Import finished:")).to_be_visible()
    expect(bar).to_have_attribute("aria-valuenow", "100")
    expect(page.get_by_text("Signed at the fair.")).to_be_visible()
    expect(page.get_by_text("<script>alert(1)</script>")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert "two @ signs" in Path(download.value.path()).read_text()
    page.get_by_role("link", name="View people").click()
    expect(page.get_by_text("p0@example.org")).to_be_visible()
    assert Contact.objects.get(email="p7@example.org").attributes == {}


def test_a_reload_of_the_columns_keeps_what_was_chosen_and_typed(
    live_server: LiveServer, page: Page, marketer: User
) -> None:
    draft = stored("email,Ort,joined\nann@example.org,Bonn,soon\n")
    sign_in(page, marketer)
    page.goto(f"/admin/contacts/contactimport/{draft.pk}/columns/")

    with page.expect_response(lambda answer: answer.status == 204 and "Fair" in (answer.request.post_data or "")):
        page.get_by_label("Kind of joined").select_option("date")
        page.get_by_label("Ort", exact=True).select_option("")
        page.get_by_label("New list").press_sequentially("Fair")
    page.reload()

    expect(page.get_by_label("New list")).to_have_value("Fair")
    expect(page.get_by_label("Ort", exact=True)).to_have_value("")
    expect(page.get_by_label("Kind of Ort")).to_be_hidden()  # Nothing is defined by that column.
    expect(page.get_by_label("Kind of joined")).to_have_value("date")
    page.get_by_label("How did they agree").fill("Asked.")
    page.get_by_role("button", name="Run trial").click()
    expect(page.get_by_text("Nothing was saved. The import would read 1 row:")).to_be_visible()
    expect(page.get_by_text("joined: not a date")).to_be_visible()
    expect(page.get_by_text("You changed something since.")).to_be_hidden()
    page.get_by_label("Kind of joined").select_option("text")
    expect(page.get_by_text("You changed something since.")).to_be_visible()


def test_an_import_is_cancelled_from_its_page(live_server: LiveServer, page: Page, marketer: User) -> None:
    contact_import = started("email\nann@example.org\n")
    sign_in(page, marketer)

    page.goto(f"/admin/contacts/contactimport/{contact_import.pk}/change/")
    page.get_by_role("button", name="Cancel import").click()

    expect(page.locator("[data-sentence]")).to_contain_text("Import cancelled")


@pytest.mark.parametrize("width", [390, 1440])
def test_no_page_of_imports_needs_sideways_scrolling(
    live_server: LiveServer, page: Page, marketer: User, width: int
) -> None:
    heading = "a heading that somebody made rather long " * 4
    content = f"email,{heading},{'x' * 150}\nann@example.org,{'y' * 300},{'a b ' * 90}\nnobody,{'z' * 300},\n"
    draft = stored(content, name="x" * 120 + ".csv")
    done = started(content, [ContactList.objects.create(name="A list with a rather long name, as people like to give")])
    import_people(done.pk, NOW)
    sign_in(page, marketer)
    page.set_viewport_size({"width": width, "height": 844})

    for path in ("", "add/", f"{draft.pk}/columns/", f"{done.pk}/change/"):
        page.goto(f"/admin/contacts/contactimport/{path}")
        assert sideways_scroll(page) == 0, path
