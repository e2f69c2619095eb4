"""The review page with many findings in a real browser: it fits a phone, and its notes unfold."""

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from playwright.sync_api import Page, expect

from campaigns.models import Campaign
from mail.records.finding import Line
from smtpservers.models import SmtpServer
from tests.campaigns.gate import AUTHOR, ENVELOPE, know, know_all, tried
from tests.harness.browser import serious, sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def troubled(relayed: Campaign, relay: SmtpServer) -> Campaign:
    """Ten findings and more, of all weights and places."""
    now = timezone.now()
    know_all(now)
    for domain, line, state, fault, sentence in (
        (
            ENVELOPE,
            Line.SPF,
            "broken",
            "spf-missing",
            f"{ENVELOPE} has no SPF record. Large providers reject its mail.",
        ),
        (AUTHOR, Line.DMARC, "look", "dmarc-no-reports", "No reports are asked for: rua is missing."),
        (AUTHOR, Line.DKIM, "look", "dkim-weak-key", f"The key of s1._domainkey.{AUTHOR} has 1024 bits."),
        (AUTHOR, Line.MX, "broken", "soa-missing", f"{AUTHOR} has no SOA record, and Yahoo rejects such senders."),
        (AUTHOR, Line.MTA_STS, "look", "mta-sts-testing", "The policy has been in test mode for 90 days."),
    ):
        know(domain, line, state, fault, sentence, asked_at=now)
    tried(relay, asked_at=now, fault="sign-in", sentence="The username or password was rejected. Enter it again.")
    SmtpServer.objects.update(use_abuse_address=False, preset="m365", username="news@gatehouse.net")
    relayed.subject = "Re: SNOW"
    relayed.html = '<p>Snow! <a href="http://localhost/x">Sale</a> <a href="https://bit.ly/abc">More</a></p>'
    relayed.save()
    return relayed


@pytest.mark.parametrize("width", [1440, 390])
def test_many_findings_fit_the_page(
    live_server, people: dict[str, User], troubled: Campaign, page: Page, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    sign_in(page, people["admin"])
    page.goto(f"/campaigns/{troubled.pk}/review/")

    expect(page.get_by_role("heading", name="Fix before sending")).to_be_visible()
    expect(page.locator('.review-findings > li[data-severity="block"]').first).to_be_visible()
    assert page.locator(".review-findings > li").count() >= 10
    notes = page.get_by_text("For your information", exact=False)
    expect(page.get_by_text("test mode for 90 days")).to_be_hidden()
    notes.click()
    expect(page.get_by_text("test mode for 90 days")).to_be_visible()
    assert sideways_scroll(page) == 0
    assert serious(page) == []
