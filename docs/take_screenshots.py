"""Takes the pictures of README and docs from a demo of its own: ``.venv/bin/python -m docs.take_screenshots``.

Needs Chromium and the packages of requirements-dev.txt.
"""

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.harness.demo import Demo

PICTURES = Path(__file__).with_name("pictures")
MOST_BYTES = 300_000
READER = "reader479@example.org"
VISITS_SECONDS = 15 * 60


def main() -> None:
    """Do the main job once, and take a picture at each station."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        demo = Demo(Path(folder) / "var")
        try:
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport={"width": 1440, "height": 900}, locale="en-GB", reduced_motion="reduce")
            page.goto(demo.url)
            page.get_by_label("Username").fill("admin")
            page.get_by_label("Password").fill(demo.password("admin"))
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_role("heading", name="Server quotas")).to_be_visible()
            take_pictures(page)
            take_marketers_day(page, demo.url)
            take_visits(page)
            browser.close()
        finally:
            demo.stop()


def send_now(page: Page) -> None:
    page.get_by_text("Send now…").click()
    page.get_by_role("button", name=re.compile("^Send to ")).click()


def take_pictures(page: Page) -> None:
    open_from_sidebar(page, "Servers")
    page.get_by_role("row", name=re.compile("Business plan")).get_by_role("link", name="Send test").click()
    page.get_by_role("button", name="Send test").click()
    expect(page.get_by_role("heading", name="The server accepted the message.")).to_be_visible(timeout=20_000)
    take(page, "send-test", height=1300)

    open_from_sidebar(page, "Campaigns")
    page.get_by_role("link", name="November newsletter").click()
    page.get_by_role("button", name="Preview and test").click()
    take(page, "preview")
    page.go_back()
    page.get_by_role("button", name="Review and send").click()
    send_now(page)
    expect(page.locator(".campaign-summary")).to_contain_text("Finished:", timeout=120_000)
    page.reload()  # Without the message “Campaign queued.”
    take(page, "progress")

    open_from_sidebar(page, "Servers")
    take(page, "servers", height=500)
    page.get_by_role("link", name="Business plan", exact=True).click()
    page.get_by_role("tab", name="Miscellaneous").click()
    take(page, "server")

    open_from_sidebar(page, "Test inbox")
    page.get_by_placeholder("Recipient or subject").fill(READER)
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody a").first.click()
    page.locator("#headers").scroll_into_view_if_needed()
    take(page, "mail", height=1300)

    take_public_pages(page)

    open_from_sidebar(page, "Home")
    expect(page.locator("canvas")).to_be_visible()
    take(page, "dashboard")


def take_marketers_day(page: Page, url: str) -> None:
    """Show docs/marketers-day.md: from a file of people to the report of a tested campaign and the archive."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "book-fair.csv"
        rows = (f"visitor{number}@example.net,Visitor,Nr {number}" for number in range(1, 201))
        file.write_text("e-mail,first name,last name\n" + "\n".join(rows) + "\n")
        page.goto(f"{url}/admin/contacts/contact/import/")
        page.locator("input[type=file]").set_input_files(file)
        page.get_by_role("button", name=re.compile("Continue|Upload|Import")).first.click()
        page.wait_for_load_state("networkidle")
        take(page, "day-import")
    open_from_sidebar(page, "Campaigns")
    page.get_by_role("link", name="November newsletter").click()
    page.get_by_role("button", name="Duplicate").click()
    draft = re.search(r"/campaign/(\d+)/change", page.url)
    assert draft, page.url
    page.get_by_label("Name").fill("December newsletter")
    take(page, "day-writing", height=1100)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("December newsletter").first).to_be_visible()
    campaign = f"{url}/campaigns/{draft[1]}/"
    page.goto(f"{campaign}variants/")
    page.locator("#id_sample_percent").fill("40")
    page.locator("#id_v1-subject").fill("Ten books for the longest evenings")
    take(page, "day-variants", height=1100)
    page.get_by_role("button", name="Save test").click()
    page.goto(f"{campaign}review/")
    take(page, "day-review", height=1100)
    send_now(page)
    expect(page.locator(".campaign-summary")).to_contain_text("Test sent.", timeout=120_000)
    page.goto(campaign)
    page.get_by_text("Choose B…").click()
    take(page, "day-choosing", height=860)
    page.get_by_role("button", name="Send B to everyone else").click()
    expect(page.locator(".campaign-summary")).to_contain_text("Finished:", timeout=120_000)
    expect(page.get_by_text("By mailbox provider")).to_be_visible()
    page.goto(f"{campaign}report/")
    take(page, "day-report", height=1300)
    page.goto(f"{url}/reports/")
    take(page, "day-figures", height=1100)
    page.goto(campaign)
    page.get_by_role("button", name="Publish to archive").click()
    page.goto(f"{url}/campaigns/archive/")
    page.get_by_label("Public archive").check()
    page.get_by_role("button", name="Save changes").click()
    page.goto(f"{url}/archive/")
    page.get_by_role("main").get_by_role("link").first.click()
    take(page, "day-archive", height=900)


def take_visits(page: Page) -> None:
    """Show opens and clicks of the first campaign, which the Test inbox makes and which are judged minutes later."""
    open_from_sidebar(page, "Campaigns")
    page.get_by_role("link", name="Welcome to the first readers").click()
    page.get_by_role("link", name="Report", exact=True).click()
    clicked = (
        page.locator("#campaign-visits dl > div").filter(has=page.get_by_text("Clicked", exact=True)).locator("dd")
    )
    deadline = time.monotonic() + VISITS_SECONDS
    while not clicked.count() or clicked.inner_text().startswith("0 "):
        if time.monotonic() > deadline:
            raise SystemExit("The first campaign's opens and clicks weren't counted in time.")
        page.wait_for_timeout(10_000)
        page.reload()
    take(page, "opens-clicks", height=1400)
    page.get_by_role("link", name="Click map").click()
    take(page, "click-map", height=1300)


def take_public_pages(page: Page) -> None:
    """Show what readers see: the form, and from a link in the mail that is open the reader's settings."""
    mail = page.url
    link = re.search(r"https?://[^\s\"<]+/u/[\w-]{33}", page.content())
    assert link, "the mail shows no link to unsubscribe"
    page.goto(link.group().rpartition("/u/")[0] + "/subscribe")
    take(page, "subscribe", width=640, height=680)
    page.goto(link.group())
    page.get_by_role("link", name="Choose lists and other settings").click()
    take(page, "preferences", width=640, height=1110)
    page.goto(mail)


def open_from_sidebar(page: Page, name: str) -> None:
    page.locator("#nav-sidebar").get_by_role("link", name=name).last.click()


def take(page: Page, name: str, height: int = 900, width: int = 1440) -> None:
    """Save what the window shows."""
    page.set_viewport_size({"width": width, "height": height})
    page.mouse.move(0, 0)
    page.wait_for_load_state("networkidle")
    page.evaluate("document.fonts.ready")
    path = PICTURES / f"{name}.png"
    page.screenshot(path=path, animations="disabled", caret="hide")
    page.set_viewport_size({"width": 1440, "height": 900})
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path} is larger than {MOST_BYTES:,} bytes; show less of the page.")
    print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
