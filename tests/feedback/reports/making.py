"""Sent messages, and the reports that come back of them."""

import datetime as dt
import json
import uuid
from typing import Any

from django.conf import settings

from contacts.models import Contact, ContactList, Subscription
from delivery.content import message_ids
from delivery.content.message import Outgoing
from delivery.models import Mailing, Message
from feedback.intake.store import take
from feedback.models import RawReport
from feedback.reports import queue
from feedback.reports.reader import Reader
from feedback.webhooks.frame import pack
from mail import verp
from mail.addresses import fold
from smtpservers.models import SmtpServer
from tests.delivery.making import make_attempt

NOW = dt.datetime(2026, 11, 30, 23, 59, 30, tzinfo=dt.UTC)
SENT_AT = NOW - dt.timedelta(minutes=5)
FROM = "Example Shop <news@shop.example>"
GONE = "550 5.1.1 <{address}>: no such user"


def make_server(name: str = "Alpha") -> SmtpServer:
    return SmtpServer.objects.create(name=name, host="smtp.shop.example", mail_from=FROM, mail_to="ops@shop.example")


def make_mailing(stream: str = "campaign", **fields: Any) -> Mailing:
    values = {"name": "Winter sale", "subject": "Sale", "is_snapshotted": True, "id_domain": "shop.example"}
    return Mailing.objects.create(stream=stream, **(values | fields))


def sent_to(
    email: str,
    mailing: Mailing,
    server: SmtpServer | None,
    *,
    status: str = "accepted",
    at: dt.datetime = SENT_AT,
    has_contact: bool = True,
    **fields: Any,
) -> Message:
    """Return a message that the server took, to a new person on the list News."""
    contact = None
    if has_contact:
        contact = Contact.objects.filter(email_key=fold(email)).first() or Contact.objects.create(email=email)
        news, _ = ContactList.objects.get_or_create(name="News")
        Subscription.objects.get_or_create(contact=contact, list=news)
        mailing.lists.add(news)
    values = {"status": status, "changed_at": at, "server": server, "attempt_count": 1}
    message = Message.objects.create(
        mailing=mailing, contact=contact, email=email, email_key=fold(email), **(values | fields)
    )
    [message.message_id] = message_ids.make_all(mailing, [Outgoing.of(message)])
    message.save(update_fields=["message_id"])
    for number in range(1, message.attempt_count + 1):
        make_attempt(
            message=message,
            number=number,
            server=server,
            server_name="Alpha",
            lane_token=uuid.UUID(int=0),
            started_at=at,
            finished_at=at,
            outcome="accepted",
            header_from=FROM,
        )
    return message


def return_path(message: Message, attempt: int = 1) -> str:
    return verp.tagged("bounces@shop.example", message.pk, attempt, settings.TOKEN_KEYS)


def tag(message: Message, attempt: int = 1) -> str:
    return return_path(message, attempt).partition("@")[0].partition("+")[2]


def dsn(*groups: tuple[str, str, str], to: str = "bounces@shop.example", original: str = "", number: int = 1) -> bytes:
    """Return a delivery status notification (RFC 3464).

    :param groups: recipient, action and diagnostic.
    :param original: the header of the returned message.
    """
    fields = "".join(
        f"\r\nFinal-Recipient: rfc822; {address}\r\nAction: {action}"
        f"\r\nStatus: {'5.0.0' if action == 'failed' else '4.0.0'}"
        f"\r\nDiagnostic-Code: smtp; {diagnostic.format(address=address)}\r\n"
        for address, action, diagnostic in groups
    )
    return (
        f"Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: MAILER-DAEMON@mx.example\r\nTo: {to}\r\n"
        f"Subject: Undelivered mail {number}\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="B"\r\n\r\n'
        f"--B\r\nContent-Type: text/plain\r\n\r\nNo. {number}\r\n"
        f"--B\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n{fields}\r\n"
        f"--B\r\nContent-Type: text/rfc822-headers\r\n\r\n{original}\r\n--B--\r\n"
    ).encode()


def bounce(message: Message, diagnostic: str = GONE, *, attempt: int = 1, number: int = 1) -> bytes:
    """Return a bounce to the return path of the message."""
    return dsn((message.email, "failed", diagnostic), to=return_path(message, attempt), number=number)


def event(record: str, message: Message | None = None, **fields: Any) -> dict[str, Any]:
    """Return an event as Postmark posts it."""
    values = {"RecordType": record, "Email": message.email if message else "", "DeliveredAt": "2026-11-30T23:57:00Z"}
    if message is not None:
        values["Metadata"] = {"brilliance": tag(message)}
    return values | fields


def post(server: SmtpServer, *events: dict[str, Any], now: dt.datetime = NOW) -> int:
    body = json.dumps(events[0] if len(events) == 1 else list(events)).encode()
    source = RawReport.Source.WEBHOOK
    return take(source, pack({}, body), now=now, server_id=server.pk, provider="postmark").raw_id


def mail(content: bytes, *, to: str = "", now: dt.datetime = NOW, server: SmtpServer | None = None) -> int:
    return take(
        RawReport.Source.MAILBOX, content, now=now, envelope_to=to, server_id=server.pk if server else None
    ).raw_id


def process(now: dt.datetime = NOW) -> None:
    """Process everything that waits."""
    while queue.process_for_a_while(READER, lambda: now, seconds=30):
        pass


READER = Reader()  # One process for all tests: each start takes as long as a test. It ends with this one.
