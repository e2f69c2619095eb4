"""How fast reports take effect: bounces and complaints a second by one worker, and deliveries noted in bulk.

    python -m bench.reports --reports 3000 --deliveries 20000

In a database made for it beside the one of DATABASE_URL, and deleted afterwards. The processors' time of this worker is
printed too: it is what tells on a machine that does other work at the same time.
"""

import argparse
import datetime as dt
import json
import os
import time
import uuid
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")

import django

django.setup()  # What follows asks for the product's settings.

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402

from contacts.models import Contact, ContactList, Subscription  # noqa: E402
from delivery.models import Attempt, Batch, Mailing, Message  # noqa: E402
from feedback.intake.store import take  # noqa: E402
from feedback.models import RawReport  # noqa: E402
from feedback.reports import queue  # noqa: E402
from feedback.reports.reader import Reader  # noqa: E402
from feedback.webhooks.frame import pack  # noqa: E402
from mail import verp  # noqa: E402
from smtpservers.models import SmtpServer  # noqa: E402

PER_REQUEST = 100  # Events of one post.
DIAGNOSTICS = ("550 5.1.1 no such user", "452 4.2.2 mailbox full", "550 5.7.1 message content rejected as spam")


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=int, default=3_000)
    parser.add_argument("--deliveries", type=int, default=20_000)
    options = parser.parse_args()
    kept = connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        server = SmtpServer.objects.create(name="Bench", host="smtp.bench.example", mail_from="us@bench.example")
        for place, message in enumerate(sent(server, options.reports)):
            if place % 10:
                take(RawReport.Source.LISTENER, bounce(message, DIAGNOSTICS[place % 3]), now=dt.datetime.now(dt.UTC))
            else:
                post(server, [event("SpamComplaint", message) | {"ID": message.pk}])
        measure("bounces and complaints", options.reports)
        messages = sent(server, options.deliveries)
        for start in range(0, len(messages), PER_REQUEST):
            post(server, [event("Delivery", message) for message in messages[start : start + PER_REQUEST]])
        measure("deliveries", options.deliveries)
    finally:
        connection.creation.destroy_test_db(kept, verbosity=0)


def sent(server: SmtpServer, number: int) -> list[Message]:
    """Return accepted messages to as many new people."""
    mailing = Mailing.objects.create(stream="campaign", name="Bench", subject="Bench", is_snapshotted=True)
    audience = ContactList.objects.create(name=f"Bench {mailing.pk}")
    mailing.lists.add(audience)
    emails = [f"p{place}.{mailing.pk}@customer{place % 50}.example" for place in range(number)]
    contacts = Contact.objects.bulk_create(Contact(email=email, email_key=email) for email in emails)
    Subscription.objects.bulk_create(Subscription(contact=contact, list=audience) for contact in contacts)
    same = {"server": server, "mailing": mailing, "status": "accepted", "attempt_count": 1}
    messages = Message.objects.bulk_create(
        Message(contact=contact, email=contact.email, email_key=contact.email_key, **same) for contact in contacts
    )
    now = dt.datetime.now(dt.UTC)
    batch = Batch.objects.create(
        mailing=mailing,
        server=server,
        server_name="Bench",
        header_from="us@bench.example",
        lane_token=uuid.uuid4(),
        started_at=now,
        claims=[],
        open_count=0,
        is_cut=True,
    )
    attempt: dict[str, Any] = {"batch": batch, "number": 1, "finished_at": now, "outcome": "accepted"}
    Attempt.objects.bulk_create(Attempt(message=message, **attempt) for message in messages)
    return messages


def bounce(message: Message, diagnostic: str) -> bytes:
    """Return a delivery status notification (RFC 3464)."""
    to = verp.tagged("bounces@bench.example", message.pk, 1, settings.TOKEN_KEYS)
    return (
        f"Delivered-To: {to}\r\nFrom: mailer-daemon@mx.example\r\nTo: {to}\r\nSubject: Undelivered\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="B"\r\n\r\n'
        "--B\r\nContent-Type: text/plain\r\n\r\nYour message could not be delivered.\r\n"
        "--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        f"Final-Recipient: rfc822; {message.email}\r\nAction: failed\r\nDiagnostic-Code: smtp; {diagnostic}\r\n"
        f"--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: Bench\r\n\r\n{'Hello. ' * 500}\r\n--B--\r\n"
    ).encode()


def event(kind: str, message: Message) -> dict[str, Any]:
    """Return an event as Postmark posts it."""
    letters = verp.tagged("b@b", message.pk, 1, settings.TOKEN_KEYS).partition("@")[0].removeprefix("b+")
    return {"RecordType": kind, "Email": message.email, "Metadata": {"brilliance": letters}}


def post(server: SmtpServer, events: Sequence[dict[str, Any]]) -> None:
    body = json.dumps(list(events)).encode()
    now = dt.datetime.now(dt.UTC)
    take(RawReport.Source.WEBHOOK, pack({}, body), now=now, server_id=server.pk, provider="postmark")


def measure(what: str, number: int) -> None:
    """Process what waits as one worker does, and print how fast it was."""
    began, cpu = time.perf_counter(), time.process_time()
    with Reader() as reader:
        while queue.process_for_a_while(reader, lambda: dt.datetime.now(dt.UTC)):
            pass
    seconds, used = time.perf_counter() - began, time.process_time() - cpu
    print(f"{connection.vendor}: {number:,} {what} in {seconds:.1f} s, {number / seconds:,.0f} a second;", end=" ")
    print(f"{used / number * 1e6:,.0f} µs of the worker's processor time each")


if __name__ == "__main__":
    main()
