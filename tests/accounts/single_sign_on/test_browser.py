"""Single sign-on as people use it: in Chromium, on a phone's width and by keyboard alone."""

import time
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.accounts.test_browser import PHONE, tab_to
from tests.harness.browser import serious, sideways_scroll
from tests.peers.issuer import ScriptedIssuer

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_single_sign_on_on_a_phone_by_keyboard_alone(
    page: Page, live_server: Any, issuer: ScriptedIssuer, settings: Any
) -> None:
    settings.BASE_URL = live_server.url
    issuer.claims |= {"groups": ["mail-admins"], "preferred_username": "ann"}
    page.set_viewport_size(PHONE)

    page.goto("/admin/smtpservers/smtpserver/add/")
    expect(page.get_by_label("Username")).to_be_visible()
    assert sideways_scroll(page) == 0
    assert serious(page) == []
    expect(page.get_by_role("link", name="Log in with single sign-on")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Confirm it's you")).to_be_visible()  # The issuer didn't say since when.
    expect(page.get_by_label("Your password")).to_have_count(0)
    assert sideways_scroll(page) == 0
    issuer.claims["auth_time"] = int(time.time())
    tab_to(page, "Confirm with single sign-on")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_visible()

    page.goto("/accounts/factors/")
    page.get_by_role("button", name="Log out").click()
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Wrong username or password.")).to_be_visible()
    expect(page.get_by_label("Username")).to_be_focused()
    settings.OIDC_ONLY = True
    page.goto("/admin/")
    expect(page.get_by_label("Username")).to_have_count(0)
    expect(page.get_by_role("link", name="Log in with single sign-on")).to_be_visible()
    issuer.claims["nonce"] = "of another sign-in"
    page.get_by_role("link", name="Log in with single sign-on").click()
    expect(page.get_by_text("Single sign-on didn't work.")).to_be_visible()
    assert sideways_scroll(page) == 0
