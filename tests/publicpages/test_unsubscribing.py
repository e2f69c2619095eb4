"""The public unsubscribe endpoint: one-click by the mail program, the page for people, and what must not happen."""

import datetime as dt
import random

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.client import FakePayload

from contacts.models import Contact, ContactList, Subscription, Suppression
from delivery.content.tokens import unsubscribe_url
from delivery.models import Mailing, Message
from feedback.models import Feedback
from feedback.unsubscribe import count_unsubscribed
from mail import tokens
from publicpages.words.unsubscribe import LANGUAGES, best_language
from smtpservers.models import SmtpServer

pytestmark = pytest.mark.django_db

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
URLENCODED = "application/x-www-form-urlencoded"
NOW = dt.datetime(2026, 11, 30, 23, 59, tzinfo=dt.UTC)


@pytest.fixture
def news() -> ContactList:
    return ContactList.objects.create(name="News")


@pytest.fixture
def offers() -> ContactList:
    return ContactList.objects.create(name="Offers")


@pytest.fixture
def ann(news: ContactList, offers: ContactList) -> Contact:
    contact = Contact.objects.create(email="ann@example.com")
    for contact_list in (news, offers):
        Subscription.objects.create(contact=contact, list=contact_list)
    return contact


@pytest.fixture
def message(ann: Contact, news: ContactList) -> Message:
    return message_to(ann, news)


def message_to(contact: Contact | None, *lists: ContactList, stream: str = "campaign", **fields: object) -> Message:
    mailing = Mailing.objects.create(stream=stream, name="Winter sale", subject="Sale")
    mailing.lists.set(lists)
    email = contact.email if contact else "ann@example.com"
    return Message.objects.create(
        mailing=mailing, contact=contact, email=email, email_key=email, status="accepted", **fields
    )


def path(message: Message) -> str:
    return unsubscribe_url(message.pk).removeprefix(settings.BASE_URL)


def still_subscribed(contact: Contact) -> set[str]:
    return set(contact.subscriptions.filter(status="subscribed").values_list("list__name", flat=True))


def state() -> tuple[object, ...]:
    """Everything an unsubscribe may change."""
    return (
        list(Subscription.objects.order_by("pk").values_list("pk", "status", "changed_at")),
        list(Suppression.objects.values_list("email_key", flat=True)),
        Feedback.objects.count(),
    )


# --- one-click ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", URLENCODED),
        (b"", None),
        (b"", "text/plain"),
        (b"List-Unsubscribe=One-Click", None),
        (b"List-Unsubscribe=One-Click", "text/plain"),
        (b"List-Unsubscribe=One-Click", f"{URLENCODED}; charset=iso-8859-1"),
        (b"List-Unsubscribe=", URLENCODED),
        (b"unsubscribe=yes", URLENCODED),
        (b'{"List-Unsubscribe": "One-Click"}', "application/json"),
        (b"{not json", "application/json; charset=utf-16"),
        (b"<unsubscribe/>", "application/xml"),
        (b"\xff\xfe\x00", "application/octet-stream"),
        (b"no parts at all", "multipart/form-data; boundary=b7"),
        (b"no boundary", "multipart/form-data"),
        (b"x", "a type that is none;;"),
        (b"&" * 6000, URLENCODED),
        (b"List-Unsubscribe=One-Click", URLENCODED),
        (b"List-Unsubscribe=One-Click&utm_source=x", f"{URLENCODED}; charset=utf-8"),
        (
            b'--b7\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b7--\r\n',
            "multipart/form-data; boundary=b7",
        ),
    ],
)
def test_one_click_of_every_type_and_body_withdraws_from_the_list_at_once(
    message: Message, ann: Contact, body: bytes, content_type: str | None
) -> None:
    client = Client(enforce_csrf_checks=True)

    response = client.generic("POST", path(message), body, content_type=content_type or "")

    assert response.status_code == 200
    assert still_subscribed(ann) == {"Offers"}
    assert not Suppression.objects.exists()
    feedback = Feedback.objects.get()
    assert (feedback.kind, feedback.channel, feedback.message, feedback.is_global) == (
        "unsubscribe",
        "one_click",
        message,
        False,
    )


@pytest.mark.parametrize(
    ("body", "how"),
    [
        ({"List-Unsubscribe": "One-Click"}, "<div>One-click in the mail program: Winter sale"),
        ({"scope": "list"}, "<div>Unsubscribe link: Winter sale"),
        ({"scope": "all"}, "<div>Unsubscribe link: Winter sale"),
    ],
)
def test_the_history_of_consent_says_once_how_somebody_left(
    message: Message, ann: Contact, body: dict[str, str], how: str
) -> None:
    Client().post(path(message), body)
    client = Client()
    client.force_login(User.objects.create_superuser("boss"))

    assert how in client.get(f"/admin/contacts/contact/{ann.pk}/change/").content.decode()


def test_one_click_needs_no_cookie_sets_none_and_is_not_redirected(message: Message) -> None:
    response = Client(enforce_csrf_checks=True).post(path(message), ONE_CLICK)

    assert response.status_code == 200
    assert not response.cookies
    assert "Location" not in response.headers
    assert "Cookie" not in response.headers.get("Vary", "")
    assert len(response.content) < 100
    assert not path(message).endswith("/")


def test_one_click_leaves_the_session_of_a_signed_in_reader_alone(message: Message, ann: Contact) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("ann"))
    client.get("/accounts/login/")
    before = dict(client.session)

    response = client.post(path(message), ONE_CLICK)

    assert response.status_code == 200
    assert not response.cookies
    assert dict(client.session) == before
    assert still_subscribed(ann) == {"Offers"}


def test_one_click_comes_through_plain_http_behind_a_site_on_https(message: Message, settings) -> None:
    settings.SECURE_SSL_REDIRECT = True

    assert Client().post(path(message), ONE_CLICK).status_code == 200


def test_one_click_twice_counts_once_and_keeps_the_first_date(message: Message, ann: Contact) -> None:
    client = Client()
    first = client.post(path(message), ONE_CLICK)
    before = state()

    second = client.post(path(message), ONE_CLICK)

    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert state() == before
    assert count_unsubscribed(message.mailing_id) == 1


def test_the_token_of_an_erased_message_gets_the_same_answer_as_a_used_one(message: Message) -> None:
    client = Client()
    client.post(path(message), ONE_CLICK)
    used = client.post(path(message), ONE_CLICK)

    gone = client.post(f"/u/{tokens.make('unsubscribe', 999_999, settings.TOKEN_KEYS)}", ONE_CLICK)

    assert (gone.status_code, gone.content) == (used.status_code, used.content)


@pytest.mark.parametrize("body", [b"List-Unsubscribe=One-Click", b"", b"scope=list"])
def test_a_mangled_token_is_never_called_taken(message: Message, body: bytes) -> None:
    genuine = path(message).removeprefix("/u/")
    other_purpose = tokens.make("feedback", message.pk, settings.TOKEN_KEYS)
    cut, longer, in_capitals = genuine[:-1], genuine + "-", genuine.upper()
    before = state()

    for token in (cut, longer, in_capitals, other_purpose, "x", "A" * 33, "%00", "é", "a" * 5_000):
        answer = Client().generic("POST", f"/u/{token}", body, content_type=URLENCODED)
        assert answer.status_code in (400, 404)
        assert "taken" not in answer.content.decode()
    assert state() == before


def test_no_changed_character_of_a_token_unsubscribes_anybody(message: Message, ann: Contact) -> None:
    client = Client()
    token = path(message).removeprefix("/u/")
    chance = random.Random(7)
    for _ in range(300):
        place = chance.randrange(len(token))
        letter = chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        forged = token[:place] + letter + token[place + 1 :]
        if forged != token:
            client.post(f"/u/{forged}", ONE_CLICK)

    assert still_subscribed(ann) == {"News", "Offers"}


def test_a_token_outlives_the_rotation_of_its_key(message: Message, ann: Contact, settings) -> None:
    old = path(message)
    settings.TOKEN_KEYS = ["a new key, long enough to sign with", *settings.TOKEN_KEYS]

    Client().post(old, ONE_CLICK)

    assert still_subscribed(ann) == {"Offers"}


@pytest.mark.parametrize("begins", [b"List-Unsubscribe=One-Click&x=", b"scope=undo&reason="])
def test_a_large_body_is_not_read_and_the_token_counts(message: Message, ann: Contact, begins: bytes) -> None:
    class Body(FakePayload):
        def read(self, *args: int, **kwargs: int) -> bytes:
            raise AssertionError("nobody reads so much")

    length = {"CONTENT_LENGTH": str(10**12), "wsgi.input": Body(begins)}

    response = Client().post(path(message), content_type=URLENCODED, **length)

    assert response.status_code == 200
    assert still_subscribed(ann) == {"Offers"}


def test_a_large_body_makes_no_broken_token_count(message: Message, ann: Contact) -> None:
    response = Client().post(path(message)[:-1], b"x" * 10_241, content_type=URLENCODED)

    assert response.status_code == 404
    assert still_subscribed(ann) == {"News", "Offers"}


@pytest.mark.parametrize("scope", ["", "everything", "undo "])
def test_a_choice_that_the_page_does_not_offer_changes_nothing(message: Message, scope: str) -> None:
    before = state()

    response = Client().post(path(message), {"scope": scope})

    assert response.status_code == 400
    assert state() == before


@pytest.mark.parametrize("method", ["get", "head", "options"])
def test_safe_methods_change_nothing_and_set_no_cookie(message: Message, method: str) -> None:
    before = state()

    response = getattr(Client(HTTP_USER_AGENT="LinkScanner/1.0"), method)(path(message))

    assert response.status_code in (200, 204)
    assert not response.cookies
    assert "Cookie" not in response.headers.get("Vary", "")
    assert state() == before


def test_other_methods_are_refused(message: Message) -> None:
    assert Client().put(path(message)).status_code == 405
    assert Client().delete(path(message)).status_code == 405


def test_when_nothing_can_be_written_it_never_says_done(message: Message, ann: Contact) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("makes the database read-only by a PRAGMA of SQLite")
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA query_only = ON")
    try:
        response = Client().post(path(message), ONE_CLICK)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA query_only = OFF")

    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert still_subscribed(ann) == {"News", "Offers"}


# --- tests and copies -----------------------------------------------------------------------


def test_the_token_of_a_test_is_inert_and_the_page_says_so(ann: Contact, news: ContactList) -> None:
    message = message_to(ann, news, stream="test")
    before = state()

    page = Client().get(path(message))
    answers = [Client().post(path(message), body) for body in (ONE_CLICK, {"scope": "all"})]

    assert "This is a test." in page.content.decode()
    assert "<form" not in page.content.decode()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert state() == before


def test_the_reader_of_a_copy_cannot_unsubscribe_the_recipient(message: Message, ann: Contact) -> None:
    copy = Message.objects.create(
        mailing=message.mailing, contact=ann, email="boss@example.com", email_key="boss@example.com", copy_of=message
    )
    before = state()

    page = Client().get(path(copy))
    answers = [Client().post(path(copy), body) for body in (ONE_CLICK, {"scope": "all"})]

    assert "This is a copy." in page.content.decode()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert state() == before


# --- the page -------------------------------------------------------------------------------


def test_the_page_asks_and_its_button_ends_the_list_without_cookies(message: Message, ann: Contact) -> None:
    client = Client(enforce_csrf_checks=True)

    page = client.get(path(message)).content.decode()
    done = client.post(path(message), {"scope": "list", "reason": "Too many."})

    assert "Mail for this list: News" in page
    assert "ann@example.com" not in page  # A stranger with the link learns no address.
    assert "a***@example.com" in page
    assert "You will get no more mail for: News." in done.content.decode()
    assert not done.cookies
    assert still_subscribed(ann) == {"Offers"}
    assert Feedback.objects.get().reason == "Too many."
    assert Feedback.objects.get().channel == "page"


def test_all_mail_suppresses_the_address(message: Message, ann: Contact) -> None:
    done = Client().post(path(message), {"scope": "all"})

    assert "You will get no more mail from Brilliance." in done.content.decode()
    suppression = Suppression.objects.get()
    assert (suppression.email, suppression.reason) == ("ann@example.com", "unsubscribed")
    assert Feedback.objects.get().is_global


def test_one_click_and_then_all_mail_on_the_page_is_one_person_who_left(message: Message) -> None:
    Client().post(path(message), ONE_CLICK)
    Client().post(path(message), {"scope": "all"})

    assert Feedback.objects.count() == 2
    assert count_unsubscribed(message.mailing_id) == 1


def test_all_mail_follows_a_person_to_their_new_address(message: Message, ann: Contact) -> None:
    ann.email = "ann@example.org"
    ann.save()

    Client().post(path(message), {"scope": "all"})

    assert set(Suppression.objects.values_list("email", flat=True)) == {"ann@example.com", "ann@example.org"}


@pytest.mark.parametrize("what_is_gone", ["the contact", "the list"])
def test_where_nothing_narrower_is_left_the_address_is_suppressed(
    message: Message, ann: Contact, news: ContactList, what_is_gone: str
) -> None:
    (ann if what_is_gone == "the contact" else news).delete()

    page = Client().get(path(message)).content.decode()
    response = Client().post(path(message), ONE_CLICK)

    assert "this list" not in page
    assert response.status_code == 200
    assert Suppression.objects.get().email == "ann@example.com"


def test_a_link_that_was_cut_short_says_so_and_offers_no_button() -> None:
    page = Client().get("/u/abc")

    assert page.status_code == 404
    assert "This link does not work." in page.content.decode()
    assert "<form" not in page.content.decode()


def test_names_from_outside_are_shown_as_text(ann: Contact) -> None:
    message = message_to(ann, ContactList.objects.create(name="<script>alert(1)</script>"))

    page = Client().get(path(message)).content.decode()

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_a_reason_of_any_length_is_kept_cut(message: Message) -> None:
    Client().post(path(message), {"scope": "list", "reason": "\0" + "x" * 5_000})

    assert Feedback.objects.get().reason == "x" * 500


def test_the_page_loads_nothing_foreign_runs_nothing_and_tells_nobody_its_address(message: Message) -> None:
    response = Client().get(path(message))

    assert "<script" not in response.content.decode()
    assert "http" not in response.content.decode()
    assert response["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert response["Referrer-Policy"] == "no-referrer"
    assert response["Cache-Control"] == "no-store"


# --- language and abuse address -------------------------------------------------------------


@pytest.mark.parametrize(
    ("contact_language", "server_language", "expected"),
    [("de", "fr", "de"), ("", "fr", "fr"), ("", "", "en"), ("ja", "", "ja")],
)
def test_the_page_speaks_the_recipients_language_then_the_servers(
    ann: Contact, news: ContactList, contact_language: str, server_language: str, expected: str
) -> None:
    Contact.objects.filter(pk=ann.pk).update(language=contact_language)
    server = SmtpServer.objects.create(
        name="One", host="localhost", mail_from="a@example.com", language=server_language
    )
    message = message_to(ann, news, server=server)

    page = Client().get(path(message)).content.decode()

    assert f'<html lang="{expected}" dir="ltr">' in page
    assert LANGUAGES[expected].question in page


def test_a_regional_language_is_served_by_its_main_one() -> None:
    assert best_language("", "de-AT") == "de"
    assert best_language("pt_BR") == "pt"
    assert best_language("xx", "") == "en"


@pytest.mark.parametrize(("is_used", "shown"), [(True, True), (False, False)])
def test_the_abuse_address_is_shown_by_its_switch(ann: Contact, news: ContactList, is_used: bool, shown: bool) -> None:
    server = SmtpServer.objects.create(
        name="One",
        host="localhost",
        mail_from="a@example.com",
        abuse_address="abuse@example.com",
        use_abuse_address=is_used,
    )
    message = message_to(ann, news, server=server)

    assert ("abuse@example.com" in Client().get(path(message)).content.decode()) is shown
