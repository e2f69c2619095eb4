"""The keys of a domain in a real browser: copied by keyboard, readable on a phone, and revoked after a question."""

import os
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from domains import tasks
from domains.keys import lifecycle
from domains.models import DkimKey, SendingDomain
from tests.harness.browser import serious, sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_record_is_copied_and_the_keys_are_revoked(
    live_server: LiveServer, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.keep_keys, "apply_async", lambda **options: None)
    ops = User.objects.create_user("ops-person", is_staff=True)
    ops.groups.add(Group.objects.get(name="ops"))
    domain = SendingDomain.objects.create(name="shop.example")
    lifecycle.make_pair(domain.pk, timezone.now())
    rsa = DkimKey.objects.get(algorithm="rsa")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    sign_in(page, ops)

    page.goto(f"/admin/domains/sendingdomain/{domain.pk}/change/")
    page.get_by_role("button", name=f"Copy value of {rsa.selector}").focus()
    page.keyboard.press("Enter")

    expect(page.get_by_role("button", name=f"Copy value of {rsa.selector}")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == rsa.record
    assert serious(page) == []
    _picture(page, "keys-1440")
    page.set_viewport_size({"width": 390, "height": 844})
    assert sideways_scroll(page) == 0
    _picture(page, "keys-390")
    page.get_by_role("link", name="Revoke now…").click()
    expect(page.get_by_role("heading", name="Revoke the DKIM keys of shop.example?")).to_be_visible()
    assert serious(page) == []
    assert sideways_scroll(page) == 0
    _picture(page, "revoke-390")
    page.get_by_role("button", name="Revoke keys").click()
    expect(page.get_by_text("Record to replace").first).to_be_visible()
    assert DkimKey.objects.filter(state="revoked").count() == 2


def _picture(page: Page, name: str) -> None:
    """Save a picture for a person to look at, where a folder is named."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)
