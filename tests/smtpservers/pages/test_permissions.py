"""Who sees what of the fleet, and who may change it."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils.html import strip_tags

from smtpservers.admin.servers import READ_ONLY_FIELDSETS
from smtpservers.forms.server import ServerForm
from smtpservers.models import SmtpServer
from tests.smtpservers.pages.conftest import LIST, change_page, filled, history_page

pytestmark = pytest.mark.django_db


@pytest.fixture
def server(make_server: Callable[..., SmtpServer]) -> SmtpServer:
    return make_server(
        "Primary",
        host="smtp.private.test",
        username="private-user",
        password="x",
        mail_from="private-from@x.test",
        notes="private-notes",
        max_per_month=10,
        paused_reason="535 private-reason",
    )


def test_without_a_permission_there_is_nothing(client: Client, person: Callable[..., User], server: SmtpServer) -> None:
    client.force_login(person())

    for path in (LIST, change_page(server), history_page(server), f"{LIST}add/", f"{LIST}{server.pk}/delete/"):
        assert client.get(path).status_code == 403


def test_the_fleet_is_names_states_and_quotas(client: Client, person: Callable[..., User], server: SmtpServer) -> None:
    client.force_login(person("view_fleet"))

    page = client.get(LIST).content.decode()

    assert "Primary" in page
    assert "Paused" in page
    assert "0 of 10" in page
    for hidden in ("private", "STARTTLS", "/change/", "/test/", 'name="action"', "display_order"):
        assert hidden not in page.replace('data-ordering-field="display_order"', "")


def test_whoever_sees_the_fleet_opens_no_server(
    client: Client, person: Callable[..., User], server: SmtpServer
) -> None:
    client.force_login(person("view_fleet"))

    for path in (change_page(server), history_page(server), f"{LIST}add/", f"{LIST}{server.pk}/delete/"):
        assert client.get(path).status_code == 403
    assert client.post(change_page(server), filled()).status_code == 403


def test_whoever_sees_the_fleet_cannot_feel_for_what_is_hidden(
    client: Client, person: Callable[..., User], server: SmtpServer
) -> None:
    client.force_login(person("view_fleet"))

    assert client.get(f"{LIST}?q=private").context["cl"].result_count == 0
    for lookup in ("username__startswith=h", "host__startswith=s", "password__startswith=g", "use_tls__exact=1"):
        assert client.get(f"{LIST}?{lookup}").status_code == 400, lookup


def test_whoever_sees_the_fleet_reorders_nothing(
    client: Client, person: Callable[..., User], server: SmtpServer
) -> None:
    client.force_login(person("view_fleet"))
    form = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "_save": "Save"}

    client.post(
        LIST, form | {"form-0-id": str(server.pk), "form-0-display_order": "77", "initial-form-0-display_order": "10"}
    )

    server.refresh_from_db()
    assert server.display_order == 10


@pytest.mark.parametrize(("permissions", "may"), [(("view_fleet",), False), (("view_fleet", "pause_smtpserver"), True)])
def test_pausing_is_a_permission_of_its_own(
    client: Client, person: Callable[..., User], server: SmtpServer, permissions: tuple[str, ...], may: bool
) -> None:
    client.force_login(person(*permissions))

    client.post(LIST, {"action": "deactivate", "_selected_action": server.pk})
    client.post(LIST, {"action": "resume", "_selected_action": server.pk})

    server.refresh_from_db()
    assert (server.is_active, server.paused_reason) == ((False, "") if may else (True, "535 private-reason"))


def test_the_test_button_is_a_permission_of_its_own(
    client: Client, person: Callable[..., User], server: SmtpServer
) -> None:
    client.force_login(person("view_smtpserver", username="reader"))
    assert "/test/" not in client.get(LIST).content.decode()
    assert "send_test_page" not in client.get(change_page(server)).content.decode()

    client.force_login(person("view_fleet", "send_test", username="tester"))
    assert f"/servers/{server.pk}/test/" in client.get(LIST).content.decode()


def test_a_person_who_may_only_view_changes_nothing(
    client: Client, person: Callable[..., User], server: SmtpServer
) -> None:
    client.force_login(person("view_smtpserver"))

    page = client.get(change_page(server)).content.decode()

    assert "private-notes" in page
    assert 'name="_save"' not in page
    assert client.post(change_page(server), filled(notes="changed")).status_code == 403
    assert client.get(history_page(server)).status_code == 200


def test_old_versions_cannot_be_brought_back(client: Client, boss: User, person: Callable[..., User]) -> None:
    client.force_login(boss)
    client.post(f"{LIST}add/", filled(notes="old"))
    server = SmtpServer.objects.get()
    client.post(change_page(server), filled(notes="new"))
    version = f"{history_page(server)}{server.history.earliest().pk}/"

    for user in (boss, person("view_smtpserver")):
        client.force_login(user)
        assert client.get(version).status_code == 404
        assert client.post(version, {}).status_code == 404

    server.refresh_from_db()
    assert server.notes == "new"


def test_the_history_says_who_changed_what_and_shows_notes_in_full(client: Client, boss: User) -> None:
    client.force_login(boss)
    old, new = "First line\r\nsecond <b>line</b> " + "x" * 300, "y" * 300
    client.post(f"{LIST}add/", filled(notes=old))
    server = SmtpServer.objects.get()
    client.post(change_page(server), filled(notes=new, max_per_month="500", is_active=None))

    page = client.get(history_page(server)).content.decode()

    assert "by boss" in page
    assert "First line<br>second &lt;b&gt;line&lt;/b&gt; " + "x" * 300 in page
    assert new in page
    changes = " ".join(strip_tags(page).split())
    assert "Max (per month) Before: empty After: 500" in changes
    assert "Active Before: on After: off" in changes
    assert "Revert" not in page


def test_who_may_only_look_sees_every_field_of_the_form() -> None:
    shown = {name for _, options in READ_ONLY_FIELDSETS for row in options["fields"] for name in _names(row)}

    # Secrets are told by their state, notes as text.
    instead = {"password": "password_state", "api_key": "api_key_state", "notes": "notes_text"}
    fields = set(ServerForm.base_fields) - {"remove_password", "remove_api_key"}
    assert shown == {instead.get(name, name) for name in fields}


def _names(row: str | tuple[str, ...]) -> tuple[str, ...]:
    return (row,) if isinstance(row, str) else row
