"""The form and the answer of an unsubscribe page: when it is asked, and how the answer is shown."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.test import Client

from smtpservers import tasks
from smtpservers.forms.server import ServerForm
from smtpservers.models import SmtpServer
from tests.smtpservers.pages.conftest import change_page, filled

pytestmark = pytest.mark.django_db
NOW = dt.datetime(2026, 11, 3, 12, 5, tzinfo=dt.UTC)
PAGE = "https://shop.example/leave?t={token}"
RELAYED = {"relays_unsubscribes": True}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"unsubscribe_url": PAGE}, "The test call hasn't finished yet."),
        ({"unsubscribe_url": PAGE, "unsubscribe_probed_at": NOW}, "Supports one-click unsubscribe, tested on 3 Nov"),
        (
            {"unsubscribe_url": PAGE, "unsubscribe_probed_at": NOW, "unsubscribe_problem": "a<b answered 404."},
            "a&lt;b answered 404. Fix the page",
        ),
        ({"unsubscribe_url": PAGE} | RELAYED, "The test call hasn't finished yet."),
        (
            {"unsubscribe_url": PAGE, "unsubscribe_probed_at": NOW} | RELAYED,
            "The last test call succeeded on 3 Nov",
        ),
        (
            {"unsubscribe_url": PAGE, "unsubscribe_probed_at": NOW, "unsubscribe_problem": "a<b answered 404."}
            | RELAYED,
            "failed: a&lt;b answered 404. No unsubscribe was lost",
        ),
    ],
)
def test_the_answer_stands_below_the_address(fields: dict[str, Any], words: str) -> None:
    help_text = ServerForm(instance=SmtpServer(**fields)).fields["unsubscribe_url"].help_text

    assert words in help_text


@pytest.mark.parametrize("url", ["", "mailto:leave@shop.example"])
def test_nothing_is_said_where_nothing_is_asked(url: str) -> None:
    help_text = ServerForm(instance=SmtpServer(unsubscribe_url=url)).fields["unsubscribe_url"].help_text

    assert help_text.endswith("Leave empty to use the built-in page.")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The servers whose page a worker was told to ask."""
    told: list[int] = []
    monkeypatch.setattr(tasks.probe_unsubscribe, "delay", told.append)
    return told


def save(client: Client, boss: User, server: SmtpServer, callbacks: Any, **changes: Any) -> str:
    client.force_login(boss)
    with callbacks(execute=True):
        response = client.post(change_page(server), filled(**changes), follow=True)
    server.refresh_from_db()
    return response.content.decode()


def test_saving_asks_and_a_new_address_forgets_the_old_answer(
    client: Client,
    boss: User,
    make_server: Callable[..., SmtpServer],
    asked: list[int],
    django_capture_on_commit_callbacks: Any,
) -> None:
    server = make_server(unsubscribe_url=PAGE, unsubscribe_probed_at=NOW)

    page = save(client, boss, server, django_capture_on_commit_callbacks, unsubscribe_url=PAGE)

    assert "Testing one-click unsubscribe on shop.example." in page
    assert server.unsubscribe_probed_at == NOW
    assert asked == [server.pk]

    save(client, boss, server, django_capture_on_commit_callbacks, unsubscribe_url=PAGE.replace("leave", "off"))

    assert server.unsubscribe_probed_at is None
    assert asked == [server.pk, server.pk]


@pytest.mark.parametrize("relayed", [{}, {"relays_unsubscribes": "on"}])
def test_right_after_saving_the_field_agrees_with_the_message_above(
    client: Client,
    boss: User,
    make_server: Callable[..., SmtpServer],
    asked: list[int],
    django_capture_on_commit_callbacks: Any,
    relayed: dict[str, str],
) -> None:
    server = make_server()
    save(client, boss, server, django_capture_on_commit_callbacks, unsubscribe_url=PAGE, **relayed)

    page = client.get(change_page(server)).content.decode()

    assert "test call hasn" in page
    assert "Not called yet" not in page
    assert "Not asked yet" not in page


@pytest.mark.parametrize("url", ["", "mailto:leave@shop.example"])
def test_our_own_page_is_not_asked(
    client: Client,
    boss: User,
    make_server: Callable[..., SmtpServer],
    asked: list[int],
    django_capture_on_commit_callbacks: Any,
    url: str,
) -> None:
    page = save(client, boss, make_server(), django_capture_on_commit_callbacks, unsubscribe_url=url)

    assert "is being asked" not in page
    assert asked == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_this_machine_is_saved_exactly_where_it_is_called(
    client: Client,
    boss: User,
    make_server: Callable[..., SmtpServer],
    asked: list[int],
    settings: LazySettings,
    django_capture_on_commit_callbacks: Any,
    host: str,
) -> None:
    server, url = make_server(), f"https://{host}/leave"
    settings.IS_LOOPBACK = False

    page = save(client, boss, server, django_capture_on_commit_callbacks, unsubscribe_url=url)

    assert f"{host.strip('[]')} isn&#x27;t a public address" in page
    assert (server.unsubscribe_url, asked) == ("", [])

    settings.IS_LOOPBACK = True
    save(client, boss, server, django_capture_on_commit_callbacks, unsubscribe_url=url)

    assert (server.unsubscribe_url, asked) == (url, [server.pk])
