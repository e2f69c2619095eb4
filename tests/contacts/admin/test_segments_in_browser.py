"""The builder of segments in a real browser: by keyboard, on a phone, with mistakes named where they are."""

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from contacts.models import Attribute, Contact, ContactList, Segment, Subscription
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_segment_is_built_counted_saved_and_built_on(live_server: LiveServer, page: Page, marketer: User) -> None:
    Attribute.objects.create(name="size", label="Shoe size", kind="number")
    news = ContactList.objects.create(name="News <b>")
    for number, size in enumerate((36, 38, 40)):
        contact = Contact.objects.create(email=f"p{number}@example.org", first_name="Ann", attributes={"size": size})
        Subscription.objects.create(contact=contact, list=news)
    sign_in(page, marketer)
    page.set_viewport_size({"width": 390, "height": 844})

    page.goto("/admin/contacts/segment/add/")
    count = page.locator("[data-sentence]")
    expect(count).to_have_text("Complete the conditions to see who meets them.")
    page.get_by_label("Name", exact=False).first.fill("Large feet")
    add = page.get_by_role("button", name="Add condition")
    add.focus()
    page.keyboard.press("Enter")
    about = page.get_by_label("Field", exact=True)
    expect(about).to_be_focused()
    about.select_option(label="Shoe size")
    page.get_by_label("Comparison", exact=True).select_option(label="is at least")
    expect(page.get_by_text("Shoe size is at least: fill in the number.")).to_be_visible()
    page.get_by_label("the number").fill("38")
    expect(count).to_have_text("2 of 3 people meet the conditions.")
    expect(page.get_by_role("link", name="p1@example.org")).to_be_visible()

    page.get_by_role("button", name="Add group").click()
    group = page.locator("[data-group] [data-group]")
    group.locator("[data-match]").select_option("none")
    group.get_by_label("Field", exact=True).select_option(label="List")
    group.get_by_label("News <b>").check()
    expect(count).to_have_text("0 of 3 people meet the conditions.")
    group.get_by_role("button", name="Remove group").click()
    expect(count).to_have_text("2 of 3 people meet the conditions.")
    expect(page.get_by_label("Field", exact=True)).to_be_focused()
    assert sideways_scroll(page) == 0
    with page.expect_navigation():
        page.get_by_role("button", name="Save and continue editing").click()

    expect(page.get_by_label("the number")).to_have_value("38")
    expect(count).to_have_text("2 of 3 people meet the conditions.")
    asked = {"field": "attribute:size", "operator": "number.at_least", "number": 38}
    assert Segment.objects.get().conditions == {"match": "all", "conditions": [asked]}

    Attribute.objects.all().delete()
    page.reload()
    expect(page.get_by_text("There is no attribute named “size” any more")).to_be_visible()
    expect(page.get_by_label("Field", exact=True)).to_have_value("attribute:size")


def test_a_refusal_is_told_once_and_goes_when_it_is_corrected(
    live_server: LiveServer, page: Page, marketer: User
) -> None:
    sign_in(page, marketer)
    page.goto("/admin/contacts/segment/add/")
    page.locator("[name=name]").fill("Anns")
    page.get_by_role("button", name="Save", exact=True).click()

    missing = page.get_by_text("Add at least one condition.")
    expect(missing).to_have_count(1)
    expect(page.locator("[data-problem]:visible")).to_have_text("Add at least one condition.")

    page.get_by_role("button", name="Add condition").click()
    page.locator("[data-parameter]").fill("Ann")

    expect(missing).to_have_count(0)
    expect(page.locator("[data-problem]:visible, .errorlist:visible")).to_have_count(0)
    expect(page.get_by_text("Please correct the error")).to_have_count(0)
