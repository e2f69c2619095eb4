"""From the first signed-in page of an empty installation to the first campaign mail, in few clicks and fields."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Locator, Page, expect

from contacts.models import ContactImport
from tests.harness.browser import sign_in
from tests.harness.demo import Demo

pytestmark = pytest.mark.browser
MOST_CLICKS, MOST_FIELDS = 10, 8
MINUTE = 60_000


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path / "var", DEMO="off")
    yield running
    running.kill()


class Hand:
    """Counts what a person does."""

    def __init__(self) -> None:
        self.clicks = self.fields = 0

    def click(self, what: Locator) -> None:
        self.clicks += 1
        what.click()

    def fill(self, what: Locator, text: str) -> None:
        self.fields += 1
        what.fill(text)


def create_account(page: Page, empty: Demo) -> None:
    link = re.search(r"http://\S+/accounts/first/\?token=\S+", empty.log.read_text())
    assert link is not None
    page.goto(link[0])
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Email").fill("ada@example.com")
    page.get_by_label("Password").fill("a quiet purple lighthouse")
    page.get_by_role("button", name="Create account").click()


@pytest.mark.timeout(300)
def test_the_first_campaign_mail_takes_ten_clicks_and_eight_fields_at_most(page: Page, empty: Demo) -> None:
    create_account(page, empty)
    expect(page.get_by_role("heading", name="Set up 0 of 5")).to_be_visible()
    hand = Hand()

    hand.click(page.get_by_role("link", name="Enter organisation"))
    hand.fill(page.get_by_label("Organisation"), "Harbour Books")
    hand.fill(page.get_by_label("Postal address"), "1 Quay Street, Bergen")
    hand.click(page.get_by_role("button", name="Save and continue"))
    page.goto(f"{empty.url}/set-up/organisation/")
    expect(page.get_by_text("(done)")).to_have_css("width", "1px")  # Read out beside the tick, and not shown.
    page.get_by_role("link", name="Next: A server").click()
    hand.click(page.get_by_role("button", name="Test inbox on this machine"))
    hand.click(page.get_by_role("button", name="Only me for now"))
    hand.click(page.get_by_role("button", name=re.compile("Letter")))
    hand.fill(page.locator("#id_subject"), "Hello from Harbour Books")
    hand.click(page.locator("[name=_review]"))
    hand.click(page.get_by_text("Send now…"))
    hand.click(page.get_by_role("button", name="Send to 1 person"))

    expect(page.locator(".campaign-summary")).to_contain_text("1", timeout=2 * MINUTE)
    page.goto(f"{empty.url}/admin/sandbox/sandboxmail/?q=ada@example.com")
    for _ in range(60):
        if page.get_by_text("Hello from Harbour Books").count():
            break
        page.wait_for_timeout(500)
        page.reload()
    expect(page.get_by_text("Hello from Harbour Books").first).to_be_visible()
    assert hand.clicks <= MOST_CLICKS
    assert hand.fields <= MOST_FIELDS
    page.goto(empty.url)
    expect(page.get_by_role("heading", name=re.compile("Set up"))).to_have_count(0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [1440, 390])
def test_without_scripts_people_come_in_by_a_file(
    live_server: Any, browser: Browser, tmp_path: Path, width: int
) -> None:
    context = browser.new_context(
        base_url=live_server.url, java_script_enabled=False, viewport={"width": width, "height": 900}
    )
    page = context.new_page()
    sign_in(page, User.objects.create_superuser("boss", "boss@example.com"))
    people = tmp_path / "people.csv"
    people.write_text("Email,City\nann@example.org,Bergen\n")

    page.goto("/admin/")
    page.get_by_role("link", name="Add people").click()
    page.locator("input[type=file]").set_input_files(people)
    expect(page.locator("input[type=file]")).to_be_in_viewport()  # The browser's own says what was chosen.
    expect(page.locator(":has(> input[type=file])")).to_have_css("opacity", "1")
    page.get_by_label("How did they agree?").fill("In our shop")
    page.get_by_role("button", name="Add people").click()
    page.get_by_role("button", name="Import").click()
    page.get_by_role("link", name="Refresh").click()

    expect(page.get_by_role("link", name="Refresh")).to_be_visible()
    assert ContactImport.objects.get().status == ContactImport.Status.WAITING
    context.close()
