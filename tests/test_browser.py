"""The browser that the tests use tells what a page did wrong."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page

from tests.harness.browser import sideways_scroll, sign_in

pytestmark = pytest.mark.browser


def test_a_signed_in_person_sees_the_admin(live_server: object, page: Page) -> None:
    sign_in(page, User.objects.create_superuser("ada", "ada@brilliance.test"))

    page.goto("/admin/")

    assert page.locator("form[action='/admin/logout/']").count() == 1
    assert sideways_scroll(page) == 0


def test_requests_to_other_hosts_and_script_errors_are_noted(page: Page, page_problems: list[str]) -> None:
    page.set_content("<img src='http://tracker.example.com/pixel.gif'><script>nonsense()</script>")
    page.wait_for_function("document.images[0].complete")

    noted = "\n".join(page_problems)
    page_problems.clear()

    assert "request to another host: http://tracker.example.com/pixel.gif" in noted
    assert "exception: nonsense is not defined" in noted
