"""Servers, people and filled forms for the tests of the fleet's pages."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from smtpservers.models import SmtpServer

LIST = "/admin/smtpservers/smtpserver/"


def change_page(server: SmtpServer) -> str:
    return f"{LIST}{server.pk}/change/"


def history_page(server: SmtpServer) -> str:
    return f"{LIST}{server.pk}/history/"


def filled(**changes: Any) -> dict[str, Any]:
    """What a browser posts for a server; a field changed to None is left out, as an unticked box is."""
    posted = {
        "name": "Primary",
        "host": "smtp.brilliance.example",
        "port": "587",
        "timeout_seconds": "30",
        "mail_from": "News <news@brilliance.example>",
        "is_active": "on",
        "use_tls": "on",
        "month_start_day": "1",
        "rate_unit": "second",
        "pipelining": "look-ahead",
        "weight": "1",
        "time_zone": "UTC",
        "max_connections": "5",
        "messages_per_connection": "100",
        "use_unsubscribe_link": "on",
        "precedence": "bulk",
        "use_precedence": "on",
        "tags_text_links": "on",
    } | changes
    return {name: value for name, value in posted.items() if value is not None}


@pytest.fixture
def make_server(db: None) -> Callable[..., SmtpServer]:
    def make(name: str = "Primary", **fields: Any) -> SmtpServer:
        values = {"host": "smtp.brilliance.example", "mail_from": "news@brilliance.example"} | fields
        return SmtpServer.objects.create(name=name, **values)

    return make


@pytest.fixture
def person(db: None) -> Callable[..., User]:
    """Make a member of staff with exactly these permissions on servers."""

    def make(*codenames: str, username: str = "pat") -> User:
        user = User.objects.create_user(username, f"{username}@brilliance.test", is_staff=True)
        for codename in codenames:
            user.user_permissions.add(Permission.objects.get(content_type__app_label="smtpservers", codename=codename))
        return user

    return make


@pytest.fixture
def boss(db: None) -> User:
    return User.objects.create_superuser("boss", "boss@brilliance.test")
