"""What is typed outlives the end of a session, and images go where they belong, in a real browser."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from accounts.models import UserSession
from campaigns.models import Campaign, MediaFile
from smtpservers.models import SmtpServer
from tests.harness.browser import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSWORD = "plum-orbit-9-harbour"
MJML = (
    "<mjml><mj-body><mj-section><mj-column><mj-text>Hi <b>Ann</b></mj-text><mj-spacer /></mj-column></mj-section>"
    "</mj-body></mjml>"
)


@pytest.fixture
def visitor(live_server: Any, people: dict[str, User], server: SmtpServer, page: Page) -> Page:
    sign_in(page, people["marketer"])
    return page


def change_page(campaign: Campaign) -> str:
    return f"/admin/campaigns/campaign/{campaign.pk}/change/"


def test_save_after_the_end_of_a_session_keeps_what_was_typed(
    visitor: Page, campaign: Campaign, people: dict[str, User], page_problems: list[str]
) -> None:
    people["marketer"].set_password(PASSWORD)
    people["marketer"].save()
    sign_in(visitor, people["marketer"])
    visitor.goto(change_page(campaign))
    expect(visitor.locator("#writing-state")).to_have_text("Saved as you type.")
    UserSession.objects.all().delete()

    visitor.get_by_label("Preheader").fill("Warm socks inside")
    visitor.get_by_role("button", name="Save", exact=True).click()

    expect(visitor.locator("#writing-state")).to_contain_text("You've been logged out. Log in in a new tab")
    expect(visitor.get_by_label("Preheader")).to_have_value("Warm socks inside")
    with visitor.context.expect_page() as opened:
        visitor.get_by_role("link", name="Log in in a new tab").click()
    tab = opened.value
    tab.get_by_label("Username").fill("marketer")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Log in", exact=True).click()
    tab.wait_for_url("**/admin/")
    tab.close()
    visitor.get_by_role("button", name="Save", exact=True).click()

    expect(visitor.get_by_text("Draft saved.")).to_be_visible()
    campaign.refresh_from_db()
    assert campaign.preheader == "Warm socks inside"
    page_problems.clear()  # The refused requests of the signed-out page.


def test_enter_in_a_line_of_text_stays_on_the_page(visitor: Page, campaign: Campaign) -> None:
    visitor.goto(change_page(campaign))
    visitor.get_by_label("Preheader").fill("Warm socks inside")
    visitor.get_by_label("Preheader").press("Enter")

    expect(visitor.locator("#writing-state")).to_contain_text("Saved at")
    assert visitor.url.endswith(change_page(campaign))


# | stands for the cursor; without one nobody was in the editor yet. # stands for the image.
PLACES = [
    ("mjml", MJML, MJML.replace("</mj-column>", "\n#\n</mj-column>")),
    ("mjml", "|" + MJML, MJML.replace("</mj-column>", "\n#\n</mj-column>")),
    ("mjml", MJML.replace("Ann", "A|nn"), MJML.replace("</mj-text>", "</mj-text>\n#\n")),
    ("mjml", MJML.replace("<mj-text>", "|<mj-text>"), MJML.replace("<mj-text>", "\n#\n<mj-text>")),
    ("mjml", MJML.replace("spacer", "spa|cer"), MJML.replace("<mj-spacer />", "<mj-spacer />\n#\n")),
    (
        "mjml",
        "<mjml><mj-body></mj-body></mjml>",
        "mj-body><mj-section><mj-column>\n#\n</mj-column></mj-section>\n</mj-body",
    ),
    ("markdown", "# Title", "# Title\n\n#\n"),
    ("markdown", "|# Title", "#\n\n# Title"),
    ("markdown", "One | two", "One # two"),
    ("html", "<body><p>Hi</p></body>", "<p>Hi</p>#\n</body>"),
    ("html", "<p>Hi|</p>", "<p>Hi#</p>"),
    ("html", '<p cl|ass="a">Hi</p>', '<p class="a">#Hi</p>'),
    ("html", "", "#\n"),
]


def test_an_image_goes_where_it_belongs(visitor: Page, campaign: Campaign) -> None:
    visitor.goto(change_page(campaign))

    for markup, marked, expected in PLACES:
        source, cursor = marked.replace("|", ""), marked.index("|") if "|" in marked else None
        place = visitor.evaluate("given => placeOfBlock(...given)", [markup, source, cursor])
        at = place["at"]
        assert expected in source[:at] + place["opening"] + "#" + place["closing"] + source[at:], marked


def test_a_picture_of_the_library_is_put_into_a_column(
    visitor: Page, campaign: Campaign, page_problems: list[str]
) -> None:
    MediaFile.objects.create(
        name="snow.png",
        alt="Snow",
        stored_name="snow.png",
        kind="image",
        content_type="image/png",
        size_bytes=1,
        width=800,
        height=400,
    )
    Campaign.objects.update(markup="mjml", mjml=MJML)
    visitor.goto(change_page(campaign))
    visitor.get_by_role("toolbar").locator("visible=true").get_by_role("button", name="Image").click()

    visitor.get_by_role("button", name="Snow").click()

    expect(visitor.locator("#writing-state")).to_have_text(re.compile(r"^Saved at"))
    campaign.refresh_from_db()
    assert re.search(
        r'<mj-spacer />\s*<mj-image src="[^"]+snow.png" alt="Snow" width="600px" />\s*</mj-column>', campaign.mjml
    )
    page_problems.clear()  # The library has no such file.
