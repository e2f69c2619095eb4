"""A secret goes to the host, port, encryption, certificate and user name that it was entered for, and nowhere else."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography.fernet import Fernet
from django.conf import LazySettings, settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from delivery.models import Message
from delivery.operators import send_test
from encryption.secret_field import Secret, SecretElsewhere
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, run_drain
from tests.delivery.making import make_server as make_relay
from tests.peers.peer import running_peer
from tests.smtpservers.pages.conftest import change_page, filled

PASSWORD, API_KEY = "pa55-w0rd-of-the-server", "ap1-key-of-the-server"
CERTIFICATE = trustme.CA().cert_pem.bytes().decode()
EDITS: list[dict[str, Any]] = [
    {"host": "listener.attacker.example"},
    {"port": 2525},
    {"port": 465},
    {"use_tls": False},
    {"trusted_certificate": CERTIFICATE},
    {"username": "somebody-else"},
    {"host": "198.51.100.7", "port": 25, "use_tls": False, "username": "x"},
]

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(make_server: Callable[..., SmtpServer]) -> SmtpServer:
    return make_server(username="u", password=PASSWORD, api_key=API_KEY)


def posted(edit: dict[str, Any], **more: Any) -> dict[str, Any]:
    values = {"username": "u"} | edit | more
    return filled(**{name: None if value is False else value for name, value in values.items()})


def opened(server: SmtpServer) -> tuple[str, str]:
    server.refresh_from_db()
    return server.password.reveal(server.destination), server.api_key.reveal(server.destination)


# In the form


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: "+".join(edit))
def test_a_changed_server_asks_for_its_secrets_again(
    client: Client, boss: User, server: SmtpServer, edit: dict[str, Any]
) -> None:
    client.force_login(boss)

    page = client.post(change_page(server), posted(edit)).content.decode()

    assert "The server changed: enter the password again." in page
    assert "The server changed: enter the API key again." in page
    assert opened(server) == (PASSWORD, API_KEY), "nothing was saved"


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: "+".join(edit))
def test_secrets_entered_with_the_change_are_for_the_new_server(
    client: Client, boss: User, server: SmtpServer, edit: dict[str, Any]
) -> None:
    client.force_login(boss)

    client.post(change_page(server), posted(edit, password="n3w", remove_api_key="on"))

    assert opened(server) == ("n3w", "")
    for name, value in edit.items():
        assert getattr(server, name) == value


def test_one_secret_entered_again_leaves_the_other_to_be_asked_for(
    client: Client, boss: User, server: SmtpServer
) -> None:
    client.force_login(boss)

    page = client.post(change_page(server), posted({"port": 2525}, password="n3w")).content.decode()

    assert "enter the password again" not in page
    assert "The server changed: enter the API key again." in page


def test_another_provider_whose_user_name_is_fixed_asks_for_the_key_again(
    client: Client, boss: User, make_server: Callable[..., SmtpServer]
) -> None:
    server = make_server(preset="sendgrid", api_key=API_KEY)
    client.force_login(boss)

    page = client.post(change_page(server), filled(preset="resend")).content.decode()

    assert "The server changed: enter the API key again." in page


def test_other_changes_ask_for_nothing(client: Client, boss: User, server: SmtpServer) -> None:
    client.force_login(boss)

    changed = {"host": "SMTP.Brilliance.example.", "timeout_seconds": "60", "mail_from": "a@b.brilliance.example"}
    client.post(change_page(server), posted(changed, name="Renamed", weight="3", notes="x"))

    assert opened(server) == (PASSWORD, API_KEY)
    assert (server.name, server.weight) == ("Renamed", 3)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: "+".join(edit))
def test_the_form_asks_after_an_edit_past_it_too(
    client: Client, boss: User, server: SmtpServer, edit: dict[str, Any]
) -> None:
    SmtpServer.objects.filter(pk=server.pk).update(**edit)
    client.force_login(boss)

    page = client.get(change_page(server)).content.decode()
    saved = client.post(change_page(server), posted(edit, notes="harmless")).content.decode()

    assert "Set, but for a different server." in page
    assert "The server changed: enter the password again." in saved
    server.refresh_from_db()
    assert server.notes == ""


def test_without_the_key_a_changed_server_asks_and_other_fields_are_saved(
    client: Client, boss: User, server: SmtpServer, settings: LazySettings
) -> None:
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    client.force_login(boss)

    refused = client.post(change_page(server), posted({"host": "listener.attacker.example"})).content.decode()
    client.post(change_page(server), posted({}, notes="harmless"))

    assert "The server changed: enter the password again." in refused
    server.refresh_from_db()
    assert (server.host, server.notes) == ("smtp.brilliance.example", "harmless")


# Past the form


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: "+".join(edit))
def test_a_row_edited_in_any_way_gives_no_secret(server: SmtpServer, edit: dict[str, Any]) -> None:
    for name, value in edit.items():
        setattr(server, name, value)
    server.save()

    with pytest.raises(SecretElsewhere, match=r"^The server changed: enter the password again\.") as error:
        opened(server)

    assert PASSWORD not in repr(error.getrepr(showlocals=True))


def test_a_secret_copied_to_another_row_is_not_given(
    server: SmtpServer, make_server: Callable[..., SmtpServer]
) -> None:
    own = make_server("Own", host="listener.attacker.example", username="u")
    SmtpServer.objects.filter(pk=own.pk).update(password=server.password, api_key=server.password)

    with pytest.raises(SecretElsewhere):
        opened(own)


@pytest.mark.parametrize("plain", ["an old one", "123", '"quoted"', "{}", '{"secret": "x"}'])
def test_a_secret_sealed_for_nothing_is_not_given(server: SmtpServer, plain: str) -> None:
    bare = Fernet(settings.FIELD_ENCRYPTION_KEYS[0]).encrypt(plain.encode()).decode()
    SmtpServer.objects.filter(pk=server.pk).update(password=Secret(bare))

    with pytest.raises(SecretElsewhere):
        opened(server)


def test_plain_text_cannot_be_written_past_its_server(server: SmtpServer) -> None:
    with pytest.raises(TypeError, match="a secret is sealed for its row"):
        SmtpServer.objects.filter(pk=server.pk).update(password="plain")


@pytest.mark.django_db(transaction=True)
def test_a_listener_of_ones_own_hears_no_password(tmp_path: Path) -> None:
    with running_peer(tmp_path, accounts={"ann": "pencil"}) as listener:
        server = make_relay(25, host="relay.shop.example", username="ann", password="pencil", api_key="key")
        SmtpServer.objects.filter(pk=server.pk).update(host="127.0.0.1", port=listener.port)
        make_mailing(make_list(3))

        with pytest.raises(send_test.SendTestRefused, match="The server changed: enter the password again"):
            send_test.send_test(server_id=server.pk, recipient="a@b.example", actor=None, now=timezone.now())
        run_drain()

        assert listener.journal.events("conn") == []
    server.refresh_from_db()
    assert server.paused_reason.startswith("The server changed: enter the password again.")
    assert server.paused_until is None, "only a person brings it back"
    assert set(Message.objects.filter(mailing__stream="campaign").values_list("status", flat=True)) == {"queued"}


# Keys and the step from earlier versions


def test_rotation_keeps_what_a_secret_was_entered_for(server: SmtpServer, settings: LazySettings) -> None:
    SmtpServer.objects.filter(pk=server.pk).update(host="listener.attacker.example")
    settings.FIELD_ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.FIELD_ENCRYPTION_KEYS]

    call_command("rotate_secrets", stdout=StringIO())

    settings.FIELD_ENCRYPTION_KEYS = settings.FIELD_ENCRYPTION_KEYS[:1]
    with pytest.raises(SecretElsewhere):
        opened(server)
    SmtpServer.objects.filter(pk=server.pk).update(host="smtp.brilliance.example")
    assert opened(server) == (PASSWORD, API_KEY)
