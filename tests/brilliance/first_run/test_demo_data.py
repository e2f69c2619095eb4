"""Demo data by a button: it makes no sign-ins, and all of it goes again."""

from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.utils import timezone

from brilliance.demo import removable
from campaigns import tasks as campaign_tasks
from campaigns.models import Campaign
from contacts.models import Contact, ContactList
from delivery import tasks
from delivery.models import Batch, Message, Notice
from delivery.operators import notices
from feedback.models import Feedback
from installation.models import DemoData, SiteSettings
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_server, run_drain
from tests.peers.peer import running_peer

MAKE, REMOVE = "/set-up/demo/", "/set-up/demo/remove/"
# Sessions, sign-ins and what the roles are made of; marks that hold no row of the demo.
LEFT_ALONE = {
    *("accounts_usersession", "django_migrations", "sqlite_sequence", "delivery_installation", "delivery_clockmark"),
    *(
        "campaigns_tallymark",
        "delivery_workerseen",
        "delivery_workerreport",
        "auth_user",
        "axes_accesslog",
        "django_content_type",
    ),
}


@pytest.fixture
def boss(transactional_db: None) -> User:
    user = User.objects.create_user("boss", email="boss@example.com", is_staff=True)
    user.groups.add(Group.objects.get(name="admin"))
    return user


@pytest.fixture
def client(boss: User) -> Client:
    client = Client()
    client.force_login(boss)
    client.get("/admin/")
    session = client.session
    session["proved_at"] = timezone.now().timestamp()
    session.save()
    return client


def tables() -> dict[str, list[Any]]:
    """Return the rows of all tables, sorted."""
    found = {}
    with connection.cursor() as cursor:
        for table in sorted(set(connection.introspection.table_names(cursor)) - LEFT_ALONE):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            if rows := sorted(map(str, cursor.fetchall())):
                found[table] = rows
    return found


def test_all_tables_are_after_it_what_they_were_before(
    boss: User, client: Client, settings: Any, tmp_path: Path
) -> None:
    with running_peer(tmp_path) as peer:
        settings.SANDBOX_ENABLED, settings.SANDBOX_PLAIN_PORT = True, peer.port
        settings.SANDBOX_STARTTLS_PORT = settings.SANDBOX_AUTH_PORT = peer.port
        tasks.dispatch()
        before = tables()
        client.post(MAKE)
        SmtpServer.objects.exclude(name="Starter plan").update(is_active=False)
        client.get("/admin/")
        tasks.dispatch()
        campaign_tasks.start_due_campaigns()
        run_drain()
        tasks.dispatch()
        campaign_tasks.tally()
        campaign_tasks.count_people()
        leave_traces(boss)
        assert Message.objects.filter(status="accepted").count() >= 40

        answer = client.post(REMOVE, follow=True)

    assert "Demo data removed." in answer.content.decode()
    after = tables()
    assert {name: rows for name, rows in after.items() if rows != before.get(name)} == {}
    assert before == after


def leave_traces(boss: User) -> None:
    """Have the demo cause what it may cause: a notice, feedback, an entry in a history, a draft of tests."""
    server, message = SmtpServer.objects.get(name="Starter plan"), Message.objects.filter(status="accepted")[0]
    SmtpServer.objects.filter(pk=server.pk).update(
        paused_reason="refused", paused_until=None, outage_at=timezone.now(), is_active=True
    )
    assert notices.notice_outages(timezone.now()) == 1
    assert Notice.objects.exists()
    Feedback.objects.create(message=message, kind="unsubscribe", received_at=timezone.now())
    LogEntry.objects.log_actions(boss.pk, [server], 2, "Changed.", single_object=True)
    server.refresh_from_db()
    server.notes = "Other notes"
    server.save()


def test_it_makes_no_sign_ins_and_fills_an_empty_installation_only(client: Client, settings: Any) -> None:
    settings.SANDBOX_ENABLED = True
    assert "Add demo data" in client.get("/admin/").content.decode()

    client.post(MAKE)
    again = client.post(MAKE, follow=True).content.decode()

    assert list(User.objects.values_list("username", flat=True)) == ["boss"]
    assert "isn't empty" in again or "isn&#x27;t empty" in again
    assert SmtpServer.objects.count() == 3
    page = client.get("/admin/").content.decode()
    assert "Add demo data" not in page
    assert "Remove demo data" in page


def test_what_was_made_beside_it_stays(client: Client, boss: User, settings: Any) -> None:
    settings.SANDBOX_ENABLED = True
    client.post(MAKE)
    SiteSettings.objects.update(organisation="Acme")
    server, people = make_server(2599, "Ours"), make_list(3)
    own = Campaign.objects.create(name="Ours", subject="x", text="x")
    own.lists.add(people, ContactList.objects.get(name="First readers"))

    client.post(REMOVE)

    assert (SmtpServer.objects.get(), Campaign.objects.get()) == (server, own)
    assert (Contact.objects.count(), list(own.lists.all())) == (3, [people])
    assert SiteSettings.objects.get().organisation == "Acme"
    assert not DemoData.objects.exists()


def test_it_waits_for_a_worker_that_has_some_of_it(client: Client, boss: User, settings: Any) -> None:
    settings.SANDBOX_ENABLED = True
    client.post(MAKE)
    campaign = Campaign.objects.get(name="Welcome to the first readers")
    campaign_tasks.start_due_campaigns()
    campaign.refresh_from_db()
    server = SmtpServer.objects.first()
    batch = Batch.objects.create(
        mailing=campaign.mailing,
        server=server,
        lane_token="0" * 32,
        started_at=timezone.now(),
        claims=[],
        open_count=1,
        is_cut=False,
    )

    answer = client.post(REMOVE, follow=True).content.decode()

    assert "Try again in a few seconds." in answer
    assert SmtpServer.objects.exists()
    batch.delete()
    client.post(REMOVE)
    assert not SmtpServer.objects.exists()


@pytest.mark.parametrize("role", ["marketer", "ops", "viewer"])
def test_administrators_alone_make_and_remove_it(client: Client, settings: Any, role: str) -> None:
    settings.SANDBOX_ENABLED = True
    eve = User.objects.create_user("eve", is_staff=True)
    eve.groups.add(Group.objects.get(name=role))
    other = Client()
    other.force_login(eve)

    assert [other.post(path).status_code for path in (MAKE, REMOVE)] == [403, 403]
    assert not removable.DemoData.objects.exists()


def test_where_the_demo_is_not_installed_there_is_no_button(client: Client, settings: Any) -> None:
    settings.SANDBOX_ENABLED = False

    assert "Add demo data" not in client.get("/admin/").content.decode()
    client.post(MAKE)
    assert not SmtpServer.objects.exists()
