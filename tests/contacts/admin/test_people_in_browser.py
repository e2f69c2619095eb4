"""Attributes, a person's story and their rights in a real browser."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from contacts.models import Attribute, Contact, ContactList, Suppression
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_an_attribute_is_defined_typed_and_filtered_by(
    live_server: LiveServer, page: Page, marketer: User, ann: Contact
) -> None:
    sign_in(page, marketer)

    page.goto("/admin/contacts/attribute/add/")
    choices = page.locator("textarea[name=choices]")
    expect(choices).to_be_hidden()
    page.get_by_label("Label").fill("Größe des Clubs")
    expect(page.locator("input[name=name]")).to_have_value("grosse_des_clubs")
    page.get_by_label("Kind").select_option("choice")
    choices.fill("Gold\nSilver")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/attribute/")
    definition = Attribute.objects.get()

    page.goto(f"/admin/contacts/contact/{ann.pk}/change/")
    page.get_by_label("Größe des Clubs").select_option("Silver")
    page.get_by_role("button", name="Save", exact=True).click()
    page.wait_for_url("**/contact/")

    ann.refresh_from_db()
    assert ann.attributes == {definition.name: "Silver"}
    page.goto(f"/admin/contacts/contact/?attribute.{definition.name}==Gold")
    expect(page.get_by_text("Ann@example.org")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1440])
def test_a_persons_pages_fit_and_erasing_works_by_keyboard(
    live_server: LiveServer, page: Page, marketer: User, ann: Contact, width: int
) -> None:
    news = ContactList.objects.create(name="A list with a rather long name, as people like to give")
    ann.subscriptions.create(list=news)
    Attribute.objects.create(name="since", label="Customer since", kind="date")
    Attribute.objects.create(name="size", label="Shoe size", kind="number")
    Suppression.objects.create(email=ann.email, source="550 5.1.1 " + "x" * 200)
    sign_in(page, marketer)
    page.set_viewport_size({"width": width, "height": 844})

    for path in ("contact/", f"contact/{ann.pk}/change/", f"contact/{ann.pk}/personal-data/", "attribute/"):
        page.goto(f"/admin/contacts/{path}")
        assert sideways_scroll(page) == 0, path
    page.goto(f"/admin/contacts/contact/{ann.pk}/erase/")
    assert sideways_scroll(page) == 0
    page.get_by_label("Address to erase").fill("ann@example.org")
    page.keyboard.press("Enter")

    expect(page.get_by_text("Person erased.")).to_be_visible()
    assert not Contact.objects.exists()
