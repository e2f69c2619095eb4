"""A mailbox that is read by POP3, in a real server."""

import datetime as dt
import poplib
from collections.abc import Callable

import pytest

from feedback.intake import store
from feedback.mailboxes import poll
from feedback.mailboxes.pop3 import Pop3Session
from feedback.models import Mailbox, MailboxMail, RawReport
from tests.feedback.mailboxes.conftest import NOW, bounce, foreign, polled, understand
from tests.harness.dovecot import Dovecot

Open = Callable[..., Mailbox]


def stored(mailbox: Mailbox) -> list[bytes]:
    return [store.content_of(raw) for raw in RawReport.objects.filter(mailbox_id=mailbox.pk).order_by("pk")]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_only_what_was_understood_is_deleted(dovecot: Dovecot, open_mailbox: Open, security: str) -> None:
    port = dovecot.pop3s if security == "tls" else dovecot.pop3
    mailbox = open_mailbox("pop3", port=port, security=security)
    for mail in (bounce(1), foreign(1), bounce(2)):
        dovecot.deliver(mailbox.username, mail)

    polled(mailbox)
    polled(mailbox)

    assert sorted(stored(mailbox)) == [bounce(1), bounce(2)]
    assert (mailbox.mail_count, mailbox.foreign_count, mailbox.last_error) == (3, 1, "")
    one = RawReport.objects.earliest("pk")
    understand(mailbox, pk=one.pk)
    polled(mailbox)
    assert set(dovecot.contents(mailbox.username)) == {bounce(1), foreign(1), bounce(2)} - {store.content_of(one)}


def test_a_session_that_breaks_deletes_nothing_and_the_next_one_does(
    dovecot: Dovecot, open_mailbox: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = open_mailbox("pop3")
    dovecot.deliver(mailbox.username, bounce(1))
    polled(mailbox)
    understand(mailbox)
    with monkeypatch.context() as patch:
        patch.setattr(poplib.POP3, "quit", lambda client: (_ for _ in ()).throw(ConnectionResetError()))
        polled(mailbox)
    assert mailbox.last_error == "The server ended the connection."
    assert dovecot.contents(mailbox.username) == [bounce(1)]

    polled(mailbox)

    assert dovecot.contents(mailbox.username) == []
    assert stored(mailbox) == [bounce(1)]


def test_a_foreign_mail_is_looked_at_once_and_its_name_is_forgotten_a_month_after_it_is_gone(
    dovecot: Dovecot, open_mailbox: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = open_mailbox("pop3")
    dovecot.deliver(mailbox.username, foreign(1))
    looked_at: list[int] = []
    whole = Pop3Session.headers
    monkeypatch.setattr(
        Pop3Session, "headers", lambda session, number: (looked_at.append(number), whole(session, number))[1]
    )

    for days in (0, 2, 20, 40):
        polled(mailbox, NOW + dt.timedelta(days=days))

    assert looked_at == [1]
    with dovecot.signed_in(mailbox.username) as person:
        person.select()
        person.store("1", "+FLAGS", r"(\Deleted)")
        person.expunge()
    polled(mailbox, NOW + dt.timedelta(days=69))
    assert MailboxMail.objects.filter(mailbox=mailbox).count() == 1
    polled(mailbox, NOW + dt.timedelta(days=71))
    assert not MailboxMail.objects.filter(mailbox=mailbox).exists()


def test_a_server_without_top_is_read_all_the_same(
    dovecot: Dovecot, open_mailbox: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = open_mailbox("pop3")
    for mail in (bounce(1), foreign(1)):
        dovecot.deliver(mailbox.username, mail)
    monkeypatch.setattr(Pop3Session, "headers", lambda session, number: None)

    polled(mailbox)

    assert stored(mailbox) == [bounce(1)]
    assert mailbox.foreign_count == 1


def test_a_large_mail_is_cut(dovecot: Dovecot, open_mailbox: Open) -> None:
    mailbox = open_mailbox("pop3")
    dovecot.deliver(mailbox.username, bounce(1, "\r\n" + ("y" * 998 + "\r\n") * 1_100))

    polled(mailbox)

    assert len(stored(mailbox)[0]) == 256 * 1024


def test_a_wrong_password_is_told_in_a_sentence(open_mailbox: Open) -> None:
    mailbox = open_mailbox("pop3", password="wrong")

    assert poll.poll(mailbox.pk, lambda: NOW)

    mailbox.refresh_from_db()
    assert mailbox.last_error == "Sign-in refused. Server replied: [AUTH] Authentication failed."
