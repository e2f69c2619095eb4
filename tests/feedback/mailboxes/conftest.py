"""A Dovecot for all tests here, and a mailbox in it for each."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator

import pytest
from django.conf import settings

from feedback.mailboxes import poll
from feedback.models import Mailbox, RawReport
from mail import verp
from smtpservers.models import SmtpServer
from tests.harness.dovecot import PASSWORD, Dovecot, running_dovecot

NOW = dt.datetime(2026, 11, 30, 9, 0, tzinfo=dt.UTC)
RETURN_PATH = "bounces@news.example.org"


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    with running_dovecot() as server:
        yield server


@pytest.fixture
def server(db: None) -> SmtpServer:
    return SmtpServer.objects.create(
        name="One",
        host="relay.example.org",
        mail_from="news@news.example.org",
        use_return_path=True,
        return_path=RETURN_PATH,
    )


@pytest.fixture
def open_mailbox(dovecot: Dovecot, server: SmtpServer) -> Callable[..., Mailbox]:
    """Make a mailbox by its protocol; nobody has used its name before."""

    def make(protocol: str = "imap", **fields: object) -> Mailbox:
        name = f"box-{uuid.uuid4().hex[:12]}"
        port = dovecot.imaps if protocol == "imap" else dovecot.pop3s
        given = {
            "protocol": protocol,
            "host": "localhost",
            "port": port,
            "security": "tls",
            "trusted_certificate": dovecot.ca_pem,
            "username": name,
            "password": PASSWORD,
        }
        return Mailbox.objects.create(name=name, **{**given, **fields})

    return make


def polled(mailbox: Mailbox, now: dt.datetime = NOW) -> Mailbox:
    """Poll a mailbox once, and return it as it is then."""
    assert poll.poll(mailbox.pk, lambda: now)
    mailbox.refresh_from_db()
    return mailbox


def bounce(number: int = 1, more: str = "") -> bytes:
    """Return a mail to the tagged return path of a message."""
    to = verp.tagged(RETURN_PATH, number, 1, settings.TOKEN_KEYS)
    return (
        f"Return-Path: <>\r\nDelivered-To: {to}\r\nFrom: MAILER-DAEMON@mx.example.net\r\nTo: <{to}>\r\n"
        f"Subject: Undelivered {number}\r\n\r\nIt did not arrive.{more}\r\n"
    ).encode()


def foreign(number: int = 1) -> bytes:
    """Return a mail that is none of our business."""
    return (
        f"Return-Path: <bob@shop.example.net>\r\nFrom: Bob <bob@shop.example.net>\r\nTo: ann@example.net\r\n"
        f"Subject: Lunch {number}\r\n\r\nAt noon?\r\n"
    ).encode()


def understand(mailbox: Mailbox, **which: object) -> None:
    """Have a worker understand what was stored."""
    reports = RawReport.objects.filter(mailbox_id=mailbox.pk, **which)
    assert reports.update(state=RawReport.State.DONE, is_recognised=True)
