"""What brilliance.css mends of unfold's look: focus, contrast, long words, and where things stand."""

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page

from contacts.models import Contact, ContactList
from smtpservers.models import SmtpServer
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = {"width": 390, "height": 844}
# The contrast of a text with what stands behind it, by WCAG 2.2. A canvas turns every notation of a colour into bytes.
CONTRAST = """element => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const behind = [];
  for (let each = element; each; each = each.parentElement) behind.unshift(getComputedStyle(each).backgroundColor);
  const light = () => {
    const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const lights = [...behind, getComputedStyle(element).color].map((colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return light();
  });
  const [text, ground] = [lights.pop(), lights.pop()];
  return (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
}"""


@pytest.fixture
def boss(live_server: object, page: Page) -> Page:
    sign_in(page, User.objects.create_superuser("boss"))
    return page


def test_a_switch_shows_that_it_has_the_focus(boss: Page) -> None:
    boss.goto("/admin/smtpservers/smtpserver/add/")
    switch = boss.get_by_role("checkbox", name="Active")

    switch.focus()
    boss.keyboard.press("Shift+Tab")
    boss.keyboard.press("Tab")

    assert switch.evaluate("each => each.matches(':focus-visible')")
    assert switch.evaluate("each => getComputedStyle(each).outlineStyle") == "solid"


def test_in_the_dark_marks_have_enough_contrast(boss: Page) -> None:
    boss.emulate_media(color_scheme="dark")
    for number in range(120):
        Contact.objects.create(email=f"p{number}@example.com", email_key=f"p{number}@example.com")

    boss.goto("/admin/contacts/contact/")
    for mark in ("#nav-sidebar a.active", "main :not(.place-tabs) > [aria-current=page]"):
        assert boss.locator(mark).first.evaluate(CONTRAST) >= 4.5, mark
    boss.goto("/admin/contacts/contactlist/add/")
    assert boss.locator("label span", has_text="*").first.evaluate(CONTRAST) >= 4.5
    boss.goto("/admin/smtpservers/smtpserver/add/")
    assert boss.locator(".asteriskField").first.evaluate(CONTRAST) >= 4.5


def test_a_long_word_in_a_name_leaves_the_page_as_wide_as_a_phone(boss: Page) -> None:
    word = "Donaudampfschifffahrtsgesellschaft" * 2
    named = ContactList.objects.create(name=word)
    server = SmtpServer.objects.create(name=word, host="relay.example", mail_from="a@example.com")
    boss.set_viewport_size(PHONE)

    for address in (
        f"/admin/contacts/contactlist/{named.pk}/change/",
        f"/admin/contacts/contactlist/{named.pk}/delete/",
        f"/servers/{server.pk}/held-back/",
    ):
        boss.goto(address)
        assert boss.evaluate("document.documentElement.scrollWidth") == PHONE["width"], address
        assert sideways_scroll(boss) == 0, address


def test_delete_stands_apart_from_save_on_a_phone(boss: Page) -> None:
    named = ContactList.objects.create(name="News")
    boss.set_viewport_size(PHONE)

    boss.goto(f"/admin/contacts/contactlist/{named.pk}/change/")

    above, delete = boss.locator("[name=_addanother]").bounding_box(), boss.locator("#submit-row a").bounding_box()
    assert above is not None
    assert delete is not None
    assert delete["y"] - above["y"] - above["height"] >= 40


@pytest.mark.parametrize("role", ["admin", "marketer", "ops", "viewer"])
def test_the_menu_begins_at_the_top_for_every_role(live_server: object, page: Page, role: str) -> None:
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    sign_in(page, user)

    page.goto("/admin/")

    first = page.locator("#nav-sidebar-apps li").first.bounding_box()
    apps = page.locator("#nav-sidebar-apps").bounding_box()
    assert first is not None
    assert apps is not None
    assert first["y"] - apps["y"] < 100


def test_the_heading_of_a_searched_list_is_read_in_full_on_a_phone(boss: Page) -> None:
    boss.set_viewport_size(PHONE)

    boss.goto("/admin/contacts/contact/?q=ann")

    heading = boss.locator(".crumbs h1")
    assert heading.evaluate("each => each.scrollWidth <= each.clientWidth")
    assert boss.get_by_role("link", name="Show all").is_visible()
