"""A rule is made and tried, as a person does it."""

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from smtpservers.models import Route, SmtpServer
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_rule_is_made_and_tried(live_server: object, page: Page) -> None:
    for name in ("Alpha", "Beta"):
        SmtpServer.objects.create(name=name, host="localhost", mail_from="News <a@shop.example>")
    user = User.objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    sign_in(page, user)

    page.goto("/admin/")
    page.get_by_role("link", name="Servers").first.click()
    page.get_by_role("link", name="Routing").click()
    page.get_by_role("link", name="Add routing rule").click()
    page.get_by_label("Name").fill("Gmail")
    page.get_by_label("Recipient domains").fill("gmail.com")
    page.get_by_label("Beta").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("row", name="Gmail")).to_contain_text("To gmail.com")

    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_label("Recipient").fill("ann@gmail.com")
    page.get_by_role("button", name="Test rules").click()

    expect(page.get_by_role("heading", name="Beta would send it")).to_be_visible()
    expect(page.get_by_text("Rule “Gmail”: Beta is first in the display order.")).to_be_visible()
    assert sideways_scroll(page) == 0
    assert Route.objects.get(name="Gmail").recipient_domains == "gmail.com"
