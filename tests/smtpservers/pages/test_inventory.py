"""The notes' first line in the list, and the fleet as a file."""

import csv
import io
from collections.abc import Callable

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from smtpservers.forms.server import ServerForm
from smtpservers.inventory import first_line
from smtpservers.models import SECRETS, SmtpServer
from tests.smtpservers.pages.conftest import LIST

pytestmark = pytest.mark.django_db
MakeServer = Callable[..., SmtpServer]


@pytest.mark.parametrize(
    ("notes", "line"),
    [("", ""), ("One\nTwo", "One"), ("\n \n  Ask Jörg <b>  \r\nmore", "Ask Jörg <b>"), ("   ", "")],
)
def test_the_first_line_is_the_first_that_says_something(notes: str, line: str) -> None:
    assert first_line(notes) == line


def test_it_is_in_the_list_as_text(client: Client, boss: User, make_server: MakeServer) -> None:
    make_server(notes="Ask Jörg <b>\nThe rest stays inside")
    client.force_login(boss)

    page = client.get(LIST).content.decode()

    assert "Ask Jörg &lt;b&gt;" in page
    assert "The rest stays inside" not in page


def test_who_sees_no_settings_sees_no_notes_and_exports_nothing(
    client: Client, person: Callable[..., User], make_server: MakeServer
) -> None:
    server = make_server(notes="private")
    client.force_login(person("view_fleet", "pause_smtpserver"))

    page = client.get(LIST).content.decode()
    answer = client.post(LIST, {"action": "export", "_selected_action": [server.pk]})

    assert "private" not in page
    assert "Export as CSV" not in page
    assert b"smtp.brilliance.example" not in answer.content


def test_the_file_has_every_setting_and_no_secret(client: Client, boss: User, make_server: MakeServer) -> None:
    secret = "pa55-w0rd-of-the-server"
    first = make_server(notes="=HYPERLINK(1)\nline", username="u", password=secret, max_per_month=5, use_tls=True)
    second = make_server("Second", host="xn--bcher-kva.example", is_active=False)
    client.force_login(boss)

    answer = client.post(LIST, {"action": "export", "_selected_action": [first.pk, second.pk]})

    text = answer.content.decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert answer["Content-Disposition"] == 'attachment; filename="servers.csv"'
    assert set(rows[0]) == set(ServerForm.base_fields) - {f"remove_{name}" for name in SECRETS} - set(SECRETS) | {
        f"has_{name}" for name in SECRETS
    }
    assert [row["name"] for row in rows] == ["Primary", "Second"]
    assert (rows[0]["notes"], rows[0]["max_per_month"], rows[0]["use_tls"]) == ("'=HYPERLINK(1)\nline", "5", "on")
    assert [(row["has_password"], row["has_api_key"]) for row in rows] == [("yes", "no"), ("no", "no")]
    assert secret not in text
    assert first.password.ciphertext not in text
    assert LogEntry.objects.filter(change_message="Exported, without secrets.").count() == 2
