"""Lists on a phone: each row is a card of its name, its state and one figure."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from campaigns.models import Campaign
from contacts.models import Contact, ContactImport
from delivery.models import Mailing, Message
from feedback.intake.store import take
from feedback.models import RawReport, Report
from smtpservers.models import SmtpServer
from tests.harness.browser import sideways_scroll, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = "A name that somebody made rather long, with-a-word-that-cannot-be-broken-anywhere-at-all-in-it"
REASON = "535 5.7.8 Username and password not accepted, and here is the reason in more words than a line holds"
# What reaches out of its box, or is cut at its end.
CUT = """[...document.querySelectorAll('#result_list *, .outbox *')].filter(each => each.checkVisibility()
    && (each.getBoundingClientRect().right > innerWidth || getComputedStyle(each).overflow === 'hidden')
    && each.scrollWidth > each.clientWidth + 1).length"""


@pytest.fixture
def phone(live_server: object, page: Page) -> Page:
    user = User.objects.create_user("ada", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    sign_in(page, user)
    page.set_viewport_size({"width": 390, "height": 844})
    return page


def seen(card: Locator) -> list[str]:
    """Return the texts of the cells that can be seen, with the labels before them, from the top."""
    return card.evaluate("""row => [...row.children].filter(cell => cell.checkVisibility())
        .map(cell => [cell.getBoundingClientRect().top, cell, getComputedStyle(cell, '::before')])
        .sort((one, other) => one[0] - other[0])
        .map(([, cell, label]) => (label.display === 'none' ? '' : cell.dataset.label + ': ') + cell.innerText.trim())
        .filter(text => text)""")


def paused_server() -> list[str]:
    SmtpServer.objects.create(
        name=LONG, host="smtp.example.com", mail_from="a@example.com", paused_reason=REASON, max_per_month=1000
    )
    return [LONG, f"Paused\n{REASON} · until resumed or edited", "Quota this period: 0 of 1,000"]


def draft() -> list[str]:
    Campaign.objects.create(name=LONG, subject="Books")
    return [LONG, "DRAFT", "Recipients: –"]


def contact() -> list[str]:
    Contact.objects.create(email="ann@example.com", email_key="ann@example.com", first_name="Ann", last_name="Lee")
    return ["ann@example.com", "No list", "Name: Ann Lee"]


def started_import() -> list[str]:
    ContactImport.objects.create(file_name=f"{LONG}.csv")
    return [f"{LONG}.csv"]


@pytest.mark.parametrize(
    ("path", "make"),
    [
        ("/admin/smtpservers/smtpserver/", paused_server),
        ("/admin/campaigns/campaign/", draft),
        ("/admin/contacts/contact/", contact),
        ("/admin/contacts/contactimport/", started_import),
    ],
)
def test_a_row_is_a_card_of_name_state_and_one_figure(phone: Page, path: str, make: Callable[[], list[str]]) -> None:
    expected = make()
    phone.goto(path)

    card = phone.locator("#result_list .data-row")
    shown = seen(card)
    assert [text.casefold() for text in shown[: len(expected)]] == [text.casefold() for text in expected]
    assert len(shown) <= 3
    assert card.bounding_box()["height"] < 220
    assert phone.evaluate(CUT) == 0
    assert sideways_scroll(phone) == 0


def raw_report() -> list[str]:
    take(RawReport.Source.WEBHOOK, b"{}\n{}", now=timezone.now(), provider="postmark", problem=REASON)
    return [f"Problem: {REASON}"]


def reply() -> list[str]:
    mailing = Mailing.objects.create(stream="campaign", name="Winter sale", subject="Books")
    message = Message.objects.create(mailing=mailing, email="ann@example.com", email_key="ann@example.com")
    Report.objects.create(source="webhook", state="applied", kind="hard", message=message, recipient=message.email)
    return ["What it did: Address suppressed", "Mailing: Winter sale"]


@pytest.mark.parametrize(
    ("path", "make"), [("/admin/feedback/rawreport/", raw_report), ("/admin/feedback/report/", reply)]
)
def test_a_card_of_what_came_back_says_why(phone: Page, path: str, make: Callable[[], list[str]]) -> None:
    expected = make()
    phone.goto(path)

    shown = seen(phone.locator("#result_list .data-row"))

    assert {text.casefold() for text in expected} <= {text.casefold() for text in shown}
    assert phone.evaluate(CUT) == 0
    assert sideways_scroll(phone) == 0


def test_a_label_begins_with_a_capital_letter(phone: Page) -> None:
    phone.goto("/admin/auth/user/")

    assert seen(phone.locator("#result_list .data-row"))[1:] == ["Roles: admin"]


def test_the_messages_fit_a_phone(phone: Page) -> None:
    mailing = Mailing.objects.create(name=LONG, subject="Books", html="<p>Books</p>")
    Message.objects.create(mailing=mailing, email=f"{'ann' * 20}@example.com", reason=REASON)
    phone.goto("/messages/")

    expect(phone.locator(".outbox")).to_contain_text(REASON)
    assert phone.evaluate(CUT) == 0
    assert sideways_scroll(phone) == 0


def test_a_row_is_chosen_in_its_card(phone: Page) -> None:
    paused_server()
    phone.goto("/admin/smtpservers/smtpserver/")

    box = phone.locator(".data-row .action-select")
    box.check()

    expect(box).to_be_checked()
    assert box.bounding_box()["y"] < phone.locator(".data-row .card-state").bounding_box()["y"]
