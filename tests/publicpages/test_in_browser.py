"""The public pages in a real browser: without script, by keyboard, on a phone, and for those who listen to them."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Browser, Page, expect

from contacts.consent import changes
from contacts.models import Contact, ContactList, Subscription, Suppression
from delivery.content.tokens import preferences_url, tracking_url, unsubscribe_url, web_version_url
from delivery.models import Message
from publicpages import tasks
from publicpages.models import Appearance, SignUp
from publicpages.subscriptions import subscribe as subscriptions_subscribe
from publicpages.subscriptions.tracking import wordings
from publicpages.views import subscribe
from publicpages.views.embed import snippet
from tests.harness.browser import PATIENCE, serious, sideways_scroll, sign_in
from tests.publicpages.conftest import path_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

PHONE = {"width": 390, "height": 844}


@pytest.fixture
def phone(browser: Browser, live_server: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    """A page on a phone that runs no script."""
    monkeypatch.setattr(tasks, "ring", lambda: None)
    context = browser.new_context(base_url=live_server.url, viewport=PHONE, java_script_enabled=False, locale="en-GB")
    context.set_default_timeout(PATIENCE)
    yield context.new_page()
    assert context.cookies() == []
    context.close()


@pytest.fixture
def message(shop: ContactList, club: ContactList, sent: Any) -> Message:
    ann = Contact.objects.create(email="ann@example.com", language="de")
    Subscription.objects.create(contact=ann, list=shop)
    ContactList.objects.filter(pk=shop.pk).update(name="News about everything that is" + "x" * 100)
    return sent(ann, shop, html="<p>Snow.</p>", subject="Sale")


def test_a_person_unsubscribes_with_the_keyboard_on_a_phone(message: Message, page: Page, live_server: Any) -> None:
    page.set_viewport_size(PHONE)

    page.goto(path_of(unsubscribe_url(message.pk)))
    assert sideways_scroll(page) == 0
    expect(page.get_by_role("radio").first).to_be_checked()
    for key in ("Tab", "Tab", "Tab", "Enter"):  # The choice, the reasons, the button.
        page.keyboard.press(key)

    expect(page.get_by_role("heading")).to_have_text("Sie sind abgemeldet.")
    assert Subscription.objects.get().status == "unsubscribed"
    assert page.context.cookies() == []


def test_a_person_subscribes_confirms_and_chooses_without_script(
    phone: Page, club: ContactList, shop: ContactList, sent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscribe, "LEAST_FILLING", subscribe.LEAST_FILLING * 0)
    phone.goto("/subscribe")
    phone.get_by_label("Email address").fill("ann@example.com")
    phone.get_by_role("button", name="Subscribe").click()
    expect(phone.get_by_role("alert")).to_have_text("Please choose at least one list.")
    phone.get_by_role("checkbox").first.check()
    phone.get_by_role("button", name="Subscribe").click()
    expect(phone.get_by_role("heading")).to_have_text("Thank you.")

    subscriptions_subscribe.process_waiting("The Club", SignUp.objects.get().received_at)
    phone.goto(path_of(subscriptions_subscribe.confirm_url(SignUp.objects.get().pk)))
    phone.get_by_role("button", name="Yes, I want this mail").click()
    expect(phone.get_by_role("heading")).to_have_text("Your subscription is confirmed.")

    message = sent(Contact.objects.get(), club)
    phone.goto(path_of(unsubscribe_url(message.pk)))
    phone.get_by_role("link", name="Choose lists and other settings").click()
    phone.get_by_role("checkbox", name="Shop").check()
    phone.get_by_label("Language").select_option("Deutsch")
    phone.get_by_role("button", name="Save", exact=True).click()
    expect(phone.get_by_role("status")).to_contain_text("Ihre Einstellungen sind gespeichert.")
    phone.get_by_role("button", name="30 Tage keine Newsletter").click()
    expect(phone.get_by_role("button", name="Pause beenden")).to_be_visible()

    assert set(Subscription.objects.values_list("list__name", "status")) == {
        ("Club", "subscribed"),
        ("Shop", "subscribed"),
    }


def test_the_copied_form_works_on_another_site(phone: Page, shop: ContactList, live_server: Any) -> None:
    copied = snippet(shop, "en").replace(settings.BASE_URL, live_server.url)
    phone.route("http://localhost:1/", lambda route: route.fulfill(body=copied, content_type="text/html"))

    phone.goto("http://localhost:1/")
    phone.get_by_label("Email address").fill("ann@example.com")
    phone.get_by_role("button", name="Subscribe").click()

    expect(phone.get_by_role("heading")).to_have_text("Thank you.")
    assert SignUp.objects.get().channel == "embedded"


def test_axe_finds_nothing_serious_on_any_page_in_light_and_dark(
    page: Page, page_problems: list[str], live_server: Any, message: Message, club: ContactList, shop: ContactList
) -> None:
    Appearance.objects.create(
        pk=1, accent="#0a5c36", postal_address="1 High Street", privacy_url="https://example.com/privacy"
    )
    changes.suppress("ann@example.com", Suppression.Reason.COMPLAINT, "a report", message.changed_at)
    entry = SignUp.objects.create(
        email="ann@example.com",
        language="en",
        channel="page",
        contact=message.contact,
        choices=[{"list": club.pk, "wording": "Yes."}],
        tracking=wordings(["opens", "clicks"], "en", "The Club"),
        received_at="2999-01-01T00:00Z",
    )
    paths = [
        "/subscribe",
        f"/subscribe/{shop.pk}",
        path_of(subscriptions_subscribe.confirm_url(entry.pk)),
        path_of(preferences_url(message.pk)),
        path_of(tracking_url(message.pk)),
        path_of(unsubscribe_url(message.pk)),
        path_of(web_version_url(sent_text(message).pk)),
    ]
    page.set_viewport_size(PHONE)
    found: list[str] = []

    for path in paths:
        page.goto(path)
        if page.locator("summary").count():
            page.locator("summary").click()
        found += [f"{path}: scrolls sideways"] if sideways_scroll(page) else []
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            found += [f"{path} {scheme}: {problem}" for problem in serious(page)]
    page.goto("/subscribe")
    page.locator("form").evaluate("form => form.submit()")
    page.get_by_role("alert").first.wait_for()
    found += serious(page)
    page_problems[:] = [problem for problem in page_problems if "status of 400" not in problem]

    assert found == []


def sent_text(message: Message) -> Message:
    """Make the message one of text alone: its page is ours, and not the sender's."""
    message.mailing.html = ""
    message.mailing.save()
    return message


def test_the_form_to_copy_is_shown_to_users(page: Page, live_server: Any, club: ContactList, admin_user: User) -> None:
    sign_in(page, admin_user)
    page.set_viewport_size(PHONE)

    page.goto(f"/audience/lists/{club.pk}/form")

    expect(page.get_by_label("HTML", exact=True)).to_have_value(snippet(club, "en"))
    assert sideways_scroll(page) == 0
    assert serious(page) == []
