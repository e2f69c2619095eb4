"""The pages of mailboxes: who types what, *Check now* in words, and probes."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse

from delivery import clock
from delivery.content.return_paths import mailto_domain
from delivery.models import Message
from feedback import probes
from feedback.admin.mailboxes import state_of
from feedback.mailboxes import turn
from feedback.models import Mailbox, MailboxMail, Probe
from smtpservers.models import SmtpServer
from tests.adminpages.conftest import SignIn
from tests.adminpages.conftest import signed_in as signed_in
from tests.feedback.mailboxes.conftest import NOW, RETURN_PATH, bounce, foreign, polled
from tests.harness.dovecot import PASSWORD, Dovecot
from tests.harness.forms import opened

LIST = "/admin/feedback/mailbox/"
FORM = "mailbox_form"


def page_of(mailbox: Mailbox) -> str:
    return reverse("admin:feedback_mailbox_change", args=[mailbox.pk])


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def errors(answer: Any) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors)


def add(client: Client, dovecot: Dovecot, **fields: object) -> Any:
    page = reverse("admin:feedback_mailbox_add")
    typed = {
        **{"name": "Bounces", "host": f"localhost:{dovecot.imaps}", "username": "page-box", "password": PASSWORD},
        **{"trusted_certificate": dovecot.ca_pem, "is_active": "on"},
    }
    return client.post(page, opened(client.get(page).content, FORM) | typed | fields)


def test_a_mailbox_is_added_and_check_now_says_what_is_in_it(
    dovecot: Dovecot, server: SmtpServer, signed_in: SignIn
) -> None:
    client = signed_in("ops")
    dovecot.deliver("page-box", bounce(1))
    dovecot.deliver("page-box", foreign(1))

    added = add(client, dovecot, servers=[str(server.pk)])

    mailbox = Mailbox.objects.get()
    assert (added.status_code, mailbox.host, mailbox.port) == (302, "localhost", dovecot.imaps)
    assert list(mailbox.servers.all()) == [server]
    checked = client.post(reverse("admin:feedback_mailbox_check", args=[mailbox.pk]))
    assert said(checked)[-1] == "Mailbox read. 2 new mails, 1 not ours."
    again = client.post(reverse("admin:feedback_mailbox_check", args=[mailbox.pk]))
    assert said(again)[-1] == "Mailbox read. No new mail."
    page = client.get(page_of(mailbox)).content.decode()
    assert "2 mails seen. 1 not ours and left untouched." in page
    assert PASSWORD not in page
    assert mailbox.password.ciphertext not in page


@pytest.mark.parametrize(
    ("fields", "field", "error"),
    [
        ({"username": ""}, "username", "Enter a username."),
        ({"password": ""}, "password", "Enter a password."),
        ({"host": "imap.example.org", "port": "110"}, "port", "Port 110 is for POP3 with STARTTLS."),
        ({"host": "imap.example.org", "port": "143"}, "port", "Port 143 is for IMAP with STARTTLS."),
        ({"username": "ann\r\nDELETE"}, "username", ""),
        ({"trusted_certificate": "nonsense"}, "trusted_certificate", ""),
        ({"host": "https://imap.example.org/"}, "host", ""),
    ],
)
def test_what_cannot_work_is_told_beside_its_field(
    dovecot: Dovecot, server: SmtpServer, signed_in: SignIn, fields: dict[str, str], field: str, error: str
) -> None:
    refused = add(signed_in("admin"), dovecot, **fields)

    assert refused.status_code == 200
    assert errors(refused)[field][0].startswith(error)
    assert not Mailbox.objects.exists()


def test_the_password_goes_to_no_other_server(open_mailbox: Callable[..., Mailbox], signed_in: SignIn) -> None:
    client, mailbox = signed_in("admin"), open_mailbox()
    shown = opened(client.get(page_of(mailbox)).content, FORM)

    refused = client.post(page_of(mailbox), shown | {"host": "imap.evil.example"})

    assert errors(refused)["password"] == ["The mailbox changed: enter the password again."]
    kept = client.post(page_of(mailbox), shown | {"name": "Renamed"})
    assert kept.status_code == 302
    mailbox.refresh_from_db()
    assert mailbox.password.reveal(mailbox.destination) == PASSWORD


def test_another_folder_is_read_from_its_beginning_and_a_poll_in_progress_stores_nothing_more(
    dovecot: Dovecot, open_mailbox: Callable[..., Mailbox], signed_in: SignIn
) -> None:
    client, mailbox = signed_in("admin"), open_mailbox()
    dovecot.deliver(mailbox.username, bounce(1))
    polled(mailbox)
    assert mailbox.last_uid == 1
    under_way = turn.Turn.begin(mailbox.pk, lambda: NOW)
    shown = opened(client.get(page_of(mailbox)).content, FORM)

    assert client.post(page_of(mailbox), shown | {"folder": "Other"}).status_code == 302

    mailbox.refresh_from_db()
    assert (mailbox.uidvalidity, mailbox.last_uid, mailbox.due_at) == (0, 0, None)
    assert not MailboxMail.objects.exists()
    assert under_way is not None
    with pytest.raises(turn.LeaseLost):
        under_way.store([], last_uid=9)


def test_a_copy_that_waits_is_not_read(
    open_mailbox: Callable[..., Mailbox], signed_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, mailbox = signed_in("admin"), open_mailbox()
    monkeypatch.setattr("delivery.identity.why_held", lambda now: "It was restored.")

    assert said(client.post(reverse("admin:feedback_mailbox_check", args=[mailbox.pk]))) == [
        "Mailboxes aren't read now. It was restored."
    ]
    mailbox.refresh_from_db()
    assert mailbox.polled_at is None


def test_a_probe_is_sent_to_both_addresses_and_its_arrival_shows(
    dovecot: Dovecot, server: SmtpServer, open_mailbox: Callable[..., Mailbox], signed_in: SignIn
) -> None:
    client, mailbox = signed_in("admin"), open_mailbox()
    client.post(reverse("admin:feedback_mailbox_probe", args=[server.pk]))
    probe = Probe.objects.get()
    to = list(Message.objects.order_by("pk").values_list("email", flat=True))
    assert [address.partition("+")[0] for address in to] == ["bounces", "unsub"]
    assert "not arrived" in client.get(LIST).content.decode()

    for address in to:
        mail = f"Return-Path: <x@example.net>\r\nTo: {address}\r\nSubject: Brilliance probe {probe.key}\r\n\r\nx\r\n"
        dovecot.deliver(mailbox.username, mail.encode())
    polled(mailbox)
    polled(mailbox)

    page = client.get(LIST).content.decode()
    assert page.count("Arrived ") == 2
    assert "not arrived" not in page
    server.refresh_from_db()
    assert server.mailto_domain == RETURN_PATH.partition("@")[2]
    assert dovecot.contents(mailbox.username) == []  # A probe is ours, and is put away.
    client.post(reverse("admin:feedback_mailbox_delete", args=[mailbox.pk]), {"post": "yes"})
    server.refresh_from_db()
    assert server.mailto_domain == ""


def test_unsubscribes_by_mail_show_as_proved_where_mail_offers_them(server: SmtpServer, signed_in: SignIn) -> None:
    client = signed_in("admin")
    probe = probes.send(server, NOW)
    probes.arrived(probe.key, None, NOW)
    probes.arrived(probe.key, probes.Purpose.UNSUBSCRIBE, NOW)
    domain = RETURN_PATH.partition("@")[2]

    SmtpServer.objects.update(return_path=f"returns@{domain}")  # Of the same domain, whose unsub@ is proved.
    server.refresh_from_db()
    page = client.get(LIST).content.decode()
    assert (mailto_domain(server), page.count("Arrived "), page.count("Not probed")) == (domain, 1, 1)

    SmtpServer.objects.update(return_path="bounces@elsewhere.example.net")
    server.refresh_from_db()
    assert (mailto_domain(server), client.get(LIST).content.decode().count("Not probed")) == ("", 2)


def test_a_mailbox_that_a_worker_reads_for_the_first_time_is_not_called_unread() -> None:
    mailbox = Mailbox(is_active=True)
    assert state_of(mailbox).meaning == "It hasn't been read yet."

    mailbox.lease_until = clock.now() + dt.timedelta(minutes=1)

    assert state_of(mailbox).meaning == "A worker is reading it right now."
