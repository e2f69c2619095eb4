"""Demo data by a button: it makes no sign-ins, and all of it goes again."""

import datetime as dt
import html
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configuration
from django.contrib import messages
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, User
from django.db import connection
from django.db.models.signals import post_save, pre_delete
from django.test import Client
from django.utils import timezone

from brilliance.demo import removable, seed
from campaigns import tasks as campaign_tasks
from campaigns.models import Campaign
from contacts.consent import changes
from contacts.models import ConsentEvent, Contact, ContactList, Suppression
from delivery import tasks
from delivery.content.return_paths import mailto_domain
from delivery.models import Batch, Message, Notice, TrackedTarget
from delivery.operators import notices
from feedback import tasks as feedback_tasks
from feedback.intake import store
from feedback.models import Feedback, PendingVisit, RawReport, Report, Visit, VisitCount
from feedback.unsubscribe import unsubscribe
from feedback.visits.verdicts import judge_for_a_while
from installation.models import DemoData, SiteSettings
from mail import verp
from sandbox import late_mail
from smtpservers.models import Route, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.feedback.visits.making import ask, click_of, edge_before, gather, group_of, open_of
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
    "feedback_seen",  # What was counted once is never counted again.
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
    boss: User, client: Client, settings: Any, tmp_path: Path, saved_settings: None
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
        answer_late()
        settings.DATA_DIR = tmp_path
        visit()

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


def visit() -> None:
    """Have readers open and click, one of them by name."""
    edge, now = edge_before(), timezone.now()
    for message in Message.objects.filter(email__startswith="reads."):
        code = TrackedTarget.objects.filter(link__mailing=message.mailing)[0].code
        group = group_of(message.mailing)
        for path in (open_of(message), click_of(message, code), f"/o/{group}.gif", f"/c/{group}{code}"):
            assert ask(edge, path).status in (200, 302)
    gather(edge, now)
    edge.end()  # Its threads would read the databases of later tests.
    assert PendingVisit.objects.exists()
    judge_for_a_while(lambda: now + dt.timedelta(minutes=6), 60)
    assert {visit.message.email for visit in Visit.objects.all()} == {
        contact.email for contact in Contact.objects.filter(click_tracking="yes", email__startswith="reads.")
    }
    assert VisitCount.objects.filter(is_personal=False).exists()


def answer_late() -> None:
    """Have recipients answer as those of the test inbox do."""
    now = timezone.now()
    for name in seed.ANSWERING_READERS:
        message = Message.objects.get(email__startswith=name)
        server = SmtpServer.objects.get(name="Starter plan")
        return_path = verp.tagged(server.return_path, message.pk, message.attempt_count, configuration.TOKEN_KEYS)
        content = f"Subject: x\r\nMessage-ID: {message.message_id}\r\n\r\nHello\r\n".encode()
        if (answer := late_mail.answer(message.email, return_path, content, now)) is not None:
            store.take(RawReport.Source.LISTENER, answer.content, now=now, envelope_to=answer.recipient)
    feedback_tasks.process_reports()
    assert {"hard", "complaint", "auto_reply"} <= set(Report.objects.values_list("kind", flat=True))
    assert {"hard_bounce", "complaint"} <= set(Suppression.objects.values_list("reason", flat=True))


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
    mailboxes = client.get("/admin/feedback/mailbox/").content.decode()
    assert all(map(mailto_domain, SmtpServer.objects.all()))  # Their mail can be unsubscribed from by mail.
    assert mailboxes.count("Arrived ") == 2 * 3
    assert "Not probed" not in mailboxes


def test_what_was_made_beside_it_stays(client: Client, boss: User, settings: Any) -> None:
    settings.SANDBOX_ENABLED = True
    client.post(MAKE)
    SiteSettings.objects.update(organisation="Acme")
    server, people = make_server(2599, "Ours"), make_list(3)
    own = Campaign.objects.create(name="Ours", subject="x", text="x", status="finished")
    own.lists.add(people, ContactList.objects.get(name="First readers"))

    client.post(REMOVE)

    assert (SmtpServer.objects.get(), Campaign.objects.get()) == (server, own)
    assert (Contact.objects.count(), list(own.lists.all())) == (3, [people])
    assert SiteSettings.objects.get().organisation == "Acme"
    assert not DemoData.objects.exists()


@pytest.fixture
def demo(client: Client, settings: Any) -> None:
    settings.SANDBOX_ENABLED = True
    client.post(MAKE)


@pytest.mark.usefixtures("demo")
def test_rows_that_were_changed_stay_and_the_page_says_so(client: Client) -> None:
    server = SmtpServer.objects.get(name="Company relay")
    server.host, server.port, server.password = "smtp.provider.example", 587, "secret"
    server.save()
    person = Contact.objects.get(email_key="bounce.1@example.org")
    person.email = "ann@customer.example"
    person.save()
    ContactList.objects.filter(name="First readers").update(description="Ours")
    Campaign.objects.filter(name="November newsletter").update(subject="Ours", status="cancelled")
    SiteSettings.objects.update(alert_address="ops@acme.example", time_zone="Europe/Vienna")

    answer = client.post(REMOVE, follow=True).content.decode()

    assert list(SmtpServer.objects.values_list("host", flat=True)) == ["smtp.provider.example"]
    assert list(Contact.objects.values_list("email", flat=True)) == ["ann@customer.example"]
    assert list(person.lists.values_list("name", flat=True)) == ["Newsletter readers"]
    assert list(ContactList.objects.values_list("name", flat=True)) == ["First readers", "Newsletter readers"]
    assert list(Campaign.objects.values_list("subject", flat=True)) == ["Ours"]
    kept = SiteSettings.objects.get()
    assert (kept.organisation, kept.alert_address, kept.time_zone) == ("", "ops@acme.example", "Europe/Vienna")
    assert "Demo data removed. 6 items stay, because you changed or use them." in answer


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("values", [{"port": 2600}, {"password": "other"}, {"mail_from": "Acme <news@acme.example>"}])
def test_a_server_stays_once_it_leads_elsewhere(client: Client, values: dict[str, Any]) -> None:
    server = SmtpServer.objects.get(name="Company relay")
    for name, value in values.items():
        setattr(server, name, value)
    server.save()

    client.post(REMOVE)

    assert SmtpServer.objects.get() == server


@pytest.mark.usefixtures("demo")
def test_own_people_keep_the_list_that_they_are_on(client: Client) -> None:
    readers = ContactList.objects.get(name="Newsletter readers")
    own = Contact.objects.create(email="ann@customer.example")
    given = {"method": "import", "source": "ours.csv", "now": timezone.now()}
    changes.subscribe(own, readers, **given)
    theirs, imported = Contact.objects.filter(email__startswith="bounce")[:2]
    changes.subscribe(theirs, make_list(1, "Ours"), **given)
    changes.subscribe(imported, ContactList.objects.get(name="First readers"), **given)

    client.post(REMOVE)

    assert own.subscriptions.get().list == readers
    assert {each.list.name for each in theirs.subscriptions.all()} == {"Newsletter readers", "Ours"}
    assert ConsentEvent.objects.filter(source="ours.csv").count() == 3
    assert not SmtpServer.objects.exists()


def test_suppressions_go_if_the_demos_mail_made_them_and_stay_if_users_did(
    client: Client, settings: Any, tmp_path: Path
) -> None:
    refused: set[str] = set()

    def script(event: str, context: dict[str, object]) -> bytes | None:
        return b"550 5.1.1 No such user" if event == "rcpt" and str(context["rcpt_to"]) in refused else None

    with running_peer(tmp_path, script) as peer:
        settings.SANDBOX_ENABLED, settings.SANDBOX_PLAIN_PORT = True, peer.port
        client.post(MAKE)
        SmtpServer.objects.exclude(name="Starter plan").update(is_active=False)
        people = Contact.objects.filter(lists__name="First readers").order_by("pk")
        bounced, left, by_hand, listed = people.values_list("email", flat=True)[:4]
        refused.add(bounced)
        campaign_tasks.start_due_campaigns()
        run_drain()
    now = timezone.now()
    message = Message.objects.select_related("mailing", "contact").get(email=left)
    unsubscribe(message, from_everything=True, channel=Feedback.Channel.PAGE, reason="", now=now)
    assert set(Suppression.objects.values_list("email", flat=True)) == {bounced, left}
    changes.suppress(by_hand, "hard_bounce", "admin: boss – 550 5.1.1 No such user", now)
    changes.suppress(listed, "unsubscribed", "old-tool.csv", now)

    client.post(REMOVE)

    assert not Contact.objects.exists()
    assert set(Suppression.objects.values_list("email", flat=True)) == {by_hand, listed}


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize("use", ["lists", "server_ids", "routing rule", "started"])
def test_while_something_of_ones_own_needs_it_nothing_is_removed(client: Client, boss: User, use: str) -> None:
    own = Campaign.objects.create(name="Ours", subject="x", text="x")
    servers = list(SmtpServer.objects.values_list("pk", flat=True))
    if use == "lists":
        own.lists.add(ContactList.objects.get(name="First readers"))
    elif use == "server_ids":
        Campaign.objects.filter(pk=own.pk).update(server_ids=servers[:1])
    elif use == "routing rule":
        Route.objects.create(name="Ours", server_ids=servers[:1], display_order=1)
    else:  # It names no server, but its mail is for the test inbox, where only the demo's servers lead.
        mailing = make_mailing(make_list(1), is_for_test_inbox=True)
        Campaign.objects.filter(pk=own.pk).update(status="sending", mailing=mailing)
    before = tables()

    answer = html.unescape(client.post(REMOVE, follow=True).content.decode())

    name = "the routing rule “Ours”" if use == "routing rule" else "the campaign “Ours”"
    assert f"Demo data wasn't removed, because something of yours uses it: {name}. Change that first." in answer
    assert {table: rows for table, rows in tables().items() if rows != before.get(table)}.keys() <= {"django_session"}
    Campaign.objects.filter(pk=own.pk).update(status="finished")
    Route.objects.filter(name="Ours").delete()
    client.post(REMOVE)
    assert not SmtpServer.objects.exists()


@pytest.mark.usefixtures("demo")
def test_a_campaign_that_reached_own_people_stays_with_its_messages(client: Client) -> None:
    first = ContactList.objects.get(name="First readers")
    own = Contact.objects.create(email="ann@customer.example")
    changes.subscribe(own, first, method="import", source="ours.csv", now=timezone.now())
    campaign_tasks.start_due_campaigns()
    Campaign.objects.filter(status="sending").update(status="finished")

    client.post(REMOVE)

    assert Campaign.objects.get().name == "Welcome to the first readers"
    assert Message.objects.filter(contact=own).count() == 1


def press_at_once(clients: list[Client], path: str) -> list[str]:
    """Press in threads of their own; return the statuses and messages, sorted."""
    barrier = threading.Barrier(len(clients))

    def press(client: Client) -> str:
        try:
            barrier.wait()
            answer = client.post(path)
            said = [str(message) for message in messages.get_messages(answer.wsgi_request)]
            return f"{answer.status_code} {said[-1]}"
        finally:
            connection.close()

    with ThreadPoolExecutor(len(clients)) as threads:
        return sorted(threads.map(press, clients))


def test_one_of_several_who_press_at_once_makes_or_removes_it(client: Client, settings: Any) -> None:
    settings.SANDBOX_ENABLED = True
    clients = []
    for name in ("ann", "ben", "cem"):
        user = User.objects.create_user(name, is_staff=True)
        user.groups.add(Group.objects.get(name="admin"))
        other = Client(raise_request_exception=False)
        other.force_login(user)
        other.get("/admin/")
        session = other.session
        session["proved_at"] = timezone.now().timestamp()
        session.save()
        clients.append(other)

    made = press_at_once(clients, MAKE)
    assert (SmtpServer.objects.count(), DemoData.objects.count()) == (3, 1)
    removed = press_at_once(clients, REMOVE)

    not_empty = "302 This installation isn't empty, so no demo data was added."
    assert made == ["302 Demo data added. Its first campaign is on its way to the Test inbox.", not_empty, not_empty]
    assert removed == ["302 Demo data removed.", *["302 There is no demo data to remove."] * 2]


def test_rows_that_appear_while_it_is_made_are_no_part_of_it(client: Client, settings: Any, boss: User) -> None:
    settings.SANDBOX_ENABLED = True

    def add(instance: Campaign, created: bool, **_: Any) -> None:
        if created:
            Contact.objects.get_or_create(email_key="ann@customer.example", email="ann@customer.example")

    post_save.connect(add, sender=Campaign)
    try:
        client.post(MAKE)
    finally:
        post_save.disconnect(add, sender=Campaign)
    client.post(REMOVE)

    assert Contact.objects.get().email == "ann@customer.example"


@pytest.mark.usefixtures("demo")
def test_a_removal_that_ends_halfway_can_be_pressed_again(client: Client) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("killed")

    pre_delete.connect(fail, sender=ContactList)
    try:
        with pytest.raises(RuntimeError, match="killed"):
            client.post(REMOVE)
    finally:
        pre_delete.disconnect(fail, sender=ContactList)

    assert (SmtpServer.objects.count(), Campaign.objects.count(), ContactList.objects.count()) == (3, 2, 3)
    client.post(REMOVE)
    assert not ContactList.objects.exists()


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
