"""Rows that the tests of sending start from."""

import asyncio
import datetime as dt
import time
import uuid
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from contacts.models import Contact, ContactList, Subscription
from delivery.models import Attempt, Batch, Mailing, Message
from delivery.outbox import mailings
from delivery.outbox.snapshot import snapshot
from delivery.outcomes import results
from delivery.worker.drain import drain
from mail.addresses import fold
from smtpservers.models import SmtpServer

HTML = '<html><body><p>Dear {{ first_name }}</p><a href="https://shop.example/sale">Sale</a></body></html>'


def make_server(port: int, name: str = "Alpha", **fields: Any) -> SmtpServer:
    """Return a server at the peer on ``port``, without TLS, that leaves validation to the server."""
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "use_tls": False,
        "timeout_seconds": 5,
        "mail_from": "Example Shop <news@shop.example>",
        "handles_email_validation": True,
        "max_connections": 3,
    }
    return SmtpServer.objects.create(name=name, **(values | fields))


def make_list(people: int, name: str = "News") -> ContactList:
    """Return a list with ``people`` subscribers."""
    audience = ContactList.objects.create(name=name)
    for start in range(0, people, 10_000):  # Each in a transaction of its own: PostgreSQL ends those that dawdle.
        numbers = range(start, min(start + 10_000, people))
        addresses = {number: f"person{number}.{audience.pk}@customer.example" for number in numbers}
        contacts = Contact.objects.bulk_create(
            Contact(email=address, email_key=fold(address), first_name=f"Ann{number}")
            for number, address in addresses.items()
        )
        Subscription.objects.bulk_create(
            Subscription(contact=contact, list=audience, status="subscribed") for contact in contacts
        )
    return audience


OF_BATCH = ("server", "server_name", "period", "lane_token", "choice", "started_at", "header_from", "return_path")


def make_attempt(message: Message, number: int, **fields: Any) -> Attempt:
    """Return a finished attempt, alone in its batch."""
    of_batch = {name: fields.pop(name) for name in OF_BATCH if name in fields}
    values = {
        "lane_token": uuid.UUID(int=0),
        "started_at": timezone.now(),
        "claims": [],
        "open_count": 0,
        "is_cut": True,
    }
    batch = Batch.objects.create(mailing_id=message.mailing_id, **(values | of_batch))
    return Attempt.objects.create(message=message, batch=batch, number=number, **fields)


def make_mailing(audience: ContactList, now: dt.datetime | None = None, **fields: Any) -> Mailing:
    """Return a campaign's mailing to the list, its messages queued."""
    values: dict[str, Any] = {
        "stream": "campaign",
        "name": "Winter",
        "subject": "Winter sale",
        "html": HTML,
        "text": "",
    }
    mailing = mailings.open_mailing(lists=[audience], **(values | fields))
    snapshot(mailing.pk, now or timezone.now())
    return mailing


def run_drain(
    seconds: float = 30,
    clock: Callable[[], dt.datetime] = timezone.now,
    until: Callable[[], bool] | None = None,
    idle_seconds: float = 0.2,
) -> int:
    """Send what is due, in this process."""
    sent = asyncio.run(drain(seconds, clock=clock, should_stop=until or (lambda: False), idle_seconds=idle_seconds))
    results.finish_mailings(clock())
    return sent


def run_until_finished(mailing: Mailing, seconds: float = 30) -> None:
    """Send as the worker does, again and again, until the mailing has nothing left; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while mailing.finished_at is None:
        assert time.monotonic() < deadline, "the mailing did not finish in time"
        run_drain()
        mailing.refresh_from_db()
