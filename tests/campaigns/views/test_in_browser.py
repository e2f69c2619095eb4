"""The campaign's pages in a real browser: they keep themselves true, fit a phone, and run nothing of a mail."""

import datetime as dt

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from campaigns.audience import headcounts
from campaigns.models import Campaign, Tally
from campaigns.preflight import census
from contacts.models import Contact
from delivery import clock
from delivery.models import Mailing, MailingOutcome, Message
from smtpservers.models import SmtpServer
from tests.harness.browser import sideways_scroll, sign_in

NOW = dt.datetime(2026, 11, 30, 12, tzinfo=dt.UTC)
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def visitor(live_server, people: dict[str, User], server: SmtpServer, page: Page) -> Page:
    sign_in(page, people["marketer"])
    return page


def begin(campaign: Campaign) -> None:
    """As the worker would."""
    from campaigns.lifecycle import states

    assert states.start_due_campaigns(Campaign.objects.get(pk=campaign.pk).starts_at) == 1


def test_a_campaign_is_queued_followed_paused_and_finished_without_reloading(visitor: Page, campaign: Campaign) -> None:
    visitor.goto(f"/admin/campaigns/campaign/{campaign.pk}/change/")
    visitor.get_by_label("Name").fill("Winter sale at last")
    expect(visitor.get_by_role("heading", name="Winter sale at last", level=1)).to_be_visible()
    visitor.get_by_role("button", name="Review and send").click()
    visitor.get_by_text("Send now…").click()
    visitor.get_by_role("button", name="Send to 3 people").click()

    expect(visitor).to_have_title("Winter sale at last | Brilliance")
    expect(visitor.get_by_text("Starting.")).to_be_visible()
    expect(visitor.get_by_text("Campaign queued.")).to_be_visible()
    begin(campaign)
    expect(visitor.get_by_text("0 of 3 done.").first).to_be_visible()
    expect(visitor.get_by_text("Campaign queued.")).to_have_count(0)  # It started.
    Message.objects.filter(email="ann@example.com").update(status="accepted")
    expect(visitor.locator(".campaign-summary")).to_have_text("1 of 3 done.")
    expect(visitor.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "33")

    visitor.get_by_role("button", name="Pause").click()
    expect(visitor.locator(".campaign-summary")).to_have_text("Paused: 1 of 3 done.")
    visitor.get_by_role("button", name="Resume").click()
    expect(visitor.get_by_role("button", name="Pause")).to_be_visible()

    Message.objects.update(status="accepted")
    Campaign.objects.update(status="finished")
    expect(visitor.get_by_role("status")).to_have_text("Finished: 3 accepted.")
    expect(visitor.get_by_role("button", name="Pause")).to_have_count(0)


def test_cancelling_asks_first_and_works_by_keyboard(visitor: Page, campaign: Campaign) -> None:
    Campaign.objects.update(status="scheduled")
    visitor.goto(f"/campaigns/{campaign.pk}/")

    visitor.get_by_text("Cancel…").focus()
    visitor.keyboard.press("Enter")
    expect(visitor.get_by_text("This can't be undone.")).to_be_visible()
    visitor.keyboard.press("Tab")
    visitor.keyboard.press("Enter")

    expect(visitor.get_by_text("Cancelled. Unsent messages won't be sent.").first).to_be_visible()
    assert Campaign.objects.get().status == "cancelled"


def test_a_question_closes_by_escape_by_a_click_elsewhere_and_by_another_one(visitor: Page, campaign: Campaign) -> None:
    Campaign.objects.update(status="scheduled")
    visitor.goto(f"/campaigns/{campaign.pk}/")
    cancel, opened = visitor.get_by_text("Cancel…"), visitor.locator("details.campaign-sure[open]")

    cancel.click()
    expect(opened).to_have_count(1)
    visitor.keyboard.press("Escape")
    expect(opened).to_have_count(0)
    expect(cancel).to_be_focused()

    cancel.click()
    visitor.get_by_role("heading", level=2).first.click()
    expect(opened).to_have_count(0)

    # Another question, as a page with an A/B test has several.
    visitor.evaluate(
        """() => document.querySelector("#campaign-actions").insertAdjacentHTML("beforeend",
            '<details class="campaign-sure"><summary>Other…</summary><form></form></details>')"""
    )
    cancel.click()
    visitor.evaluate("() => { [...document.querySelectorAll('details.campaign-sure')].at(-1).open = true }")
    expect(opened).to_have_count(1)
    expect(opened).to_contain_text("Other…")


def test_the_preview_switches_views_and_a_script_in_the_mail_is_dead(
    visitor: Page, campaign: Campaign, page_problems: list[str]
) -> None:
    Campaign.objects.update(
        html='<h1>Hi {{ first_name }}</h1><script>parent.document.title = "taken"; document.body.append("ran")</script>'
    )
    visitor.goto(f"/campaigns/{campaign.pk}/preview/")

    frame = visitor.frame_locator(".campaign-frame iframe")
    expect(frame.get_by_role("heading")).to_have_text("Hi Ann")
    expect(frame.get_by_text("ran")).to_have_count(0)
    expect(visitor).to_have_title("Preview of Winter sale | Brilliance")
    assert any("sandboxed" in problem for problem in page_problems)
    page_problems.clear()  # Chromium tells that it blocked the script: that was the point.

    visitor.get_by_role("button", name="Phone").click()
    assert visitor.locator(".campaign-frame iframe").bounding_box()["width"] == 390
    visitor.get_by_role("button", name="Text").click()
    expect(visitor.locator(".campaign-frame pre")).to_be_visible()
    expect(visitor.locator(".campaign-frame iframe")).to_be_hidden()
    expect(visitor.get_by_role("button", name="Text")).to_have_attribute("aria-pressed", "true")


def test_no_page_scrolls_sideways_on_a_phone(visitor: Page, campaign: Campaign, server: SmtpServer) -> None:
    Contact.objects.filter(email="ann@example.com").update(email="a" * 60 + "@" + "b" * 60 + ".example.com")
    mailing = Mailing.objects.create(stream="campaign", name="x" * 100, subject="y" * 200)
    message = Message.objects.create(
        mailing=mailing,
        email="a" * 60 + "@" + "b" * 60 + ".example.com",
        email_key="a",
        status="bounced",
        reason="550 " + "z" * 300,
        server=server,
        message_id=f"<{'m' * 120}@example.com>",
    )
    Campaign.objects.update(
        status="sending", mailing=mailing, subject="s" * 200, html=f"<p style='width:900px'>{'w' * 300}</p>"
    )
    visitor.set_viewport_size({"width": 390, "height": 844})

    for server_name in ("Alpha", "n" * 100):
        MailingOutcome.objects.create(
            mailing=mailing, server_name=server_name, minute_at=NOW, outcome="accepted", number=5, first_at=NOW
        )
        Tally.objects.create(
            day=NOW.date(),
            mailing_id=mailing.pk,
            server_name=server_name,
            provider="p" * 80 + ".example",
            outcome="bounced",
            rule="user-unknown",
            number=7,
        )
    pages = ("", "preview/", "recipients/", "report/", "servers/")
    for path in (*(f"/campaigns/{campaign.pk}/{name}" for name in pages), f"/campaigns/recipients/{message.pk}/"):
        visitor.goto(path)
        assert sideways_scroll(visitor) == 0, path
    visitor.goto("/admin/campaigns/campaign/add/")
    assert sideways_scroll(visitor) == 0
    visitor.goto(f"/reports/?from={NOW:%Y-%m-%d}&to={NOW:%Y-%m-%d}")
    expect(visitor.locator("canvas")).to_have_count(3)
    assert sideways_scroll(visitor) == 0


@pytest.mark.parametrize("width", [1440, 390])
def test_a_page_that_waits_for_numbers_goes_on_by_itself(
    visitor: Page, campaign: Campaign, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(headcounts, "LARGE", 2)
    visitor.set_viewport_size({"width": width, "height": 844})
    visitor.goto(f"/campaigns/{campaign.pk}/review/")
    expect(visitor.get_by_role("status")).to_have_text("Counting recipients…")
    assert sideways_scroll(visitor) == 0

    census.take(clock.now())

    expect(visitor.get_by_role("heading", name="Checks")).to_be_visible()
    expect(visitor.get_by_text("refreshed after 10 minutes")).to_be_visible()


def test_a_form_shows_how_many_are_ticked_as_soon_as_they_are_counted(
    visitor: Page, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headcounts, "LARGE", 2)
    visitor.goto(f"/admin/campaigns/campaign/{campaign.pk}/change/")
    expect(visitor.locator(".campaign-audience")).to_have_text("Counting recipients…")

    census.take(clock.now())

    expect(visitor.locator(".campaign-audience")).to_contain_text("3 recipients.")
