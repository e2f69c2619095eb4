"""The public page in a real browser: without script, by keyboard, on a phone."""

import pytest
from django.conf import settings
from playwright.sync_api import Page, expect

from contacts.models import Contact, ContactList, Subscription
from delivery.models import Mailing, Message
from delivery.tokens import unsubscribe_url
from tests.browser import sideways_scroll

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_person_unsubscribes_with_the_keyboard_on_a_phone(live_server, page: Page) -> None:
    news = ContactList.objects.create(name="News about everything that is" + "x" * 100)
    ann = Contact.objects.create(email="ann@example.com", language="de")
    Subscription.objects.create(contact=ann, list=news)
    mailing = Mailing.objects.create(stream="campaign", name="Sale", subject="Sale")
    mailing.lists.set([news])
    message = Message.objects.create(mailing=mailing, contact=ann, email=ann.email, email_key=ann.email)
    page.set_viewport_size({"width": 390, "height": 844})

    page.goto(unsubscribe_url(message.pk).removeprefix(settings.BASE_URL))
    assert sideways_scroll(page) == 0
    expect(page.get_by_role("radio").first).to_be_checked()
    for key in ("Tab", "Tab", "Tab", "Enter"):
        page.keyboard.press(key)

    expect(page.get_by_role("heading")).to_have_text("Sie sind abgemeldet.")
    assert Subscription.objects.get().status == "unsubscribed"
    assert page.context.cookies() == []
