"""The editor's toolbar in a real browser: in HTML, Markdown and MJML, by mouse and keyboard, with the preview."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Locator, Page, expect

from campaigns.models import Campaign
from smtpservers.models import SmtpServer
from tests.harness.browser import serious, sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
URL = "https://example.com/?a=1&b=2"


@pytest.fixture
def visitor(live_server: Any, people: dict[str, User], server: SmtpServer, page: Page) -> Page:
    sign_in(page, people["marketer"])
    return page


def mjml(inside: str) -> str:
    return f"<mjml><mj-body><mj-section><mj-column>{inside}</mj-column></mj-section></mj-body></mjml>"


# | stands for both ends of the selection, or once for the cursor; without one nobody was in the editor yet.
CHANGES = [
    ("html", "bold", "<p>Hi |Ann|</p>", {}, "<p>Hi <strong>Ann</strong></p>"),
    ("html", "bold", "<p>Hi |</p>", {"placeholder": "bold"}, "<p>Hi <strong>bold</strong></p>"),
    ("html", "heading2", "|News|", {}, "<h2>News</h2>"),
    ("html", "heading2", "<body><p>Hi</p></body>", {"placeholder": "News"}, "<body><p>Hi</p><h2>News</h2>\n</body>"),
    ("html", "link", "<p>|Buy|</p>", {"url": URL, "text": "Buy"}, '<p><a href="https://example.com/?a=1&amp;b=2">Buy'),
    ("html", "link", "<p>|</p>", {"url": URL, "text": "a < b"}, ">a &lt; b</a></p>"),
    (
        "html",
        "link",
        "<p>|</p>",
        {"url": '{{ u | default: "x" }}', "text": "Go"},
        "<a href=\"{{ u | default: 'x' }}\">Go",
    ),
    ("html", "button", "<p>|</p>", {"url": URL, "text": "Buy"}, 'font-weight:600;text-decoration:none">Buy</a></p>'),
    ("html", "field", '<p cl|ass="a">Hi</p>', {"tag": "{{ email }}"}, '<p class="a">{{ email }}Hi</p>'),
    ("markdown", "bold", "Hi |Ann|", {}, "Hi **Ann**"),
    ("markdown", "heading1", "One\nTw|o\nThree", {}, "One\n# Two\nThree"),
    ("markdown", "heading2", "# T|itle", {}, "## Title"),
    ("markdown", "heading3", "One\n|\n", {"placeholder": "News"}, "One\n### News\n"),
    (
        "markdown",
        "link",
        "|",
        {"url": "https://example.com/a (b)", "text": "[x]"},
        r"[\[x\]](<https://example.com/a (b)>)",
    ),
    ("markdown", "button", "|Buy|", {"url": URL, "text": "Buy"}, f'[Buy]({URL} "button")'),
    ("markdown", "field", "Hi |", {"tag": "{{ first_name }}"}, "Hi {{ first_name }}"),
    ("mjml", "bold", mjml("<mj-text>Hi |Ann|</mj-text>"), {}, "<mj-text>Hi <strong>Ann</strong></mj-text>"),
    ("mjml", "bold", mjml("|"), {"placeholder": "bold"}, "<mj-text><strong>bold</strong></mj-text>"),
    ("mjml", "heading1", mjml("<mj-text>|</mj-text>"), {"placeholder": "News"}, "<mj-text><h1>News</h1></mj-text>"),
    ("mjml", "heading1", mjml("<mj-text>Hi</mj-text>"), {"placeholder": "News"}, "</mj-text>\n<mj-text><h1>News</h1>"),
    ("mjml", "link", mjml("<mj-text>|Buy|</mj-text>"), {"url": URL, "text": "Buy"}, '&amp;b=2">Buy</a></mj-text>'),
    ("mjml", "button", mjml("<mj-text>H|i</mj-text>"), {"url": URL, "text": "Buy"}, "</mj-text>\n<mj-button href="),
    (
        "mjml",
        "field",
        mjml("<mj-image /><mj-te|xt>Hi</mj-text>"),
        {"tag": "{{ email }}"},
        "<mj-text>{{ email }}</mj-text>",
    ),
]


def test_each_button_changes_what_it_should_in_each_format(visitor: Page, campaign: Campaign) -> None:
    visitor.goto(f"/admin/campaigns/campaign/{campaign.pk}/change/")

    for markup, action, marked, values, expected in CHANGES:
        parts = marked.split("|")
        source = "".join(parts)
        at = len(parts[0])
        selection = None if len(parts) == 1 else [at, at + (len(parts[1]) if len(parts) == 3 else 0)]
        made = visitor.evaluate("given => formatted(...given)", [action, markup, source, selection, values])
        after = source[: made["from"]] + made["text"] + source[made["to"] :]
        assert expected in after, (action, marked, after)
        if "placeholder" in values:
            assert after[made["start"] : made["end"]] == values["placeholder"], (action, marked)


def shown_toolbar(visitor: Page) -> Locator:
    return visitor.get_by_role("toolbar", name="Formatting").locator("visible=true")


@pytest.mark.parametrize(
    ("markup", "source"), [("html", "<p>Hi</p>"), ("markdown", "Hi"), ("mjml", mjml("<mj-text>Hi</mj-text>"))]
)
def test_a_mail_is_written_with_the_toolbar_and_the_preview_shows_it(
    visitor: Page, campaign: Campaign, markup: str, source: str
) -> None:
    Campaign.objects.update(markup=markup, **{markup: source})
    visitor.set_viewport_size({"width": 1440, "height": 900})
    visitor.goto(f"/admin/campaigns/campaign/{campaign.pk}/change/")
    mail = visitor.frame_locator("#writing-beside iframe")
    bar, dialog = shown_toolbar(visitor), visitor.get_by_role("dialog")

    bar.get_by_role("button", name="Heading 2").click()
    visitor.keyboard.type("Winter is here")  # In place of the selected word.
    expect(mail.get_by_role("heading", name="Winter is here", level=2)).to_be_visible()

    visitor.keyboard.press("Control+End")
    bar.get_by_role("button", name="Button").click()
    dialog.get_by_role("button", name="Insert button").click()
    expect(dialog.get_by_role("alert")).to_have_text("Enter an address, e.g. https://example.com.")
    dialog.get_by_label("Text").fill("Buy socks")
    dialog.get_by_label("Address").fill("javascript:alert(1)")
    dialog.get_by_label("Address").press("Enter")
    expect(dialog.get_by_role("alert")).to_have_text("Enter an address, e.g. https://example.com.")
    dialog.get_by_label("Address").fill("example.com/socks")
    dialog.get_by_label("Address").press("Enter")
    expect(mail.get_by_role("link", name="Buy socks")).to_have_attribute(
        "href", re.compile(r"^https://example\.com/socks\?utm")
    )

    visitor.keyboard.press("Control+End")
    if markup == "markdown":
        visitor.keyboard.type("\n\n")
    bar.get_by_role("combobox", name="Insert merge field").select_option(label="first_name")
    expect(mail.get_by_text("Ann", exact=False).last).to_be_visible()
    assert "{{ first_name | default: 'friend' }}" in getattr(Campaign.objects.get(), markup)

    visitor.set_viewport_size({"width": 390, "height": 844})
    assert sideways_scroll(visitor) == 0


def test_the_toolbar_is_one_stop_of_the_tab_key_and_the_arrows_go_on(visitor: Page, campaign: Campaign) -> None:
    Campaign.objects.update(html="")
    visitor.goto(f"/admin/campaigns/campaign/{campaign.pk}/change/")
    bar = shown_toolbar(visitor)
    bar.get_by_role("button", name="Heading 1").focus()

    visitor.keyboard.press("ArrowLeft")
    expect(bar.get_by_role("combobox")).to_be_focused()
    visitor.keyboard.press("Home")
    for _ in range(3):
        visitor.keyboard.press("ArrowRight")
    expect(bar.get_by_role("button", name="Bold")).to_be_focused()
    visitor.keyboard.press("Enter")
    visitor.keyboard.type("socks")

    expect(visitor.locator("#writing-state")).to_contain_text("Saved at")
    assert "<strong>socks</strong>" in Campaign.objects.get().html
    bar.get_by_role("button", name="Bold").focus()
    visitor.keyboard.press("Shift+Tab")
    expect(visitor.locator(".writing-toolbar :focus")).to_have_count(0)
    assert serious(visitor) == []
