"""What unfold's own pages would do worse, on every page of the admin."""

import pytest
from django.contrib.auth.models import Group, User
from playwright.sync_api import Page, expect

from contacts.models import Contact, ContactList
from tests.harness.browser import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
CONTACTS = "/admin/contacts/contact/"


@pytest.fixture
def admin(live_server: object, page: Page) -> Page:
    user = User.objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    sign_in(page, user)
    return page


def make_contact() -> Contact:
    return Contact.objects.create(email="ann@example.com", email_key="ann@example.com")


def test_the_button_that_adds_says_what_it_adds_also_where_only_its_sign_is_seen(admin: Page) -> None:
    make_contact()
    admin.goto(CONTACTS)

    expect(admin.get_by_role("link", name="Add contact")).to_contain_text("Add contact")
    admin.set_viewport_size({"width": 390, "height": 844})
    expect(admin.get_by_role("link", name="Add contact")).to_be_in_viewport()
    assert admin.get_by_role("link", name="Add contact").bounding_box()["width"] < 60


def test_a_cell_of_a_list_grows_with_its_text_on_a_small_screen(admin: Page) -> None:
    ContactList.objects.create(name="News", description="What is new in the house and around it. " * 4)
    admin.set_viewport_size({"width": 390, "height": 844})
    admin.goto("/admin/contacts/contactlist/")

    cells = "[...document.querySelectorAll('#result_list td')]"
    assert admin.evaluate(f"{cells}.filter(cell => cell.scrollHeight > cell.clientHeight + 1).length") == 0


def test_an_empty_list_differs_from_a_search_that_found_nothing(admin: Page) -> None:
    admin.goto(CONTACTS)
    expect(admin.get_by_role("heading", name="No contacts yet")).to_be_visible()

    admin.goto(f"{CONTACTS}?q=nobody")
    expect(admin.get_by_role("heading", name="No contacts match “nobody”")).to_be_visible()
    admin.get_by_role("link", name="Clear search").click()
    expect(admin.get_by_role("heading", name="No contacts yet")).to_be_visible()


def test_on_a_phone_delete_stands_below_save(admin: Page) -> None:
    admin.set_viewport_size({"width": 390, "height": 844})
    admin.goto(f"{CONTACTS}{make_contact().pk}/change/")

    save = admin.get_by_role("button", name="Save", exact=True).bounding_box()
    delete = admin.get_by_role("link", name="Delete contact").bounding_box()
    assert save["y"] + save["height"] <= delete["y"]


def test_a_page_is_headed_by_the_name_as_it_is_written(admin: Page) -> None:
    admin.goto(f"{CONTACTS}{make_contact().pk}/change/")
    way = admin.get_by_role("navigation", name="Breadcrumb")
    expect(way.get_by_role("link")).to_have_text(["Audience", "Contacts"])
    expect(admin.locator("h1")).to_have_text("ann@example.com")

    admin.set_viewport_size({"width": 390, "height": 844})
    expect(admin.locator("h1")).to_be_in_viewport()
    way.get_by_role("link", name="Contacts").click()
    admin.wait_for_url(f"**{CONTACTS}")


def test_times_are_written_in_one_notation(admin: Page) -> None:
    make_contact()
    admin.goto(CONTACTS)

    assert admin.locator("td.field-created").inner_text().count(":") == 1
    expect(admin.locator("td.field-created")).not_to_contain_text(".m.")


def test_the_open_tab_is_in_sight_on_a_phone(admin: Page) -> None:
    admin.set_viewport_size({"width": 390, "height": 844})
    admin.goto("/admin/campaigns/seedlist/")

    expect(admin.get_by_role("navigation", name="Settings").get_by_role("link", name="Seed lists")).to_be_in_viewport(
        ratio=1
    )
