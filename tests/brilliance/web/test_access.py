"""The pages by keyboard and screen reader: what has the focus is seen and has a name."""

from typing import Any, Literal

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from tests.harness.browser import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def boss(live_server: object, page: Page) -> Page:
    sign_in(page, User.objects.create_superuser("boss"))
    page.emulate_media(reduced_motion="reduce")
    return page


def focused(page: Page) -> dict[str, Any]:
    """What has the focus: its name, and whether it is in the window and not behind the bar with Save."""
    return page.evaluate(
        """() => {
             const element = document.activeElement;
             const box = element.getBoundingClientRect();
             const at = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height, 40) / 2);
             const label = element.ariaLabel || element.labels?.[0]?.textContent || element.title || "";
             const bar = document.querySelector("#submit-row");
             return {
               id: element.id,
               name: (label + element.innerText).trim(),
               isCovered: Boolean(bar && !bar.contains(element) && bar.contains(at)),
             };
           }"""
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_the_first_stop_skips_the_sidebar(boss: Page, width: int, theme: Literal["light", "dark"]) -> None:
    boss.set_viewport_size({"width": width, "height": 900})
    boss.emulate_media(color_scheme=theme)
    boss.goto("/admin/contacts/contact/")
    expect(boss.get_by_role("main")).to_have_count(1)
    boss.keyboard.press("Tab")
    skip = boss.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    assert _outline(boss) == "solid"

    boss.keyboard.press("Enter")
    expect(boss.get_by_role("main")).to_be_focused()
    assert _outline(boss) == "solid"
    boss.keyboard.press("Tab")
    assert boss.evaluate("document.querySelector('main').contains(document.activeElement)")


def _outline(page: Page) -> str:
    """Return the style of the mark around what has the focus."""
    style: str = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    return style


@pytest.mark.parametrize("width", [1440, 390])
def test_a_keyboard_reaches_the_menu_of_the_person_and_signs_out(boss: Page, width: int) -> None:
    boss.set_viewport_size({"width": width, "height": 900})
    boss.goto("/admin/")
    if width == 390:
        boss.get_by_role("button", name="Sidebar", exact=True).press("Enter")
        expect(boss.get_by_role("button", name="Close sidebar")).to_be_focused()
    names = []
    for _ in range(50):
        boss.keyboard.press("Tab")
        names.append(focused(boss)["name"])
        if "boss" in names[-1]:
            break
    assert "boss" in names[-1], names
    assert all(names), names

    boss.keyboard.press("Enter")
    boss.get_by_role("button", name="Log out").press("Enter")
    boss.wait_for_url("**/admin/logout/")


def test_the_bar_with_save_hides_no_field_that_has_the_focus(boss: Page) -> None:
    boss.goto("/admin/smtpservers/smtpserver/add/")
    boss.locator("#main-content").focus()
    for _ in range(40):
        boss.keyboard.press("Tab")
        assert not focused(boss)["isCovered"], focused(boss)


def test_icons_are_no_part_of_names(boss: Page) -> None:
    boss.goto("/admin/")

    expect(boss.get_by_role("link", name="Campaigns", exact=True)).to_be_visible()
    assert boss.locator(".material-symbols-outlined:not([aria-hidden=true], [role])").count() == 0
