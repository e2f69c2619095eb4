"""The main job from the first start to the last signal, as a newcomer does it in a browser.

A server is made and tested, the demo's draft is queued and watched, one mail is looked at, and its reader unsubscribes
with one click. The next campaign is written from a starter, reviewed, sent as a test and as an A/B test of two
subjects, leaves that reader out, is reported on, and is put into the public archive.
"""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.harness.demo import Demo, alive

pytestmark = pytest.mark.browser

READER = "reader479@example.org"  # Has no name, and comes late enough to be written to by the third server.
MINUTE = 60_000


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    running = Demo(tmp_path / "var")
    yield running
    running.kill()


def sign_in(page: Page, demo: Demo, name: str) -> None:
    page.context.clear_cookies()
    page.goto(demo.url)
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(demo.password(name))
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="Server quotas")).to_be_visible()


def open_from_sidebar(page: Page, name: str) -> None:
    page.locator("#nav-sidebar").get_by_role("link", name=name).click()


def make_a_server(page: Page, port: int) -> None:
    open_from_sidebar(page, "Servers")
    page.get_by_role("link", name="Add server").click()
    page.get_by_label("Name", exact=False).first.fill("Harbour relay")
    page.locator("#id_host").fill("127.0.0.1")
    page.locator("#id_port").fill(str(port))
    page.locator("#id_mail_from").fill("Harbour Books <news@harbour.example.com>")
    page.locator("#id_mail_to").fill("captain@harbour.example.com")
    page.get_by_label("Use SSL/TLS connection").uncheck()
    page.get_by_label("Handles email validation").check()
    page.get_by_role("tab", name="Miscellaneous").click()
    page.get_by_label("Max (per month)").fill("100")
    page.get_by_label("Display order").fill("15")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Harbour relay").first).to_be_visible()


def send_a_test(page: Page) -> None:
    page.get_by_role("row", name=re.compile("Harbour relay")).get_by_role("link", name="Send test").click()
    expect(page.get_by_label("Send test to")).to_have_value("captain@harbour.example.com")
    page.get_by_role("button", name="Send test").click()

    expect(page.get_by_role("heading", name="The server accepted the message.")).to_be_visible(timeout=60_000)
    steps = page.locator(".test-steps li")
    expect(steps).to_have_count(8)
    names = [name.split()[0] for name in steps.locator("h3").all_inner_texts()]
    assert names == ["DNS", "connect", "banner", "EHLO", "MAIL", "RCPT", "DATA", "message"]
    expect(steps.last).to_contain_text("250")
    page.get_by_role("link", name="View message").click()
    expect(page.get_by_role("cell", name="captain@harbour.example.com")).to_be_visible()


def queue_the_draft(page: Page) -> None:
    open_from_sidebar(page, "Campaigns")
    page.get_by_role("link", name="November newsletter").click()
    expect(page.get_by_role("heading", name="Ready to send to 500 people")).to_be_visible()
    page.get_by_role("button", name="Review and send").click()
    send_now(page)
    watch_until(page, re.compile("^Finished: "))


def send_now(page: Page) -> None:
    """Answer the last question of the review."""
    page.get_by_text("Send now…").click()
    page.get_by_role("button", name=re.compile("^Send to ")).click()


def watch_until(page: Page, summary: re.Pattern[str]) -> None:
    """The progress page keeps itself true: nobody reloads it."""
    expect(page.locator(".campaign-summary")).to_have_text(summary, timeout=2 * MINUTE)


def rows(page: Page, heading: str) -> dict[str, int]:
    """Return a table of the progress page: what begins each row, and its count."""
    card = page.locator("section").filter(has=page.get_by_role("heading", name=heading, exact=True))
    found = {}
    for row in card.locator("tbody tr:has(th)").all():
        found[row.locator("th").inner_text().strip().split("\n")[0]] = int(
            row.locator("td").inner_text().replace(",", "")
        )
    return found


def open_mail(page: Page, recipient: str) -> None:
    open_from_sidebar(page, "Test inbox")
    page.get_by_placeholder("Recipient or subject").fill(recipient)
    page.keyboard.press("Enter")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    page.locator("#result_list tbody a").first.click()


def headers_of_mail(page: Page) -> dict[str, str]:
    lines = page.locator("#headers tbody tr")
    lines.first.wait_for(state="attached")
    return {line.locator("th").inner_text(): line.locator("td").inner_text() for line in lines.all()}


def unsubscribe_with_one_click(url: str) -> None:
    """As a mail provider does it: a POST that brings no cookie, and follows no redirect."""
    body = b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
    request = urllib.request.Request(url, body, {"Content-Type": "multipart/form-data; boundary=x"})
    with urllib.request.urlopen(request, timeout=20) as response:
        assert response.status == 200
        assert response.url == url


def write_the_next_campaign(page: Page) -> None:
    open_from_sidebar(page, "Campaigns")
    page.get_by_role("link", name="Add campaign").click()
    page.get_by_role("button", name=re.compile("Letter")).click()
    # Lists to send to, to leave out, and of consent have the same names.
    page.locator("#id_lists").get_by_label("Newsletter readers").check()
    page.get_by_label("Name", exact=False).first.fill("December newsletter")
    page.get_by_label("Subject").fill("The year is ending")
    page.get_by_label("Preheader").fill("And {{ frist_name }} may rest")
    beside = page.locator("#writing-beside")
    expect(beside).to_contain_text("Did you mean {{ first_name }}?")
    page.get_by_label("Preheader").fill("And {{ first_name | default: 'everybody' }} may rest")
    expect(beside).not_to_contain_text("Did you mean")
    expect(beside).to_contain_text("may rest")
    expect(page.locator("#writing-state")).to_have_text(re.compile("^Saved at"))


def try_it_with_two_subjects(page: Page) -> None:
    page.get_by_role("link", name="A/B test", exact=True).click()
    page.get_by_label("Sample").fill("10")
    page.locator("#id_v1-subject").fill("Snow at last")
    page.get_by_role("button", name="Save test").click()
    page.get_by_role("button", name="Review and send").click()


def review_and_queue(page: Page) -> None:
    expect(page.get_by_role("heading", name=re.compile("Ready to send to "))).to_be_visible()
    expect(page.get_by_role("heading", name="Delivery forecast")).to_be_visible()
    page.get_by_text("To several addresses…").click()
    page.locator("[name=recipients]").fill("boss@example.org, me@example.org")
    page.get_by_role("button", name="Send tests", exact=True).click()
    expect(page.get_by_role("heading", name=re.compile("^2 of 2 tests accepted$"))).to_be_visible()
    page.get_by_role("link", name="Back to review", exact=True).click()
    send_now(page)


def choose_the_second_subject(page: Page) -> None:
    expect(page.locator(".campaign-summary")).to_contain_text("Test sent.", timeout=2 * MINUTE)
    page.get_by_text("Choose B…").click()
    page.get_by_role("button", name="Send B to everyone else").click()
    watch_until(page, re.compile("^Finished: "))


def look_at_the_report(page: Page) -> None:
    page.get_by_role("link", name="Report", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("B Winner"))).to_contain_text("Snow at last")
    expect(page.get_by_role("row", name=re.compile("Business plan")).first).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("marketer Chose variant B for everyone else"))).to_be_visible()
    page.get_by_role("link", name="Back to progress").click()


def publish(page: Page, demo: Demo) -> None:
    """The archive, and its feed, tell what was sent, and name nobody."""
    page.get_by_role("button", name="Publish to archive").click()
    sign_in(page, demo, "admin")  # Who alone makes anything public.
    open_from_sidebar(page, "Campaigns")
    page.get_by_role("navigation", name="Campaigns").get_by_role("link", name="Archive").click()
    page.get_by_label("Public archive").check()
    page.get_by_role("button", name="Save changes", exact=True).click()
    page.goto(f"{demo.url}/archive/")
    page.get_by_role("link", name="Snow at last").click()
    mail = page.frame_locator("iframe").locator("body")
    expect(mail).to_contain_text("Thank you for reading")
    assert "@example." not in page.content() + mail.inner_html()
    with urllib.request.urlopen(f"{demo.url}/archive/feed.xml", timeout=20) as response:
        assert "<title>Snow at last</title>" in response.read().decode()


@pytest.mark.timeout(900)
def test_a_newcomer_sends_two_campaigns_and_a_reader_leaves_in_between(demo: Demo, page: Page) -> None:
    sign_in(page, demo, "admin")
    make_a_server(page, demo.ports["SANDBOX_PLAIN_PORT"])
    send_a_test(page)

    sign_in(page, demo, "marketer")
    queue_the_draft(page)

    # The first two servers ran dry one after the other: 40 and 1 of their messages had gone before, and notices
    # that their quota is nearly used may take a few; campaigns leave the last one to them.
    shares = rows(page, "By server")
    assert set(shares) == {"Starter plan", "Harbour relay", "Business plan"}
    assert 75 <= shares["Starter plan"] <= 80
    assert 90 <= shares["Harbour relay"] <= 99
    assert sum(shares.values()) == 494
    assert rows(page, "Delivery status") == {"Accepted": 494, "Bounced": 5, "Unconfirmed": 1}
    open_from_sidebar(page, "Servers")
    expect(page.get_by_role("row", name=re.compile("Starter plan"))).to_contain_text(re.compile("(119|120) of 120"))
    expect(page.get_by_role("row", name=re.compile("Harbour relay"))).to_contain_text(re.compile("(99|100) of 100"))

    open_mail(page, READER)
    headers = headers_of_mail(page)
    unsubscribe_url = headers["List-Unsubscribe"].partition(",")[0].strip("<>")  # The address for mail follows.
    check_mail(page, headers, unsubscribe_url)
    unsubscribe_with_one_click(unsubscribe_url)

    write_the_next_campaign(page)
    try_it_with_two_subjects(page)
    review_and_queue(page)
    choose_the_second_subject(page)
    # The reader who left, and the five whose mailboxes do not exist.
    assert rows(page, "Delivery status") == {"Accepted": 493, "Suppressed": 6, "Unconfirmed": 1}
    page.get_by_role("link", name="Suppressed").click()
    expect(page.get_by_role("row", name=re.compile(READER))).to_contain_text("Suppressed")
    open_mail(page, READER)  # Still the one of November.
    expect(page.locator("article h2")).to_have_text("reader, ten books for long evenings")

    open_from_sidebar(page, "Campaigns")
    page.get_by_role("link", name="Welcome to the first readers").click()
    assert rows(page, "Delivery status") == {"Accepted": 39, "Bounced": 1}  # The bounce came back by mail.

    open_from_sidebar(page, "Campaigns")
    page.get_by_role("link", name="December newsletter").click()
    look_at_the_report(page)
    publish(page, demo)

    everything = demo.processes()
    assert len(everything) > 5
    assert demo.stop() == 0
    assert not alive(everything)


def target_of(page: Page, link: str) -> str:
    """Return where a counted link leads, as a program asks that is no person."""
    answer = page.request.head(link, max_redirects=0)
    assert answer.status == 302
    return answer.headers["location"]


def check_mail(page: Page, headers: dict[str, str], unsubscribe_url: str) -> None:
    """It came through the third server, so it carries that server's settings."""
    assert headers["To"] == READER
    assert headers["From"] == "Nordlicht Books <news@mail.nordlicht.example.com>"
    assert headers["Subject"] == "reader, ten books for long evenings"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["List-Id"].endswith(".mail.nordlicht.example.com>")
    assert headers["Precedence"] == "bulk"
    assert headers["Message-ID"].endswith("@nordlicht.example.com>")  # Of the server that the campaign began at.
    assert headers["Feedback-ID"].endswith(":brilliance")
    assert "abuse@nordlicht.example.com" in headers["X-Report-Abuse"]
    assert headers["CFBL-Address"].startswith("complaints@")  # Where the demo listens.
    expect(page.locator(".sandbox-facts")).to_contain_text("TLSv1.3")

    found = page.locator(".sandbox-links a").all_inner_texts()
    assert any("/c/" in link for link in found)  # The demo counts clicks.
    links = [urlsplit(target_of(page, link) if "/c/" in link else link) for link in found]
    tagged = [parse_qs(link.query) for link in links if "utm_source" in link.query]
    assert tagged
    for query in tagged:
        assert query["utm_source"] == ["newsletter"]
        assert query["utm_medium"] == ["email"]
        assert query["utm_campaign"] == ["november"]
        assert query["utm_content"] == ["business-plan"]
    assert unsubscribe_url in [link.geturl() for link in links]  # In the text too, and without UTM codes.
