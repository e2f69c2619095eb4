"""Writing in a real browser: the draft saves itself, the preview follows, and two people lose nothing."""

import re

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from contacts.models import ContactList
from smtpservers.models import SmtpServer
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SAVED = re.compile(r"^Saved at \d\d:\d\d$")


@pytest.fixture
def visitor(live_server, people: dict[str, User], server: SmtpServer, page: Page) -> Page:
    sign_in(page, people["marketer"])
    return page


def test_a_draft_saves_itself_and_the_preview_follows(visitor: Page, campaign: Campaign) -> None:
    Campaign.objects.update(html="<p>Snow, {{ first_name }}!</p>")
    url = f"/admin/campaigns/campaign/{campaign.pk}/change/"
    visitor.goto(url)
    state, panel = visitor.locator("#writing-state"), visitor.locator("#writing-beside")
    frame = visitor.frame_locator("#writing-beside iframe")
    expect(frame.get_by_text("Snow, Ann!")).to_be_visible()

    visitor.get_by_label("Subject").fill("Ice for {{ first_name }}")
    expect(state).to_have_text(SAVED)
    expect(panel.get_by_text("Ice for Ann")).to_be_visible()
    assert Campaign.objects.get().subject == "Ice for {{ first_name }}"

    # In the editor a second brace proposes the merge fields.
    editor = visitor.get_by_role("textbox", name="HTML").first
    editor.focus()
    visitor.keyboard.press("Enter")
    visitor.keyboard.press("Control+End")
    visitor.keyboard.type("<p>To {{")
    expect(visitor.locator(".ace_autocomplete")).to_contain_text("full_name")
    visitor.keyboard.type("ema")
    expect(visitor.locator(".ace_autocomplete .ace_line.ace_selected")).to_contain_text("email")
    expect(visitor.locator(".ace_autocomplete .ace_line")).to_have_count(1)
    visitor.keyboard.press("Enter")
    visitor.keyboard.type("</p>")
    expect(frame.get_by_text("To ann@example.com")).to_be_visible()
    assert Campaign.objects.get().html == "<p>Snow, {{ first_name }}!</p><p>To {{ email }}</p>"

    # Through other eyes, as text, and when the button is pressed.
    visitor.get_by_placeholder("first recipient").fill("bea")
    visitor.get_by_role("option", name="bea@example.com").click()
    expect(frame.get_by_text("Snow, Bea!")).to_be_visible()
    panel.get_by_role("button", name="Text").click()
    expect(panel.locator('[data-part="text"]')).to_contain_text("To bea@example.com")
    visitor.get_by_role("button", name="Save", exact=True).click()
    expect(visitor.get_by_text("Draft saved.")).to_be_visible()

    # Back, and what was typed is still there.
    visitor.get_by_label("Subject").fill("Frost")
    visitor.goto("/admin/")
    visitor.go_back()
    expect(visitor.get_by_label("Subject")).to_have_value("Frost")
    assert Campaign.objects.get().subject == "Frost"

    visitor.set_viewport_size({"width": 390, "height": 844})
    assert sideways_scroll(visitor) == 0
    expect(panel).to_be_hidden()
    visitor.get_by_role("button", name="Preview", exact=True).click()
    expect(panel).to_be_visible()
    assert sideways_scroll(visitor) == 0
    write = visitor.get_by_role("button", name="Write", exact=True)
    visitor.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(write).to_be_in_viewport()
    write.click()
    expect(visitor.get_by_label("Subject")).to_be_visible()


def test_another_format_keeps_the_text_and_takes_it_along_on_request(visitor: Page, campaign: Campaign) -> None:
    Campaign.objects.update(markup="markdown", html="", markdown="# Snow\n\nFor **you**")
    visitor.goto(f"/admin/campaigns/campaign/{campaign.pk}/change/")
    note, html, markdown, mjml = (
        visitor.locator(which) for which in (".writing-format", "#id_html", "#id_markdown", "#id_mjml")
    )

    visitor.get_by_role("radio", name="HTML", exact=True).check()
    expect(note).to_contain_text("Your Markdown text is kept and comes back with Markdown.")
    note.get_by_role("button", name="Use it in HTML").click()
    expect(html).to_have_value("<h1>Snow</h1>\n<p>For <strong>you</strong></p>")
    note.get_by_role("button", name="Back to Markdown").click()
    expect(markdown).to_have_value("# Snow\n\nFor **you**")

    # An empty text still offers another one after a reload.
    visitor.get_by_role("radio", name="MJML").check()
    expect(note).to_contain_text("Your Markdown text is kept and comes back with Markdown.")
    expect(mjml).to_have_value("")
    expect(visitor.locator("#writing-state")).to_have_text(SAVED)
    visitor.reload()
    note.get_by_role("button", name="Use it in MJML").click()
    expect(mjml).to_have_value(re.compile("^<mjml>"))
    visitor.get_by_role("radio", name="Markdown").check()
    expect(visitor.locator("#writing-state")).to_have_text(SAVED)
    wait_for(lambda: Campaign.objects.get().markup == "markdown")
    stored = Campaign.objects.get()
    assert (stored.markdown, stored.mjml[:6]) == ("# Snow\n\nFor **you**", "<mjml>")


def test_a_list_is_created_without_leaving_the_draft(visitor: Page, campaign: Campaign) -> None:
    visitor.goto(f"/admin/campaigns/campaign/{campaign.pk}/change/")
    readiness = visitor.locator("#writing-readiness")
    expect(readiness).to_contain_text("Ready to send to")
    visitor.get_by_label("Subject").fill("Typed before")
    visitor.get_by_role("link", name="Create list").click()
    dialog = visitor.get_by_role("dialog", name="Create list")
    dialog.get_by_label("New list").fill("News")
    dialog.get_by_role("button", name="Create list").click()
    expect(dialog).to_contain_text("A list with this name already exists.")

    dialog.get_by_label("New list").fill("Spring")
    dialog.get_by_label("New list").press("Enter")
    expect(visitor.get_by_role("checkbox", name="Spring")).to_be_checked()
    expect(visitor.get_by_text("“Spring” created. It has no subscribers yet. Only the new list")).to_contain_text(
        "News"
    )
    expect(visitor.locator("#id_lists").get_by_role("checkbox", name="News")).not_to_be_checked()

    expect(visitor.locator("#writing-state")).to_have_text(SAVED)
    wait_for(lambda: [each.name for each in campaign.lists.all()] == ["Spring"])
    expect(readiness).to_contain_text("Not ready yet")
    assert Campaign.objects.get().subject == "Typed before"
    visitor.get_by_role("link", name="Import people").click()
    expect(visitor.get_by_role("link", name="Back to your draft")).to_have_attribute(
        "href", f"/admin/campaigns/campaign/{campaign.pk}/change/"
    )
    assert visitor.url.endswith(f"list={ContactList.objects.get(name='Spring').pk}")


def test_two_people_on_one_campaign_are_told_and_lose_nothing(
    visitor: Page, campaign: Campaign, people: dict[str, User], browser, live_server
) -> None:
    url = f"/admin/campaigns/campaign/{campaign.pk}/change/"
    context = browser.new_context(base_url=live_server.url, locale="en-GB")
    other = context.new_page()
    sign_in(other, people["admin"])
    other.goto(url)
    expect(other.locator("#writing-state")).not_to_have_text("Use Save to keep your changes.")
    visitor.goto(url)

    expect(visitor.locator("#writing-others")).to_have_text("Also open: admin.")

    # In different fields: both are kept, and each sees the other's words.
    other.get_by_label("Preheader").fill("From the other")
    expect(other.locator("#writing-state")).to_have_text(SAVED)
    expect(other.locator("#writing-others")).to_have_text("Also open: marketer.")
    visitor.get_by_label("Subject").fill("From me")
    expect(visitor.get_by_label("Preheader")).to_have_value("From the other")

    # In the same field: one is asked, by a dialog that shows both.
    other.get_by_label("Preheader").fill("From the other, again")
    expect(other.locator("#writing-state")).to_have_text(SAVED)
    wait_for(lambda: Campaign.objects.get().preheader == "From the other, again")
    visitor.get_by_label("Preheader").fill("From me, too")
    dialog = visitor.get_by_role("dialog")
    expect(dialog).to_contain_text("From the other, again")
    expect(dialog).to_contain_text("From me, too")
    assert Campaign.objects.get().preheader == "From the other, again"
    dialog.get_by_role("button", name="Keep mine").click()
    expect(visitor.locator("#writing-state")).to_have_text(SAVED)
    wait_for(lambda: Campaign.objects.get().preheader == "From me, too")
    assert Campaign.objects.get().subject == "From me"

    context.close()


def wait_for(condition) -> None:
    import time

    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
