"""A person's opens and clicks on the contact page: in words, bounded, and programs told apart."""

import datetime as dt

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from contacts.models import Contact
from contacts.privacy.erasure import PERSONAL_DATA, subject_at
from delivery.models import Mailing, Message, TrackedLink, TrackedTarget
from feedback.models import FirstVisit, Visit

pytestmark = pytest.mark.django_db

AT = dt.datetime(2026, 3, 3, 14, 20, tzinfo=dt.UTC)
LABEL = "<b>Buy</b> now"
INFERRED = "Opened: inferred from the click"


@pytest.fixture
def message() -> Message:
    contact = Contact.objects.create(email="ann@example.com", open_tracking="yes", click_tracking="yes")
    mailing = Mailing.objects.create(stream="campaign", name="Winter sale", subject="x", tracking="personal")
    return Message.objects.create(mailing=mailing, contact=contact, email=contact.email, email_key=contact.email_key)


def visit(
    message: Message, kind: str, visitor: str = "human", reason: str = "person", link: str | None = None
) -> Visit:
    place = None
    if kind == "click":
        place, _ = TrackedLink.objects.get_or_create(mailing=message.mailing, part="html", position=3, label=link or "")
    return Visit.objects.create(
        message=message, link=place, kind=kind, visitor=visitor, reason=reason, family="chrome", at=AT
    )


def page_of(client: Client, contact: Contact | None, query: str = "") -> str:
    assert contact is not None
    return client.get(reverse("admin:contacts_contact_change", args=[contact.pk]) + query).content.decode()


@pytest.fixture
def ada(client: Client) -> Client:
    client.force_login(User.objects.create_superuser("ada", "ada@example.com", "x"))
    return client


def test_what_the_person_did_is_told_and_programs_quietly(ada: Client, message: Message) -> None:
    visit(message, "click", link=LABEL)
    visit(message, "open")
    visit(message, "click", "machine", "every link", LABEL)
    visit(message, "open", "unknown", "a later reason")

    page = page_of(ada, message.contact)

    assert '<td data-label="What">Clicked Winter sale (link 3: &lt;b&gt;Buy&lt;/b&gt; now)</td>' in page
    assert '<td data-label="What">Opened Winter sale (estimate)</td>' in page
    assert "<small>Clicked Winter sale (link 3: &lt;b&gt;Buy&lt;/b&gt; now) · Machines: Many links of one" in page
    assert "<small>Opened Winter sale (estimate) · Unknown: a later reason</small>" in page


def test_a_link_of_the_text_is_told_by_its_address(ada: Client, message: Message) -> None:
    link = TrackedLink.objects.create(mailing=message.mailing, part="text", position=3)
    TrackedTarget.objects.create(link=link, url="https://shop.example/sale", url_hash="1", code="a" * 6)
    facts = {"kind": "click", "visitor": "human", "reason": "person", "family": "chrome", "at": AT}
    Visit.objects.create(message=message, link=link, **facts)

    assert "Clicked Winter sale (text link 3: https://shop.example/sale)" in page_of(ada, message.contact)


def test_who_took_a_consent_back_is_no_longer_named(ada: Client, message: Message) -> None:
    visit(message, "click", link=LABEL)
    visit(message, "open")
    assert message.contact is not None
    Contact.objects.filter(pk=message.contact.pk).update(click_tracking="none")

    page = page_of(ada, message.contact)

    assert "Clicked Winter sale" not in page
    assert "Opened Winter sale" in page


def infer_open(message: Message) -> None:
    """Note that the person opened the message, as judging does when a click follows what a program loaded."""
    FirstVisit.objects.create(message=message, kind="open", visitor="human", at=AT)


def test_an_open_that_only_a_click_tells_of_is_said_once_beside_the_first_click(ada: Client, message: Message) -> None:
    visit(message, "open", "machine", "apple privacy")
    visit(message, "click", link=LABEL)
    visit(message, "click", link=LABEL)
    assert message.contact is not None
    assert INFERRED not in page_of(ada, message.contact)

    infer_open(message)
    page = page_of(ada, message.contact)
    assert page.count(INFERRED) == 1
    assert page.index(INFERRED) > page.rindex("Clicked Winter sale")  # The newest comes first.

    Contact.objects.filter(pk=message.contact.pk).update(open_tracking="none")
    assert INFERRED not in page_of(ada, message.contact)


def test_an_open_that_is_a_visit_of_its_own_is_not_inferred(ada: Client, message: Message) -> None:
    visit(message, "open")
    visit(message, "click", link=LABEL)
    infer_open(message)

    assert INFERRED not in page_of(ada, message.contact)


def test_an_open_that_only_a_click_tells_of_is_in_the_person_s_copy(message: Message) -> None:
    visit(message, "open", "machine", "apple privacy")
    visit(message, "click", link=LABEL)
    infer_open(message)
    Message.objects.update(first_opened_at=AT - dt.timedelta(hours=1))

    copy = PERSONAL_DATA["feedback"].export(subject_at("ann@example.com"))["opens and clicks"]

    assert [(each["at"], each["kind"], each["by"], each["because"]) for each in copy] == [
        (AT - dt.timedelta(hours=1), "open", "person", "clicked"),
        (AT, "open", "machine", "apple privacy"),
        (AT, "click", "person", "person"),
    ]


def test_only_the_person_s_own_visits_are_told(ada: Client, message: Message) -> None:
    other = Contact.objects.create(email="bea@example.com")
    visit(message, "open")

    page = page_of(ada, other)

    assert "Winter sale" not in page
    assert "aren't counted by name" in page


@pytest.mark.parametrize("hostile", ["x", "-1", "²", "9" * 400, "%D9%A1"])
def test_visits_come_a_page_at_a_time(ada: Client, message: Message, hostile: str) -> None:
    rows = [visit(message, "open") for _ in range(45)]

    first = page_of(ada, message.contact)
    second = page_of(ada, message.contact, f"?visits_before={rows[25].pk}")
    last = page_of(ada, message.contact, f"?visits_before={rows[5].pk}")

    assert [each.count("Opened Winter sale") for each in (first, second, last)] == [20, 20, 5]
    assert f"?visits_before={rows[25].pk}#visits" in first
    assert "Older visits" not in last
    assert "Newest visits" in last
    assert page_of(ada, message.contact, f"?visits_before={hostile}").count("Opened Winter sale") == 20


def test_who_may_not_see_feedback_sees_no_visits(client: Client, message: Message) -> None:
    visit(message, "open")
    user = User.objects.create_user("vic", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_contact"))
    client.force_login(user)

    assert "Opened Winter sale" not in page_of(client, message.contact)
