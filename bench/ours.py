"""Brilliance itself: a campaign is queued beforehand, then sent end to end and its account looked over.

    python -m bench.ours prepare --people 10000 1000000
    python -m bench.ours send --people 10000 --port 2600

A program of its own, started by the bench with a database and a data folder of its own. It uses the doors everybody
has: a mailing is opened and its messages are made by :mod:`delivery.outbox.mailings`, and sent by :func:`drain` with
every attempt, reply and unit of quota on record. A run whose account is not exact is refused.
"""

import argparse
import datetime as dt
import email
import email.policy
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")
django.setup()

from django.conf import settings  # noqa: E402  # Django first.
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Count, Max, Sum  # noqa: E402
from django.utils import timezone  # noqa: E402

from bench import content  # noqa: E402
from bench.processes import Failed, Stopwatch, peak_megabytes, seconds_of, seconds_of_children  # noqa: E402
from contacts.models import Contact, ContactList  # noqa: E402
from delivery.content.composer import Composer  # noqa: E402
from delivery.content.message import Outgoing, Person  # noqa: E402
from delivery.models import Attempt, Mailing, Message, WorkerSeen  # noqa: E402
from delivery.outbox import leases, mailings  # noqa: E402
from delivery.outbox.snapshot import snapshot  # noqa: E402
from delivery.outcomes import results  # noqa: E402
from delivery.tasks import deliver  # noqa: E402
from delivery.worker import event_loop  # noqa: E402
from delivery.worker.drain import drain  # noqa: E402
from mail.message.dkim import Key, Signer  # noqa: E402
from smtpservers.models import QuotaPeriod, SmtpServer  # noqa: E402

BATCH = 10_000
QUOTA = 1_000_000_000  # Never reached, and counted all the same.
LONGEST = 3600.0
# Every field on that gives a message another header.
FIELDS: dict[str, Any] = {
    "mail_from": "Example Shop <news@shop.example.com>",
    "domain_name": "shop.example.com",
    "return_path": "bounces@shop.example.com",
    "use_return_path": True,
    "spam_address": "fbl@shop.example.com",
    "use_spam_address": True,
    "abuse_address": "abuse@shop.example.com",
    "use_abuse_address": True,
    "utm_source": "newsletter",
    "utm_medium": "email",
    "utm_campaign": "{{campaign.slug}}",
}
CAMPAIGN: dict[str, Any] = {
    "name": "Winter sale",
    "slug": "winter-sale",
    "reference": "c1",
    "subject": content.SUBJECT,
    "html": content.HTML,
    "text": content.TEXT,
}
OF_EVERY_LIBRARY = ("date", "from", "to", "subject", "message-id", "mime-version", "content-type")


def prepare(sizes: Sequence[int]) -> None:
    """Make the tables, and for each size the list of so many people, who gave their consent."""
    call_command("migrate", verbosity=0)
    for people in sizes:
        make_list(people)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def make_list(people: int) -> None:
    known = Contact.objects.count()
    for first in range(known, people, BATCH):
        made = [_contact(number) for number in range(first, min(first + BATCH, people))]
        Contact.objects.bulk_create(made)
    audience, _ = ContactList.objects.get_or_create(name=f"{people} people")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO contacts_subscription (contact_id, list_id, status, source)"
            " SELECT id, %s, 'subscribed', 'bench' FROM contacts_contact ORDER BY id LIMIT %s ON CONFLICT DO NOTHING",
            [audience.pk, people],
        )


def _contact(number: int) -> Contact:
    values = content.person(number)
    return Contact(
        email=values["email"],
        email_key=values["email"],
        first_name=values["first_name"],
        last_name=values["last_name"],
        attributes={name: values[name] for name in ("city", "company", "code")},
    )


def server_on(port: int, connections: int, number: int = 0) -> SmtpServer:
    """Return the server that hands over to a sink."""
    server, _ = SmtpServer.objects.update_or_create(
        name=f"port {port}, {connections} connections, {number}",
        defaults={
            "tested_at": timezone.now(),
            **FIELDS,
            "host": "127.0.0.1",
            "port": port,
            "use_tls": False,
            "handles_email_validation": True,  # Nobody else here looks up the recipients' domains.
            "max_connections": connections,
            "messages_per_connection": 100_000,
            "max_per_month": QUOTA,
        },
    )
    return server


def queue(people: int, server: SmtpServer) -> Mailing:
    """Queue the campaign to the list of that many people, held until it is let go."""
    mailing = mailings.open_mailing(
        stream=Mailing.Stream.CAMPAIGN,
        **CAMPAIGN,
        lists=[ContactList.objects.get(name=f"{people} people")],
        server=server,
    )
    mailings.pause(mailing.pk)
    if (made := snapshot(mailing.pk, timezone.now())) != people:
        raise Failed(f"{made} messages were made of {people} people")
    return mailing


def finished_message() -> dict[str, Any]:
    """Return the message as it is composed, its merge fields still open, in the words of other mail libraries."""
    server = SmtpServer(pk=1, host="127.0.0.1", name="bench", **FIELDS)
    mailing = Mailing(
        pk=1,
        stream=Mailing.Stream.CAMPAIGN,
        created_at=timezone.now(),
        organisation=settings.ORGANISATION_NAME,
        **CAMPAIGN,
    )
    tags = {name: f"{{{{ {name} }}}}" for name in content.FIELDS}
    address = "ann.lee@customers.example.com"
    person = Person(address, tags.pop("first_name"), tags.pop("last_name"), attributes=tags)
    outgoing = Outgoing(1, 1, address, address, contact=person, message_id="<1@shop.example.com>")
    composed = Composer(mailing, server, list_id=1, list_name="News").compose(outgoing, timezone.now())
    parsed = email.message_from_bytes(composed.content, policy=email.policy.default)
    text, html = (parsed.get_body([kind]) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    headers = {name: str(value) for name, value in parsed.items() if name.lower() not in OF_EVERY_LIBRARY}
    return {
        "subject": str(parsed["subject"]),
        "text": text.get_content(),
        "html": html.get_content(),
        "headers": headers,
    }


class Account:
    """What the database says of one mailing, and whether it is exact."""

    def __init__(self, mailing: Mailing, server: SmtpServer, people: int) -> None:
        self._mailing, self._server, self._people = mailing, server, people
        self._used = self._quota()[0]

    def _quota(self) -> tuple[int, int]:
        sums = QuotaPeriod.objects.filter(server=self._server).aggregate(used=Sum("used"), reserved=Sum("reserved"))
        return sums["used"] or 0, sums["reserved"] or 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to send."""
        return not Message.objects.filter(mailing=self._mailing, status__in=Message.PENDING).exists()

    def recorded_at(self) -> dt.datetime:
        """Return when the last result was recorded.

        :raises Failed: if a message was not accepted, an attempt is open, or the quota is not what was sent.
        """
        messages = dict(
            Message.objects.filter(mailing=self._mailing).order_by().values_list("status").annotate(Count("pk"))
        )
        attempts = Attempt.objects.filter(message__mailing=self._mailing).aggregate(
            all=Count("pk"), closed=Count("finished_at"), last=Max("finished_at")
        )
        used, reserved = self._quota()
        told = (messages, attempts["all"], attempts["closed"], used - self._used, reserved)
        if told != ({"accepted": self._people}, self._people, self._people, self._people, 0):
            raise Failed(f"not exact (messages, attempts, closed, quota used, reserved): {told} of {self._people}")
        last: dt.datetime = attempts["last"]
        return last


def send(options: argparse.Namespace) -> dict[str, Any]:
    """Send one campaign through one server in this process, and return what it took.

    The time is from the call to the last result on record.
    """
    server = server_on(options.port, options.connections, options.number)
    [people] = options.people
    watch = Stopwatch()
    mailing = queue(people, server)
    queued_seconds = watch.read()["seconds"]
    account = Account(mailing, server, people)
    event_loop.run(drain(LONGEST, clock=timezone.now, idle_seconds=0.0))  # As a worker has that looked for work before.
    _wait_for_go(options)
    called_at, watch = timezone.now(), Stopwatch()
    mailings.resume(mailing.pk)
    sent = event_loop.run(drain(LONGEST, clock=timezone.now, idle_seconds=0.0, **_signing(options.key)))
    took = watch.read()
    results.finish_mailings(timezone.now())
    if sent != people:
        raise Failed(f"this process sent {sent} of {people} messages")
    recorded_at = account.recorded_at()
    return {
        "messages": people,
        "seconds": (recorded_at - called_at).total_seconds(),
        "cpu_seconds": took["cpu_seconds"],
        "whole_seconds": took["seconds"],
        "queued_seconds": queued_seconds,
        "called_at": called_at.timestamp(),
        "recorded_at": recorded_at.timestamp(),
        "peak_mb": peak_megabytes(),
    }


def _signing(key_file: str) -> dict[str, Any]:
    """Return what makes the drain sign, read before the clock starts."""
    if not key_file:
        return {}
    signer = Signer("shop.example.com", [Key.from_pem("bench", Path(key_file).read_bytes())])
    return {"signer_for": lambda mailing, server: signer}


def _wait_for_go(options: argparse.Namespace) -> None:
    if options.waits:
        print("ready", flush=True)
        sys.stdin.readline()


def send_by_worker(options: argparse.Namespace) -> dict[str, Any]:
    """The same inside a Celery worker: one hint is given, and its drain does the rest."""
    server = server_on(options.port, options.connections, options.number)
    [people] = options.people
    mailing = queue(people, server)
    account = Account(mailing, server, people)
    called_at, cpu = timezone.now(), _cpu_of_family(options.worker)
    mailings.resume(mailing.pk)
    deliver.apply_async(expires=60)
    _wait_until(lambda: account.is_done, "the worker sends")
    recorded_at = account.recorded_at()
    cpu = _cpu_of_family(options.worker) - cpu
    # Its drain goes on a while for what may come; what comes next is somebody else's.
    busy_at = recorded_at
    while leases.busy_servers():
        busy_at = timezone.now()
        time.sleep(0.05)
    seen = WorkerSeen.objects.filter(name__startswith="deliver", seen_at__gt=busy_at)
    _wait_until(seen.exists, "the worker's drain ends")
    return {
        "messages": people,
        "seconds": (recorded_at - called_at).total_seconds(),
        "cpu_seconds": cpu,
    }


def wake_worker(options: argparse.Namespace) -> dict[str, Any]:
    """Wait until the Celery worker works; it has imported everything then."""
    deliver.apply_async(expires=60)
    _wait_until(WorkerSeen.objects.filter(name__startswith="deliver").exists, "the worker begins")
    return {}


def _wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + LONGEST
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"waited {LONGEST:g} s in vain until {what}")
        time.sleep(0.05)


def _cpu_of_family(pid: int) -> float:
    """Return the CPU seconds of a process and its living children."""
    return seconds_of(pid) + seconds_of_children(pid)


def main() -> None:
    """Do what the command line says and print the answer as one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["prepare", "message", "send", "send-by-worker", "wake-worker"])
    parser.add_argument("--people", type=int, nargs="+", default=[1000])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--connections", type=int, default=10)
    parser.add_argument("--number", type=int, default=0, help="tells servers on the same port apart")
    parser.add_argument("--key", default="", help="file with the private key that signs each message")
    parser.add_argument("--waits", action="store_true", help="say ready, and wait for a line before sending")
    parser.add_argument("--worker", type=int, default=0, help="process id of the Celery worker")
    options = parser.parse_args()
    match options.what:
        case "prepare":
            prepare(options.people)
            told: dict[str, Any] = {}
        case "message":
            told = finished_message()
        case "send":
            told = send(options)
        case "send-by-worker":
            told = send_by_worker(options)
        case "wake-worker":
            told = wake_worker(options)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
