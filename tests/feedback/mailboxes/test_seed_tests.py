"""Tests that arrive in a mailbox for tests: what its server found of SPF, DKIM and DMARC is shown with the test."""

import datetime as dt
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from delivery.models import Message, Trial
from delivery.operators.receipts import Receipt, receipt_of
from feedback.mailboxes.notices import notice
from feedback.models import ArrivedTest, Mailbox, RawReport
from smtpservers.models import SmtpServer
from tests.feedback.mailboxes.conftest import polled
from tests.feedback.reports.making import make_mailing, sent_to
from tests.harness.dovecot import Dovecot

Open = Callable[..., Mailbox]
RESULTS = (
    "mx.dovecot.example; dkim=pass header.d=news.example.org header.s=s1; spf=fail smtp.mailfrom=<b>news.example.org"
)
FORGED = "mx.dovecot.example; dkim=pass header.d=bank.example"
MESSAGE_ID = "<6f1c.5d1e8a@news.example.org>"


def arrived(message_id: str = MESSAGE_ID, *headers: str) -> bytes:
    results = "".join(f"Authentication-Results: {header}\r\n" for header in headers or (RESULTS, FORGED))
    return (
        f"Return-Path: <b@news.example.org>\r\n{results}From: news@news.example.org\r\nTo: seed@example.net\r\n"
        f"Message-ID: {message_id}\r\nSubject: A test\r\n\r\nHello.\r\n"
    ).encode()


def sent(server: SmtpServer, mailbox: Mailbox, *, ago: dt.timedelta = dt.timedelta(minutes=1)) -> Trial:
    message = sent_to(mailbox.username, make_mailing("test"), server)
    Message.objects.filter(pk=message.pk).update(message_id=MESSAGE_ID, status="accepted")
    at = timezone.now() - ago
    return Trial.objects.create(
        server=server,
        recipient=mailbox.username,
        recipient_key=mailbox.username,
        created_at=at,
        ended_at=at,
        message=message,
    )


def page(trial: Trial) -> str:
    admin = User.objects.create_superuser("admin")
    client = Client()
    client.force_login(admin)
    answer = client.get(reverse("delivery:follow_test", args=[trial.server_id, trial.pk]), {"part": ""})
    return answer.content.decode()


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_the_topmost_results_of_a_test_are_noted_and_shown_and_the_mail_stays(
    dovecot: Dovecot, open_mailbox: Open, server: SmtpServer, protocol: str
) -> None:
    mailbox = open_mailbox(protocol, authserv_id="MX.dovecot.example")
    trial = sent(server, mailbox)
    waiting = page(trial)
    User.objects.all().delete()
    dovecot.deliver(mailbox.username, arrived())

    polled(mailbox, timezone.now())

    shown = page(trial)
    assert "data-under-way" in waiting
    assert f"seen in the mailbox {mailbox.name} yet" in waiting
    assert "data-under-way" not in shown
    assert "<strong>DKIM pass</strong> news.example.org (s1)" in shown
    assert "<strong>SPF fail</strong> &lt;b&gt;news.example.org" in shown
    assert "bank.example" not in shown
    assert len(dovecot.contents(mailbox.username)) == 1
    assert not RawReport.objects.exists()


def test_a_mailbox_whose_name_is_another_says_so(dovecot: Dovecot, open_mailbox: Open, server: SmtpServer) -> None:
    mailbox = open_mailbox(authserv_id="mx.other.example")
    trial = sent(server, mailbox)
    dovecot.deliver(mailbox.username, arrived())

    polled(mailbox, timezone.now())

    assert "say nothing of SPF, DKIM and DMARC" in page(trial)


def test_a_mailbox_without_a_name_notes_nothing(dovecot: Dovecot, open_mailbox: Open, server: SmtpServer) -> None:
    mailbox = open_mailbox()
    sent(server, mailbox)
    dovecot.deliver(mailbox.username, arrived())

    polled(mailbox, timezone.now())

    assert not ArrivedTest.objects.exists()
    assert receipt_of(mailbox.username, MESSAGE_ID) is None


def test_mail_that_is_no_test_of_the_last_day_is_not_noted(
    dovecot: Dovecot, open_mailbox: Open, server: SmtpServer
) -> None:
    mailbox = open_mailbox(authserv_id="mx.dovecot.example")
    sent(server, mailbox, ago=dt.timedelta(days=2))
    for mail in (arrived(), arrived("<someone.else@example.net>"), arrived("")):
        dovecot.deliver(mailbox.username, mail)

    polled(mailbox, timezone.now())

    assert not ArrivedTest.objects.exists()


@pytest.mark.django_db
def test_a_page_follows_for_three_minutes() -> None:
    ended = timezone.now()
    receipt = Receipt("Seeds")

    assert receipt.is_followed(ended, ended + dt.timedelta(minutes=2))
    assert not receipt.is_followed(ended, ended + dt.timedelta(minutes=3))
    assert not receipt.is_followed(ended, ended - dt.timedelta(minutes=1))  # The clock was set back.
    assert not Receipt("Seeds", ended, []).is_followed(ended, ended)


def test_foreign_mail_is_expected_in_a_mailbox_for_tests(open_mailbox: Open) -> None:
    mailbox = open_mailbox(authserv_id="mx.dovecot.example")
    Mailbox.objects.filter(pk=mailbox.pk).update(mail_count=100, foreign_count=99)

    assert notice(timezone.now()) == 0
