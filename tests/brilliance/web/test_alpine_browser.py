"""unfold's pages under a policy without 'unsafe-eval': nothing on the console, and all that opens still opens."""

import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from contacts.models import Contact
from tests.brilliance.security.test_markup import installed_templates
from tests.brilliance.test_roles import addresses, filled, things  # noqa: F401 - a fixture is asked for by its name.
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

LIST = "/admin/contacts/contact/"
# Alpine's attributes, once Django's tags are gone.
ATTRIBUTE = re.compile(r"""(?<![\w-])((?:x-|@|:)[a-z][\w:.-]*)=("[^"]*"|'[^']*')""")
NO_EXPRESSION = ("x-ref", "x-teleport", "x-cloak", "x-transition")
UNUSED = {"unfold/forms/array.html"}  # Lists of values in one field; no form has one.


@pytest.fixture
def boss(live_server: object, page: Page) -> Page:
    sign_in(page, User.objects.create_superuser("boss"))
    return page


def expressions() -> Iterator[tuple[str, str, str]]:
    """Yield what each installed template asks Alpine to evaluate: the template's name, the attribute, its value."""
    for name, source in installed_templates():
        source = re.sub(
            r"\{#.*?#\}|\{% else %\}.*?(?=\{% endif %\})|\{% (if|elif|endif|for|endfor)\b.*?%\}", "", source
        )
        for attribute, quoted in ATTRIBUTE.findall(re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "1", source)):
            expression = quoted[1:-1].split(" in ")[-1] if attribute == "x-for" else quoted[1:-1]
            if name not in UNUSED and expression not in ("", "1") and not attribute.startswith(NO_EXPRESSION):
                yield name, attribute, expression


def test_every_installed_template_asks_only_for_what_can_be_evaluated(boss: Page, page_problems: list[str]) -> None:
    boss.goto("/admin/")
    asked = list(expressions())

    refused = boss.evaluate(
        """async (asked) => {
             const isRefused = ([name, attribute, expression]) => {
               const element = document.createElement("p");
               // What fails in x-data is on the console.
               if (attribute === "x-data") element.setAttribute(attribute, expression);
               document.body.append(element);
               if (attribute !== "x-data") try { Alpine.evaluateRaw(element, expression); } catch (error) {
                 const unknown = error.message.match(/^Undefined variable: (.*)/);
                 return error.message.includes("Parser") || (unknown && unknown[1] !== "open" && unknown[1] in window);
               }
             };
             const refused = asked.filter(isRefused);
             await new Promise((done) => requestIdleCallback(done));
             return refused;
           }""",
        asked,
    )

    assert len(asked) > 150
    assert refused == [], refused
    assert page_problems == []


def test_the_menu_of_the_person_and_the_theme_work_by_mouse_and_by_keyboard(boss: Page) -> None:
    boss.goto("/admin/")
    root, menu = boss.locator("html"), boss.get_by_role("button", name="boss")
    dark, light = (boss.locator(f"[x-on\\:click=\"switchTheme('{theme}')\"]") for theme in ("dark", "light"))

    menu.click()
    dark.click()
    expect(root).to_have_class("dark")
    boss.locator("h1").first.click()
    expect(dark).to_be_hidden()

    menu.focus()
    boss.keyboard.press("Enter")
    expect(light).to_be_visible()
    light.focus()
    boss.keyboard.press("Space")
    expect(root).to_have_class("light")

    boss.keyboard.press("Control+e")
    expect(root).to_have_class("dark")
    boss.reload()
    expect(root).to_have_class("dark")


def test_the_sidebar_closes_stays_closed_and_opens_by_the_keyboard(boss: Page) -> None:
    boss.goto("/admin/")
    sidebar, switch = boss.locator("#nav-sidebar"), boss.get_by_role("button", name="Sidebar")

    switch.click()
    expect(sidebar).to_be_hidden()
    boss.goto(LIST)
    expect(sidebar).to_be_hidden()
    expect(switch).to_have_attribute("aria-expanded", "false")
    switch.press("Enter")
    expect(sidebar).to_be_visible()

    boss.set_viewport_size({"width": 390, "height": 844})
    expect(sidebar).to_be_hidden()
    switch.press("Enter")
    expect(sidebar).to_be_visible()
    boss.locator("#nav-sidebar [x-on\\:click='sidebarMobileOpen = !sidebarMobileOpen']").click()
    expect(sidebar).to_be_hidden()
    assert sideways_scroll(boss) == 0


def open_palette(page: Page) -> None:
    """Press its keys, once Alpine listens to them."""
    expect(page.locator("#nav-sidebar [role=button]").first).to_be_attached()
    page.keyboard.press("Control+k")
    expect(page.locator("#search-input-command")).to_be_focused()


def look_for(page: Page, word: str) -> None:
    """Type a word at once: typed letter by letter on a busy machine, its first letters are searched for as well."""
    page.keyboard.insert_text(word)
    page.keyboard.press("Shift")


def test_the_command_palette_finds_and_opens_by_keys_and_by_mouse(boss: Page) -> None:
    boss.goto("/admin/")
    found = boss.locator("#command-results-list a")

    open_palette(boss)
    look_for(boss, "suppr")
    expect(found.first).to_be_visible()
    boss.keyboard.press("ArrowDown")
    boss.keyboard.press("Enter")
    boss.wait_for_url("**/admin/contacts/suppression*/")

    open_palette(boss)
    look_for(boss, "segm")
    found.first.click()
    boss.wait_for_url("**/admin/contacts/segment/")

    open_palette(boss)
    boss.keyboard.press("Escape")
    expect(boss.locator("#search-input-command")).to_be_hidden()


def test_a_list_is_searched_paged_and_acted_on(boss: Page) -> None:
    for number in range(120):
        Contact.objects.create(email=f"p{number}@example.com", email_key=f"p{number}@example.com")
    boss.goto(f"{LIST}?o=1")

    boss.keyboard.press("/")
    expect(boss.locator("#searchbar")).to_be_focused()
    boss.locator("#changelist-form").get_by_role("checkbox").nth(1).check()
    expect(boss.locator("select[name=action]")).to_be_visible()
    boss.get_by_role("link", name="2", exact=True).click()
    boss.wait_for_url("**?o=1&p=2")
    expect(boss.locator("main :not(.place-tabs) > [aria-current=page]")).to_have_text("2")


def test_arrows_say_at_which_sides_of_a_narrow_row_more_tabs_are(boss: Page) -> None:
    boss.set_viewport_size({"width": 390, "height": 800})
    tabs = boss.locator(".place-tabs")

    boss.goto("/admin/installation/sitesettings/")
    expect(tabs).to_have_class("place-tabs more-after")
    boss.goto("/admin/auth/user/")
    expect(tabs).to_have_class("place-tabs more-before more-after")
    boss.set_viewport_size({"width": 1600, "height": 800})
    expect(tabs).to_have_class("place-tabs")


def test_a_form_keeps_its_tab_and_its_address(boss: Page) -> None:
    boss.goto("/admin/smtpservers/smtpserver/add/?_popup=1")

    boss.get_by_role("tab", name="Notes").press("ArrowRight")
    expect(boss.get_by_role("tab", name="Miscellaneous")).to_be_focused()
    expect(boss.locator("#smtpserver_form")).to_have_attribute("action", "/admin/smtpservers/smtpserver/add/?_popup=1")


def test_the_menu_of_the_person_takes_the_keyboard_in_and_gives_it_back(boss: Page) -> None:
    boss.goto("/admin/")
    opener, menu = boss.get_by_role("button", name="boss"), boss.locator("#user-menu")
    expect(opener).to_have_attribute("aria-expanded", "false")

    opener.focus()
    boss.keyboard.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    expect(menu.locator(":focus")).to_have_count(1)
    boss.keyboard.press("Escape")

    expect(menu).to_be_hidden()
    expect(opener).to_be_focused()


def test_escape_closes_the_sidebar_of_a_phone_and_returns_the_focus(boss: Page) -> None:
    boss.set_viewport_size({"width": 390, "height": 844})
    boss.goto("/admin/")
    opener, sidebar = boss.locator("#sidebar-opener"), boss.locator("#nav-sidebar")

    opener.click()
    expect(sidebar).to_be_visible()
    expect(sidebar.locator(":focus")).to_have_count(1)
    closer = sidebar.get_by_role("button", name="Close sidebar")
    for button in (opener, closer):
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 44
    boss.keyboard.press("Escape")

    expect(sidebar).to_be_hidden()
    expect(opener).to_be_focused()


def test_the_filters_take_the_keyboard_in_keep_it_and_give_it_back(boss: Page) -> None:
    boss.goto(LIST)
    opener, filters = boss.get_by_role("button", name="Filters", exact=True), boss.get_by_role("dialog", name="Filters")

    opener.press("Enter")
    closer = filters.get_by_role("button", name="Close filters")
    expect(closer).to_be_focused()
    boss.keyboard.press("Shift+Tab")
    expect(filters.locator(":focus")).to_have_count(1)
    boss.keyboard.press("Tab")
    expect(closer).to_be_focused()
    boss.keyboard.press("Escape")
    expect(filters).to_be_hidden()
    expect(opener).to_be_focused()

    opener.press("Enter")
    closer.press("Enter")
    expect(filters).to_be_hidden()
    expect(opener).to_be_focused()
