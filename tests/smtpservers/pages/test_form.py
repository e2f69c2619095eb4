"""The form of a server: what it makes of what it accepts. What it refuses is told in tests/fields."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from encryption.secret_field import Secret
from smtpservers.admin import list_row
from smtpservers.forms.server import ServerForm
from smtpservers.models import SmtpServer
from tests.harness.forms import opened
from tests.smtpservers.pages.conftest import LIST, change_page, filled

pytestmark = pytest.mark.django_db


def test_the_plain_form_is_accepted_and_silent_fields_stay_empty() -> None:
    server = ServerForm(filled()).save()

    server.refresh_from_db()
    assert (server.host, server.port, server.use_tls, server.is_active) == ("smtp.brilliance.example", 587, True, True)
    assert (server.max_per_month, server.language, server.mail_cc, bool(server.password)) == (None, "", "", False)
    assert server.display_order == 10


@pytest.mark.parametrize(
    ("changes", "field", "stored"),
    [
        ({"host": " SMTP.Brilliance.Example "}, "host", "smtp.brilliance.example"),
        ({"host": "[2001:DB8::1]"}, "host", "2001:db8::1"),
        ({"host": "mail"}, "host", "mail"),
        ({"host": "127.0.0.1"}, "host", "127.0.0.1"),
        ({"mail_from": " Ann Lee  <ann@x.test> "}, "mail_from", "Ann Lee <ann@x.test>"),
        ({"mail_cc": "a@x.test; B <b@x.test>,\r\nc@x.test"}, "mail_cc", "a@x.test\nB <b@x.test>\nc@x.test"),
        ({"domain_name": "Mail.Brilliance.Example."}, "domain_name", "mail.brilliance.example"),
        ({"max_per_month": "0"}, "max_per_month", None),
        ({"max_per_month": "50000"}, "max_per_month", 50_000),
        ({"time_zone": "europe/berlin"}, "time_zone", "Europe/Berlin"),
        ({"precedence": "", "use_precedence": None}, "precedence", ""),
        ({"unsubscribe_url": "http://x.test/u", "use_unsubscribe_link": None}, "unsubscribe_url", "http://x.test/u"),
        ({"username": "apikey", "api_key": "k"}, "username", "apikey"),
        ({"port": "465"}, "port", 465),
        ({"port": "25", "use_tls": None}, "use_tls", False),
        ({"return_path": "b@x.test"}, "use_return_path", False),
    ],
)
def test_what_is_accepted_is_stored_in_one_form(changes: dict[str, Any], field: str, stored: Any) -> None:
    server = ServerForm(filled(**changes)).save()

    server.refresh_from_db()
    assert getattr(server, field) == stored


def test_a_pasted_port_goes_into_its_own_field(make_server: Callable[..., SmtpServer]) -> None:
    server = make_server(port=465)

    saved = ServerForm(filled(host="smtp.brilliance.example:2525", port="465"), instance=server).save()

    assert (saved.host, saved.port) == ("smtp.brilliance.example", 2525)


def test_a_pasted_port_is_held_against_the_encryption_switch() -> None:
    form = ServerForm(filled(host="smtp.brilliance.example:465", use_tls=None))

    assert list(form.errors) == ["use_tls"]


def test_the_name_of_another_server_is_refused(make_server: Callable[..., SmtpServer]) -> None:
    make_server("Primary")

    form = ServerForm(filled(name="Primary"))

    assert "already has this name" in str(form.errors["name"])


def test_every_field_says_what_it_is_for() -> None:
    form = ServerForm()

    assert [name for name, field in form.fields.items() if not field.help_text] == ["rate_unit"]  # Its label says it.
    assert len(form.fields) == 39 + 2 + 21  # The document's, name and provider, and twenty-one that the house added.


def test_the_layout_shows_every_field_once() -> None:
    form = ServerForm(instance=SmtpServer(password=Secret("x"), api_key=Secret("y")))

    shown = [pointer.name for pointer in form.helper.layout.get_field_names()]

    assert sorted(shown) == sorted(form.fields)


def test_the_layout_is_new_for_each_form() -> None:
    form = ServerForm()

    assert form.helper is not form.helper


def test_a_value_whose_switch_is_off_says_that_it_has_no_effect() -> None:
    form = ServerForm(instance=SmtpServer(return_path="b@x.test", spam_address="s@x.test", use_spam_address=True))

    assert "not used while the switch is off" in form.fields["return_path"].help_text
    assert "not used" not in form.fields["spam_address"].help_text


def test_what_somebody_else_saved_meanwhile_is_not_put_back_unseen(
    client: Client, boss: User, make_server: Callable[..., SmtpServer]
) -> None:
    client.force_login(boss)
    server = make_server()
    both_saw = opened(client.get(change_page(server)).content, "smtpserver_form")
    client.post(change_page(server), both_saw | {"timeout_seconds": "61"})

    refused = client.post(change_page(server), both_saw | {"notes": "mine"}).content.decode()

    assert refused.count("Someone else changed this server while you had it open, so nothing was saved.") == 1
    server.refresh_from_db()
    assert (server.timeout_seconds, server.notes) == (61, "")

    client.post(change_page(server), opened(refused, "smtpserver_form"))

    server.refresh_from_db()
    assert (server.timeout_seconds, server.notes) == (61, "mine")


def test_a_server_switched_off_in_the_list_is_not_switched_on_by_an_older_form(
    client: Client, boss: User, make_server: Callable[..., SmtpServer]
) -> None:
    client.force_login(boss)
    server = make_server()
    older = opened(client.get(change_page(server)).content, "smtpserver_form")
    client.post(LIST, {"action": "deactivate", "_selected_action": server.pk})

    page = client.post(change_page(server), older)

    assert "Someone else changed this server" in page.content.decode()
    server.refresh_from_db()
    assert not server.is_active


def test_domains_beyond_ascii_are_shown_as_they_were_typed() -> None:
    server = SmtpServer(host="smtp.xn--bcher-kva.example", domain_name="xn--bcher-kva.example")

    form = ServerForm(instance=server)

    assert (form["host"].value(), form["domain_name"].value()) == ("smtp.bücher.example", "bücher.example")
    assert list_row.address(server) == "smtp.bücher.example:587"


@pytest.mark.parametrize(
    "sign", ["\u200b", "\ufeff", "\u2060", "\u200e", "\u00ad"], ids=lambda sign: f"{ord(sign):04X}"
)
@pytest.mark.parametrize("name", ["us{}er", "user{}", "{}user"])
def test_a_user_name_with_a_sign_that_nobody_sees_is_refused(sign: str, name: str) -> None:
    form = ServerForm(filled(username=name.format(sign), password="secret"))

    assert f"invisible character (U+{ord(sign):04X})" in str(form.errors["username"])


@pytest.mark.parametrize(
    ("password", "is_hinted"),
    [
        ("secret ", True),
        (" secret", True),
        ("secret\u00a0", True),
        ("secret\u3000", True),
        ("sec\u200bret", True),
        ("secret\ufeff", True),
        ("sec ret", False),
        ("s€crét", False),
    ],
)
def test_a_blank_at_the_end_of_a_password_is_kept_with_a_hint(
    client: Client, boss: User, password: str, is_hinted: bool
) -> None:
    client.force_login(boss)

    page = client.post(f"{LIST}add/", filled(username="user", password=password), follow=True).content.decode()

    server = SmtpServer.objects.get()
    assert server.password.reveal(server.destination) == password
    assert ("The password starts or ends with a space" in page) == is_hinted


@pytest.mark.parametrize(
    ("preset", "typed", "error"),
    [
        ("ses", "news_set-1", ""),
        ("postmark", "broadcast", ""),
        ("ses", "news set", "Use letters, digits, hyphens and underscores only."),
        ("ses", "a\r\nBcc: x@evil.example", "Use letters, digits, hyphens and underscores only."),
        ("mailgun", "broadcast", "Only Amazon SES and Postmark use this. Clear it."),
        ("", "broadcast", "Only Amazon SES and Postmark use this. Clear it."),
    ],
)
def test_a_configuration_is_taken_where_a_provider_has_one(preset: str, typed: str, error: str) -> None:
    form = ServerForm(filled(preset=preset, provider_configuration=typed, username="u", password="p"))

    found = form.errors.get("provider_configuration", [""])

    assert found == [error]


def test_a_text_whose_line_ends_alone_differ_is_no_change_in_the_history(client: Client, boss: User) -> None:
    client.force_login(boss)
    client.post(f"{LIST}add/", filled(notes="One\nTwo", display_order="10"))
    server = SmtpServer.objects.get()

    client.post(change_page(server), filled(notes="One\r\nTwo", display_order="10", port="2525"))

    newest, before = server.history.all()[:2]
    assert newest.diff_against(before).changed_fields == ["port"]
    assert SmtpServer.objects.get().notes == "One\nTwo"
