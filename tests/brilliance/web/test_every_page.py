"""A walk over all pages: nothing on the console, all that opens still opens, and axe finds nothing grave."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.template import Context, Template
from django.test import Client
from django.urls import get_resolver
from playwright.sync_api import Page

from tests.brilliance.test_roles import addresses, filled, things  # noqa: F401 - a fixture is asked for by its name.
from tests.harness.browser import serious, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def pages(things: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:  # noqa: F811
    """Yield the addresses of pages, but only one of those that are drawn by the very same templates."""
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.get(username="boss"))
    drawn: set[frozenset[str | None]] = set()
    names: set[str | None] = set()

    def render(template: Template, context: Context) -> str:
        names.add(template.name)
        return template.nodelist.render(context)

    monkeypatch.setattr(Template, "_render", render)  # Those that are included count as well.
    for address in addresses(get_resolver().url_patterns):
        opened = filled(address, things)
        names.clear()
        answer = client.get(opened)
        templates = frozenset(names)
        is_page = answer.status_code == 200 and "html" in answer.headers.get("Content-Type", "")
        is_sandboxed = "sandbox" in answer.headers["Content-Security-Policy"]
        if is_page and not is_sandboxed and templates not in drawn and "logout" not in address:
            drawn.add(templates)
            yield opened


def press_everything(page: Page) -> None:
    """Press everything that opens; an expression that cannot be evaluated ends on the console."""
    page.evaluate(
        """async () => {
             for (const element of document.querySelectorAll("[x-on\\\\:click]"))
               if (!element.matches("a[href], [type=submit]")) element.click();
             await new Promise((done) => requestIdleCallback(done));
           }"""
    )


@pytest.mark.timeout(900)
def test_every_page_works_and_keeps_nobody_out(
    things: dict[str, Any],  # noqa: F811
    live_server: object,
    page: Page,
    page_problems: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sign_in(page, User.objects.create_superuser("boss"))
    page.emulate_media(reduced_motion="reduce")
    page.on("dialog", lambda dialog: dialog.accept())  # A page with changes asks before it is left.
    seen = 0
    grave = {}
    for address in pages(things, monkeypatch):
        for width in (1440, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(address)
            if width == 1440 and page.title():  # Without one it is a part of a page, which scripts ask for.
                grave[address] = serious(page)
                page.evaluate("document.documentElement.classList.add('dark')")
                grave[address] += serious(page, "color-contrast", "link-in-text-block")
            press_everything(page)
            assert [problem for problem in page_problems if "favicon.ico" not in problem] == [], (address, width)
            page_problems.clear()
            seen += 1
    assert {address: problems for address, problems in grave.items() if problems} == {}
    assert len(grave) > 60
    assert seen > 120
