"""The search over the messages of all mailings."""

import datetime as dt
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page

from delivery.models import Mailing, Message
from delivery.records import figures
from delivery.views import MESSAGES_PER_PAGE
from installation.models import SiteSettings
from smtpservers.models import SmtpServer
from tests.delivery.making import make_attempt
from tests.harness.browser import sideways_scroll, sign_in

URL = "/messages/"


def make_message(email: str, status: str = "accepted", server: SmtpServer | None = None, reason: str = "") -> Message:
    mailing, _ = Mailing.objects.get_or_create(name="Autumn news", stream="campaign", subject="Autumn")
    message = Message.objects.create(
        mailing=mailing,
        email=email,
        email_key=email.lower(),
        status=status,
        server=server,
        attempt_count=1,
        reason=reason,
    )
    make_attempt(
        message=message,
        number=1,
        server=server,
        server_name="Relay",
        lane_token="0" * 32,
        started_at=timezone.now(),
        outcome="accepted",
        reply="2.0.0 <b>queued</b> as 77",
        code=250,
    )
    return message


@pytest.fixture
def reader(client: Client, make_user: Callable[..., User]) -> Client:
    client.force_login(make_user("view_message", "view_attempt"))
    return client


def found(client: Client, **query: object) -> list[str]:
    page = client.get(URL, query).content.decode()
    return [name for name in ("Ann@example.org", "bob@example.org", "carl@example.net") if name in page]


@pytest.fixture
def three(make_server: Callable[..., SmtpServer]) -> SmtpServer:
    server = make_server(25)
    make_message("Ann@example.org")
    make_message("bob@example.org", status="failed", server=server)
    make_message("carl@example.net")
    return server


def test_the_messages_of_today_are_those_that_changed_since_midnight(
    reader: Client, three: SmtpServer, saved_settings: None
) -> None:
    SiteSettings.objects.create(time_zone="Pacific/Auckland")
    midnight = figures.midnight(timezone.now(), ZoneInfo("Pacific/Auckland"))
    failed = Message.objects.filter(email__in=["bob@example.org", "Ann@example.org"])
    failed.update(status="bounced", changed_at=midnight)
    failed.filter(email="Ann@example.org").update(changed_at=midnight - dt.timedelta(seconds=1))

    assert found(reader, status="not-accepted", changed="today") == ["bob@example.org"]
    assert found(reader, status="not-accepted") == ["Ann@example.org", "bob@example.org"]
    assert "bob@example.org" in found(reader, changed="today")
    assert "Ann@example.org" not in found(reader, changed="today")


def test_without_words_the_newest_come_first(reader: Client, three: SmtpServer):
    page = reader.get(URL).content.decode()

    assert page.index("carl@example.net") < page.index("bob@example.org") < page.index("Ann@example.org")


@pytest.mark.parametrize(
    ("query", "people"),
    [
        ({"address": "ann@EXAMPLE.org"}, ["Ann@example.org"]),
        ({"address": "example.org"}, ["Ann@example.org", "bob@example.org"]),
        ({"address": "nobody@example.org"}, []),
        ({"address": "%"}, []),
        ({"status": "failed"}, ["bob@example.org"]),
        ({"status": "no such status"}, ["Ann@example.org", "bob@example.org", "carl@example.net"]),
        ({"before": "x"}, ["Ann@example.org", "bob@example.org", "carl@example.net"]),
    ],
)
def test_address_and_status_narrow_the_search(
    reader: Client, three: SmtpServer, query: dict[str, str], people: list[str]
):
    assert found(reader, **query) == people


def test_the_server_narrows_the_search(reader: Client, three: SmtpServer):
    assert found(reader, server=three.pk) == ["bob@example.org"]


def test_a_message_shows_its_attempts_as_text(reader: Client, three: SmtpServer):
    page = reader.get(URL, {"address": "bob@example.org"}).content.decode()

    assert "Autumn news" in page
    assert "1 attempt" in page
    assert "250 2.0.0 &lt;b&gt;queued&lt;/b&gt; as 77" in page


def test_attempts_are_a_permission_of_their_own(client: Client, make_user: Callable[..., User], three: SmtpServer):
    client.force_login(make_user("view_message"))

    page = client.get(URL).content.decode()

    assert "bob@example.org" in page
    assert "as 77" not in page


def test_pages_follow_each_other_without_gap_or_repeat(reader: Client, db: None):
    for number in range(MESSAGES_PER_PAGE + 1):
        make_message(f"person{number:02}@example.org")

    first = reader.get(URL, {"address": "person"})
    second = reader.get(URL + "?" + first.context["next_page"])

    assert len(first.context["messages_found"]) == MESSAGES_PER_PAGE
    assert [message.email for message in second.context["messages_found"]] == ["person00@example.org"]
    assert second.context["next_page"] == ""


def test_a_full_page_costs_no_more_queries_than_a_short_one(
    reader: Client, django_assert_max_num_queries: Callable, three: SmtpServer
):
    for number in range(MESSAGES_PER_PAGE):
        make_message(f"person{number}@example.org", server=three)

    with django_assert_max_num_queries(10):
        reader.get(URL)


def test_an_empty_outbox_and_an_empty_search_say_different_things(reader: Client, db: None):
    assert "No messages yet." in reader.get(URL).content.decode()
    assert "No messages match." in reader.get(URL, {"address": "ann"}).content.decode()


def test_the_permission_is_needed(client: Client, make_user: Callable[..., User]):
    client.force_login(make_user("send_test"))

    assert client.get(URL).status_code == 403


def test_strangers_are_asked_to_sign_in(client: Client, db: None):
    assert client.get(URL).headers["Location"].startswith("/admin/login/")


def test_it_cannot_be_posted_to(reader: Client):
    assert reader.post(reverse("delivery:messages")).status_code == 405


@pytest.mark.browser
def test_a_phone_needs_no_sideways_scroll(
    transactional_db: None, live_server, page: Page, make_user: Callable[..., User]
):
    make_message("a" * 60 + "@example.org", status="failed", reason="x" * 300)
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page, make_user("view_message", "view_attempt"))

    page.goto(URL)
    page.get_by_text("1 attempt").click()

    assert sideways_scroll(page) == 0
