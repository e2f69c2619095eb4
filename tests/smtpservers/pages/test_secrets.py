"""Passwords and API keys go in and never come out: not in a page, the history, a log line or an error report."""

import logging
from collections.abc import Callable
from io import StringIO

import pytest
from cryptography.fernet import Fernet
from django.conf import LazySettings
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.serializers import serialize
from django.db import connection
from django.test import Client, RequestFactory
from django.utils import timezone

from adminpages.fresh_sign_in import PROVED_AT
from encryption.keys import SecretUnreadable
from encryption.secret_field import Secret
from smtpservers.models import SmtpServer
from tests.smtpservers.pages.conftest import LIST, change_page, filled, history_page

PASSWORD, API_KEY = "pa55-w0rd-of-the-server", "ap1-key-of-the-server"

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(make_server: Callable[..., SmtpServer]) -> SmtpServer:
    return make_server(username="u", password=PASSWORD, api_key=API_KEY)


def stored(server: SmtpServer) -> tuple[str, str]:
    """What lies in the table itself."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT password, api_key FROM smtpservers_smtpserver WHERE id = %s", [server.pk])
        return cursor.fetchone()


def opened(server: SmtpServer) -> tuple[str, str]:
    """Password and API key in clear, for where the row points."""
    return server.password.reveal(server.destination), server.api_key.reveal(server.destination)


# At rest


def test_the_table_holds_ciphertext(server: SmtpServer) -> None:
    for text, plain in zip(stored(server), (PASSWORD, API_KEY), strict=True):
        assert plain not in text
        assert text.startswith("gAAAA")

    server.refresh_from_db()
    assert opened(server) == (PASSWORD, API_KEY)


def test_a_plain_text_is_a_secret_as_soon_as_it_is_saved(server: SmtpServer) -> None:
    assert isinstance(server.password, Secret)
    assert server.password.reveal(server.destination) == PASSWORD
    assert isinstance(SmtpServer().password, Secret)


def test_no_secret_is_empty_in_the_table_and_false(make_server: Callable[..., SmtpServer]) -> None:
    server = make_server("Open")

    server.refresh_from_db()
    assert stored(server) == ("", "")
    assert not server.password
    assert server.password.reveal(server.destination) == ""


def test_nothing_that_shows_a_server_shows_its_secrets(server: SmtpServer) -> None:
    shown = f"{server!r} {server} {vars(server)} {server.password} {server.password!r} {serialize('json', [server])}"

    assert PASSWORD not in shown
    assert server.password.ciphertext not in shown


def test_another_key_gives_an_error_and_never_ciphertext(server: SmtpServer, settings: LazySettings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    with pytest.raises(SecretUnreadable, match="Put the key back that encrypted it, or enter the secret again") as e:
        server.password.reveal(server.destination)

    assert server.password.ciphertext not in str(e.value)


def test_a_damaged_key_is_one_sentence(settings: LazySettings) -> None:
    settings.FIELD_ENCRYPTION_KEYS = ["not a key"]

    with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS must hold url-safe base64 keys"):
        Secret.seal("x", SmtpServer().destination)


# In the pages


def test_an_empty_secret_leaves_the_stored_one(client: Client, boss: User, server: SmtpServer) -> None:
    client.force_login(boss)

    client.post(change_page(server), filled(username="u", password="", api_key="", notes="changed"))

    server.refresh_from_db()
    assert (server.notes, *opened(server)) == ("changed", PASSWORD, API_KEY)


def test_a_typed_secret_replaces_the_stored_one(client: Client, boss: User, server: SmtpServer) -> None:
    client.force_login(boss)

    client.post(change_page(server), filled(username="u", password=" new pässword "))

    server.refresh_from_db()
    assert opened(server) == (" new pässword ", API_KEY)


def test_a_secret_is_removed_by_its_box_only(client: Client, boss: User, server: SmtpServer) -> None:
    client.force_login(boss)

    client.post(change_page(server), filled(username="u", remove_password="on"))

    server.refresh_from_db()
    assert (bool(server.password), server.api_key.reveal(server.destination)) == (False, API_KEY)


def test_the_last_secret_of_a_username_cannot_be_removed(client: Client, boss: User, server: SmtpServer) -> None:
    client.force_login(boss)

    page = client.post(change_page(server), filled(username="u", remove_password="on", remove_api_key="on"))

    assert "Enter a password or API key" in page.content.decode()
    server.refresh_from_db()
    assert server.password


def test_typing_and_removing_at_once_is_asked_about(client: Client, boss: User, server: SmtpServer) -> None:
    client.force_login(boss)

    page = client.post(change_page(server), filled(username="u", password="x", remove_password="on"))

    assert "Enter a new value or remove the stored one" in page.content.decode()


def test_no_page_says_a_secret(
    client: Client, boss: User, server: SmtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client.force_login(boss)
    typed = "typed-and-refused"
    client.post(change_page(server), filled(username="u", password=PASSWORD))

    pages = [
        client.get(LIST),
        client.get(change_page(server)),
        client.get(history_page(server)),
        client.get(f"{LIST}{server.pk}/delete/"),
        client.post(change_page(server), filled(username="u", password=typed, api_key=typed, port="0")),
    ]

    text = " ".join(page.content.decode() for page in pages) + caplog.text
    for secret in (PASSWORD, API_KEY, typed, server.password.ciphertext, server.api_key.ciphertext):
        assert secret not in text
    assert "Set. Stored encrypted" in text


def test_the_log_of_changes_names_the_field_and_not_the_value(client: Client, boss: User, server: SmtpServer) -> None:
    client.force_login(boss)

    client.post(change_page(server), filled(username="u", password="brand-new"))

    entry = LogEntry.objects.get()
    latest = server.history.latest()
    assert "Password" in entry.get_change_message()
    assert latest.history_change_reason == "Changed: Password."
    everything = f"{entry.change_message} {vars(latest)}"
    assert "brand-new" not in everything
    assert "gAAAA" not in everything
    assert not hasattr(latest, "password")


def test_a_person_who_may_only_view_sees_whether_secrets_are_set(
    client: Client, person: Callable[..., User], server: SmtpServer
) -> None:
    client.force_login(person("view_smtpserver"))

    page = client.get(change_page(server)).content.decode()

    assert "smtp.brilliance.example" in page
    assert "Set." in page
    for secret in (PASSWORD, API_KEY, server.password.ciphertext, "Secret set", 'name="password"'):
        assert secret not in page


def test_a_missing_key_is_said_on_the_page_of_the_server(
    client: Client, boss: User, server: SmtpServer, settings: LazySettings
) -> None:
    client.force_login(boss)
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]

    page = client.get(change_page(server))
    saved = client.post(change_page(server), filled(username="u", notes="still editable"), follow=True)

    assert page.status_code == saved.status_code == 200
    assert "A stored secret cannot be decrypted with the keys in FIELD_ENCRYPTION_KEYS" in page.content.decode()
    assert "the current keys can" in page.content.decode()
    server.refresh_from_db()
    assert server.notes == "still editable"


def test_error_reports_leave_the_secrets_of_a_request_out(boss: User, server: SmtpServer) -> None:
    from django.contrib.admin import site

    request = RequestFactory().get(change_page(server))
    request.user = boss
    request.session = {PROVED_AT: timezone.now().timestamp()}

    site.get_model_admin(SmtpServer).changeform_view(request, str(server.pk))

    assert request.sensitive_post_parameters == ("password", "api_key")


def test_notes_that_hold_the_password_are_pointed_out(client: Client, boss: User, server: SmtpServer) -> None:
    client.force_login(boss)

    page = client.post(
        change_page(server), filled(username="u", password="n3w-one", notes="It is n3w-one."), follow=True
    )

    assert "can read the password or API key in its notes" in page.content.decode()


def test_notes_do_not_tell_whether_a_guess_is_the_stored_password(
    client: Client, boss: User, server: SmtpServer
) -> None:
    client.force_login(boss)

    page = client.post(change_page(server), filled(username="u", notes=f"{PASSWORD} {API_KEY}"), follow=True)

    assert "API key in its notes" not in page.content.decode()
    server.refresh_from_db()
    assert PASSWORD in server.notes


# Rotation


def test_rotation_moves_every_secret_to_the_first_key(server: SmtpServer, settings: LazySettings) -> None:
    old, new = settings.FIELD_ENCRYPTION_KEYS, Fernet.generate_key().decode()
    version = server.version
    settings.FIELD_ENCRYPTION_KEYS = [new, *old]
    said = StringIO()

    call_command("rotate_secrets", stdout=said)

    settings.FIELD_ENCRYPTION_KEYS = [new]
    server.refresh_from_db()
    assert said.getvalue() == "2 secrets encrypted under the first key.\n"
    assert opened(server) == (PASSWORD, API_KEY)
    assert (server.version, server.history.count()) == (version, 1)


def test_rotation_names_what_no_key_opens_and_does_the_rest(
    make_server: Callable[..., SmtpServer], settings: LazySettings
) -> None:
    here, elsewhere = settings.FIELD_ENCRYPTION_KEYS, [Fernet.generate_key().decode()]
    settings.FIELD_ENCRYPTION_KEYS = elsewhere
    make_server("Lost", password="x")
    settings.FIELD_ENCRYPTION_KEYS = here
    make_server("Kept", password="y")
    said = StringIO()

    with pytest.raises(CommandError, match=r"None of the keys opens these: Lost \(password\)\. Add the key"):
        call_command("rotate_secrets", stdout=said)

    assert said.getvalue() == "1 secret encrypted under the first key.\n"
