"""How long each page takes over a long history: ten million messages on PostgreSQL, one million on SQLite.

    DATABASE_URL=postgres://user:password@127.0.0.1/brilliance python -m bench.history [--messages 10000000]

Makes a database beside the one of DATABASE_URL, fills it by a few statements, asks for every list, filter and search
as an administrator would, prints the slowest, erases a person, deletes a server, and deletes the database. Ends with 1
if an answer took longer than --most seconds. Ten million messages take about 15 GB while it runs. --keep leaves the
database for another walk, and --again walks through one that was kept. --farewells leaves the pages out.
"""

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

import django

django.setup()  # What follows asks for the product's settings.

from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from campaigns.models import Campaign  # noqa: E402
from contacts.models import Contact, ContactList  # noqa: E402
from contacts.privacy import erasure  # noqa: E402
from delivery.models import Mailing, Message  # noqa: E402
from feedback.records import raw_reports  # noqa: E402
from feedback.reports.reader import Reader  # noqa: E402
from smtpservers.models import SmtpServer  # noqa: E402

CAMPAIGNS = 10
SERVERS = 4
SINGLE_SHARE = 10  # One single message for this many of campaigns.


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    usual = 10_000_000 if connection.vendor == "postgresql" else 1_000_000
    parser.add_argument("--messages", type=int, default=usual)
    parser.add_argument("--most", type=float, default=2.0, help="seconds an answer may take")
    parser.add_argument("--farewells", action="store_true", help="only erase a person and delete a server")
    parser.add_argument("--keep", action="store_true", help="leave the database")
    parser.add_argument("--again", action="store_true", help="walk through the one that was kept")
    options = parser.parse_args()
    kept = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False, keepdb=options.again)
    try:
        if not options.again:
            started = time.monotonic()
            fill(options.messages)
            print(
                f"{connection.vendor}, {Message.objects.count():,} messages, {time.monotonic() - started:.0f} s to fill"
            )
        slow = walk(options.most) if not options.farewells else 0
        slow += farewells(options.most)
    finally:
        if not options.keep:
            connection.creation.destroy_test_db(kept, verbosity=0)
    sys.exit(1 if slow else 0)


# --- the history


def fill(messages: int) -> None:
    """Make people, campaigns, messages and attempts as years of sending leave them; statements of constants alone."""
    people = messages // CAMPAIGNS
    subscribed = ContactList.objects.create(name="Everybody")
    get_user_model().objects.create_superuser("bench", "bench@example.org", "bench")
    servers = [
        SmtpServer.objects.create(
            name=f"Server {n}",
            host=f"smtp{n}.example.com",
            port=587,
            mail_from="Shop <news@example.com>",
            tested_at=timezone.now(),
        ).pk
        for n in range(SERVERS)
    ]
    _run(
        f"""
        INSERT INTO contacts_contact (email, email_key, first_name, last_name, language, attributes, time_zone,
            created_at, updated_at)
        SELECT 'person' || n || '@' || {_domain("n")}, 'person' || n || '@' || {_domain("n")}, 'First' || n,
            'Last' || n, 'en', '{{}}', '', {_NOW}, {_NOW}
        FROM {_numbers(people)}
        """  # noqa: S608
    )
    _run(
        f"""
        INSERT INTO contacts_subscription (status, source, contact_id, list_id, created_at, changed_at)
        SELECT CASE id % 100 WHEN 0 THEN 'unsubscribed' ELSE 'subscribed' END, 'import', id, {subscribed.pk}, {_NOW},
            {_NOW} FROM contacts_contact
        """  # noqa: S608
    )
    for number in range(CAMPAIGNS):
        _send(number, people, subscribed, servers)
    _send_singly(messages // SINGLE_SHARE)
    _run("ANALYZE")


def _send(number: int, people: int, subscribed: ContactList, servers: list[int]) -> None:
    now = timezone.now()
    mailing = Mailing.objects.create(
        stream="campaign", name=f"Newsletter {number}", subject="News", text="News", is_snapshotted=True,
        finished_at=now, is_reported=True,
    )  # fmt: skip
    campaign = Campaign.objects.create(
        name=f"Newsletter {number}", subject="News", text="News", status="finished", mailing=mailing, starts_at=now
    )
    campaign.lists.add(subscribed)
    # The rare ones lie in the oldest campaign: whoever looks for them from the newest on passes all others.
    rare = "WHEN n % 5000 = 7 THEN 'deferred' WHEN n % 5000 = 11 THEN 'unconfirmed'" if number == 0 else ""
    status = f"""CASE WHEN n % 50 = 1 THEN 'bounced' WHEN n % 400 = 2 THEN 'failed' WHEN n % 500 = 3 THEN 'expired'
        WHEN n % 80 = 5 THEN 'suppressed' {rare} ELSE 'accepted' END"""
    server = f"CASE n % 1000 WHEN 0 THEN {servers[-1]} ELSE {servers[0]} + n % {SERVERS - 1} END"
    address = f"'person' || n || '@' || {_domain('n')}"
    _run(
        f"""
        INSERT INTO delivery_message (mailing_id, contact_id, email, email_key, status, changed_at, due_at, server_id,
            attempt_count, message_id, reason, redirected_to, copy_kind, avoid)
        SELECT {mailing.pk}, n, {address}, {address}, status, {_NOW},
            CASE status WHEN 'deferred' THEN {_NOW} END, CASE status WHEN 'suppressed' THEN NULL ELSE server_id END,
            CASE status WHEN 'suppressed' THEN 0 ELSE 1 END, '<{number}.' || n || '@example.com>',
            CASE status WHEN 'accepted' THEN '' ELSE '550 5.1.1 no such user here' END, '', '', '[]'
        FROM (SELECT n, {status} AS status, {server} AS server_id FROM {_numbers(people)}) AS made
        """  # noqa: S608
    )
    first, last = _bounds(mailing)
    batch = f"({mailing.pk} * 1000000 + id / 2000) * 100 + server_id % 100"
    # A batch holds what one server sent among two thousand messages.
    _run(
        f"""
        INSERT INTO delivery_batch (id, mailing_id, server_id, server_name, lane_token, choice, started_at,
            header_from, settings_used, return_path, is_return_path_tagged, claims, open_count, is_cut)
        SELECT batch, {mailing.pk}, server_id, 'Server', {_TOKEN}, '', {_NOW}, 'Shop <news@example.com>',
            '{{}}', 'b@example.com', {_FALSE}, '[]', 0, {_FALSE}
        FROM (
            SELECT DISTINCT {batch} AS batch, server_id FROM delivery_message
            WHERE id BETWEEN {first} AND {last} AND attempt_count > 0
        ) AS made
        """  # noqa: S608
    )
    _run(
        f"""
        INSERT INTO delivery_attempt (message_id, number, batch_id, finished_at, outcome, stage, code, reply, rule,
            envelope_from)
        SELECT id, 1, {batch}, {_NOW},
            CASE WHEN status IN ('accepted', 'bounced', 'deferred') THEN status ELSE 'failed' END, 'DOT', 250, 'ok',
            CASE status WHEN 'accepted' THEN '' ELSE '5xx-rcpt' END, ''
        FROM delivery_message WHERE id BETWEEN {first} AND {last} AND attempt_count > 0
        """  # noqa: S608
    )
    _come_back(f"FROM delivery_message WHERE id BETWEEN {first} AND {last}")


def _send_singly(number: int) -> None:
    """Make single messages, each with a mailing of its own, beside one test."""
    mailing = Mailing.objects.create(
        stream="single", name="Receipt", subject="Your receipt", html="<p>Thank you for your order.</p>" * 100,
        is_snapshotted=True, finished_at=timezone.now(), is_reported=True,
    )  # fmt: skip
    columns = ", ".join(str(field.column) for field in Mailing._meta.concrete_fields if not field.primary_key)
    _run(
        f"INSERT INTO delivery_mailing ({columns}) SELECT {columns}"  # noqa: S608
        f" FROM delivery_mailing, {_numbers(number)} WHERE id = {mailing.pk}"
    )
    _run(
        f"""
        INSERT INTO delivery_message (mailing_id, email, email_key, status, changed_at, attempt_count, message_id,
            reason, redirected_to, copy_kind, avoid)
        SELECT id, 'buyer' || id || '@example.org', 'buyer' || id || '@example.org', 'accepted', {_NOW}, 1,
            '<single.' || id || '@example.com>', '', '', '', '[]'
        FROM delivery_mailing WHERE stream = 'single'
        """  # noqa: S608
    )
    test = Mailing.objects.create(stream="test", name="Test", subject="Test", text="Test", is_snapshotted=True)
    Message.objects.create(
        mailing=test, email="ann@example.org", email_key="ann@example.org", status="accepted",
        merge={"first_name": "Ann", "last_name": "Example"},
    )  # fmt: skip


def _come_back(of_messages: str) -> None:
    """Make what comes back of some messages: a post, a reply and a bounce for each that bounced, and opens of many."""
    bounced = f"{of_messages} AND status = 'bounced'"
    _run(
        f"""
        INSERT INTO feedback_rawreport (source, digest, server_id, provider, envelope_to, sealed, size_bytes, state,
            problem, received_at)
        SELECT 'webhook', 'bench' || id, server_id, 'postmark', '', {_EMPTY}, 0, 'done', '', {_NOW} {bounced}
        """
    )
    _run(
        f"""
        INSERT INTO feedback_feedback (kind, channel, message_id, attempt, email, is_global, reason, received_at)
        SELECT 'hard', 'webhook', id, 1, email, {_FALSE}, reason, {_NOW} {bounced}
        """
    )
    _run(
        f"""
        INSERT INTO feedback_report (source, server_id, provider, received_at, state, kind, message_id, attempt,
            recipient, enhanced, text, rule, reason)
        SELECT 'webhook', server_id, 'postmark', {_NOW}, 'applied', 'hard', id, 1, email, '5.1.1', reason, '', ''
        {bounced}
        """
    )
    _run(
        f"""
        INSERT INTO feedback_visit (message_id, kind, visitor, reason, family, at)
        SELECT id, 'open', 'human', '', '', {_NOW} {of_messages} AND id % 3 = 0
        """
    )
    _run(
        f"""
        INSERT INTO feedback_firstvisit (message_id, kind, link_id, visitor, at)
        SELECT id, 'open', 0, 'human', {_NOW} {of_messages} AND id % 3 = 0
        """
    )


def _bounds(mailing: Mailing) -> tuple[int, int]:
    rows = Message.objects.filter(mailing=mailing).order_by("pk").values_list("pk", flat=True)
    first, last = rows.first(), rows.last()
    assert first is not None
    assert last is not None
    return first, last


IS_POSTGRESQL = connection.vendor == "postgresql"
_NOW = "now()" if IS_POSTGRESQL else "CURRENT_TIMESTAMP"
_FALSE = "FALSE" if IS_POSTGRESQL else "0"
_EMPTY = "''" if IS_POSTGRESQL else "x''"
_TOKEN = f"'{'0' * 32}'"


def _numbers(last: int) -> str:
    """Return a table ``t`` with the numbers ``n`` from 1 on."""
    if IS_POSTGRESQL:
        return f"generate_series(1, {last}) AS t(n)"
    return f"(WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {last}) SELECT n FROM t) AS t"  # noqa: S608


def _domain(number: str) -> str:
    return f"CASE {number} % 4 WHEN 0 THEN 'gmail.com' WHEN 1 THEN 'outlook.com' ELSE 'example.org' END"


def _run(sql: str) -> None:
    with connection.cursor() as cursor:
        if IS_POSTGRESQL:
            cursor.execute("SET synchronous_commit = off")
        cursor.execute(sql)


# --- the walk


def walk(most: float) -> int:
    """Ask for every page, print the slowest, and return how many took too long."""
    client = Client(raise_request_exception=False, SERVER_NAME="localhost")
    user = get_user_model().objects.get(username="bench")
    client.force_login(user)
    told: list[tuple[float, int, int, str]] = []
    for url in addresses():
        started = time.monotonic()
        answer = client.get(url)
        size = len(answer.content) if not answer.streaming else 0
        told.append((time.monotonic() - started, answer.status_code, size, url))
        print(f"{told[-1][0]:7.2f} s  {answer.status_code}  {url}", flush=True)
    slow = [each for each in told if each[0] > most]
    print(f"\n{len(told)} addresses; {len(slow)} took longer than {most:g} s.")
    for seconds, status, _, url in sorted(told, reverse=True)[:15]:
        print(f"{seconds:7.2f} s  {status}  {url}")
    return len(slow)


def farewells(most: float) -> int:
    """Erase a person and delete the server that sent most, as pages do; return how many of the two took too long."""
    client = Client(SERVER_NAME="localhost")
    user = get_user_model().objects.get(username="bench")
    client.force_login(user)
    contact = Contact.objects.order_by("pk")[Contact.objects.count() // 2]
    started = time.monotonic()
    outcome = erasure.erase(erasure.subject_of(contact), user, timezone.now())
    took = [time.monotonic() - started]
    print(f"{took[-1]:7.2f} s  to erase a person: {outcome.sentence} {outcome.counts}")
    started = time.monotonic()
    with Reader() as reader:
        raw_reports.search(reader, lambda: False)
    print(f"{time.monotonic() - started:7.2f} s  in the background")
    server = SmtpServer.objects.order_by("pk")[1]
    page = f"/admin/smtpservers/smtpserver/{server.pk}/delete/"
    started = time.monotonic()
    client.get(page)
    client.post(page, {"post": "yes"})
    took.append(time.monotonic() - started)
    assert not SmtpServer.objects.filter(pk=server.pk).exists()
    print(f"{took[-1]:7.2f} s  to delete a server")
    return sum(each > most for each in took)


def addresses() -> Iterator[str]:
    """Yield every page with a list, with its filters one by one and in pairs, and searches that find nothing."""
    yield from ("/admin/", "/admin/campaigns/campaign/", "/reports/")
    statuses = ["", *Message.Status.values]
    servers = ["", *map(str, SmtpServer.objects.order_by("pk").values_list("pk", flat=True))]
    sought = ("", "person77@outlook.com", "person777777", "nobody-at-all", "zzz@nowhere.example", "@example.org", "%25")
    for status, server in itertools.product(statuses, servers):
        yield f"/messages/?status={status}&server={server}"
    for word, status in itertools.product(sought, ("", "deferred", "bounced", "accepted", "cancelled")):
        yield f"/messages/?address={word}&status={status}"
    yield "/messages/?address=nobody-at-all&server=" + servers[-1]
    middle = Message.objects.order_by("pk").values_list("pk", flat=True).last() or 0
    yield f"/messages/?before={middle // 2}&status=unconfirmed"
    for campaign in (Campaign.objects.order_by("pk").first(), Campaign.objects.order_by("pk").last()):
        assert campaign is not None
        page = f"/campaigns/{campaign.pk}"
        yield from (f"{page}/", f"{page}/progress.json", f"{page}/report/", f"{page}/recipients/?page=99999")
        for status in statuses:
            yield f"{page}/recipients/?status={status}"
        for server in servers:
            yield f"{page}/recipients/?server={server}"
        for word in sought:
            yield f"{page}/recipients/?q={word}"
            yield f"{page}/recipients/?reply={word}"
        for provider in ("google", "microsoft", "nobody"):
            yield f"{page}/recipients/?provider={provider}"
        yield f"{page}/recipients/?answer=no-such-address"
        yield f"{page}/recipients/?answer=nothing"
    draft = Campaign.objects.create(name=f"Draft {timezone.now()}", subject="S", text="Dear {{ first_name }}")
    draft.lists.set(ContactList.objects.all())
    yield from (f"/campaigns/{draft.pk}/review/", f"/campaigns/{draft.pk}/review/")
    yield f"/admin/campaigns/campaign/{draft.pk}/change/"
    yield from (f"/campaigns/{draft.pk}/preview/", f"/campaigns/{draft.pk}/preview/?q=nobody-at-all")
    yield from (f"/campaigns/{draft.pk}/people/", f"/campaigns/{draft.pk}/people/?reason=unsubscribed")
    yield f"/admin/contacts/contact/{Message.objects.latest('pk').contact_id}/change/"
    for model in ("contact", "contactlist", "segment", "suppression", "consentevent", "contactimport", "attribute"):
        yield f"/admin/contacts/{model}/"
        yield f"/admin/contacts/{model}/?q=nobody-at-all"
    for order in range(1, 8):
        yield f"/admin/contacts/contact/?o={order}"
        yield f"/admin/contacts/contact/?o=-{order}"
    for word in sought:
        yield f"/admin/contacts/contact/?q={word}"
    for model in ("feedback/feedback", "smtpservers/smtpserver", "smtpservers/route", "auth/user"):
        yield f"/admin/{model}/"
        yield f"/admin/{model}/?q=nobody-at-all"
    yield from ("/admin/search/?s=nobody-at-all", "/admin/search/?s=person777777")


if __name__ == "__main__":
    main()
