"""A mailbox that is read by IMAP, in a real server."""

import datetime as dt
from collections.abc import Callable

import pytest

from feedback.intake import store
from feedback.mailboxes import imap_poll, poll, turn
from feedback.mailboxes.imap import ImapSession
from feedback.models import Mailbox, MailboxMail, RawReport
from tests.feedback.mailboxes.conftest import NOW, bounce, foreign, polled, understand
from tests.harness.dovecot import PASSWORD, Dovecot

Open = Callable[..., Mailbox]
DONE = "Brilliance.done"


def stored(mailbox: Mailbox) -> list[bytes]:
    return [store.content_of(raw) for raw in RawReport.objects.filter(mailbox_id=mailbox.pk).order_by("pk")]


def test_reports_are_stored_once_and_moved_when_understood_and_the_rest_stays_untouched(
    dovecot: Dovecot, open_mailbox: Open
) -> None:
    mailbox = open_mailbox()
    for mail in (bounce(1), foreign(1), bounce(2), foreign(2)):
        dovecot.deliver(mailbox.username, mail)

    polled(mailbox)
    polled(mailbox)

    assert sorted(stored(mailbox)) == [bounce(1), bounce(2)]
    assert (mailbox.mail_count, mailbox.foreign_count, mailbox.last_error) == (4, 2, "")
    assert mailbox.due_at == NOW + dt.timedelta(seconds=60)
    assert not any("Seen" in flags for flags in dovecot.flags(mailbox.username))
    assert len(dovecot.contents(mailbox.username)) == 4  # Nobody has understood anything yet.

    one = RawReport.objects.earliest("pk")
    understand(mailbox, pk=one.pk)
    polled(mailbox)

    moved = store.content_of(one)
    assert dovecot.contents(mailbox.username, DONE) == [moved]
    left = {bounce(1), bounce(2), foreign(1), foreign(2)} - {moved}
    assert set(dovecot.contents(mailbox.username)) == left
    assert MailboxMail.objects.filter(mailbox=mailbox).count() == 1


@pytest.mark.parametrize("capability", ["MOVE", "UIDPLUS"])
def test_a_server_without_move_gets_a_copy_and_a_deletion_that_takes_nothing_else(
    dovecot: Dovecot, open_mailbox: Open, monkeypatch: pytest.MonkeyPatch, capability: str
) -> None:
    mailbox = open_mailbox()
    dovecot.deliver(mailbox.username, foreign(1))
    with dovecot.signed_in(mailbox.username) as person:
        person.select()
        person.store("1", "+FLAGS", r"(\Deleted)")  # Somebody means to delete it, and may think again.
    dovecot.deliver(mailbox.username, bounce(1))
    polled(mailbox)
    understand(mailbox)
    lacking = {"MOVE", capability}
    told = imap_poll.imap.IMAPClient.has_capability
    monkeypatch.setattr(
        imap_poll.imap.IMAPClient, "has_capability", lambda client, name: name not in lacking and told(client, name)
    )

    polled(mailbox)

    assert dovecot.contents(mailbox.username, DONE) == [bounce(1)]
    left = dovecot.contents(mailbox.username)
    assert left == ([foreign(1)] if capability == "MOVE" else [foreign(1), bounce(1)])


def test_a_new_uidvalidity_has_everything_read_again_and_nothing_stored_twice(
    dovecot: Dovecot, open_mailbox: Open
) -> None:
    mailbox = open_mailbox()
    dovecot.deliver(mailbox.username, bounce(1))
    before = polled(mailbox).uidvalidity
    dovecot.renumber(mailbox.username)
    dovecot.deliver(mailbox.username, bounce(2))

    polled(mailbox)

    assert mailbox.uidvalidity != before
    assert sorted(stored(mailbox)) == [bounce(1), bounce(2)]
    understand(mailbox)
    polled(mailbox)
    assert sorted(dovecot.contents(mailbox.username, DONE)) == [bounce(1), bounce(2)]


def test_a_large_mail_is_cut(dovecot: Dovecot, open_mailbox: Open) -> None:
    mailbox = open_mailbox()
    dovecot.deliver(mailbox.username, bounce(1, "\r\n" + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 16_000))

    polled(mailbox)

    (content,) = stored(mailbox)
    assert len(content) == 256 * 1024


def test_of_two_pollers_one_reads(dovecot: Dovecot, open_mailbox: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    mailbox = open_mailbox()
    dovecot.deliver(mailbox.username, bounce(1))
    second: list[bool] = []
    whole = ImapSession.content

    def meanwhile(session: ImapSession, *args: object) -> bytes | None:
        second.append(poll.poll(mailbox.pk, lambda: NOW))
        return whole(session, *args)

    monkeypatch.setattr(ImapSession, "content", meanwhile)
    polled(mailbox)

    assert second == [False]
    assert stored(mailbox) == [bounce(1)]


def test_a_poller_without_its_lease_stores_nothing_more(
    dovecot: Dovecot, open_mailbox: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailbox = open_mailbox()
    dovecot.deliver(mailbox.username, bounce(1))
    whole = ImapSession.content

    def stopped(session: ImapSession, *args: object) -> bytes | None:
        """As a worker that was stopped for so long that another one took over."""
        monkeypatch.setattr(ImapSession, "content", whole)
        assert poll.poll(mailbox.pk, lambda: NOW + dt.timedelta(minutes=3))
        RawReport.objects.all().delete()
        return whole(session, *args)

    monkeypatch.setattr(ImapSession, "content", stopped)

    assert not poll.poll(mailbox.pk, lambda: NOW)
    assert not RawReport.objects.exists()


def test_old_reports_are_deleted_from_done_and_nothing_else(dovecot: Dovecot, open_mailbox: Open) -> None:
    mailbox = open_mailbox(after_reading="delete")
    dovecot.deliver(mailbox.username, bounce(1))
    polled(mailbox)
    understand(mailbox)
    polled(mailbox)
    with dovecot.signed_in(mailbox.username) as person:
        person.append(DONE, "", "", foreign(1))
    assert len(dovecot.contents(mailbox.username, DONE)) == 2

    polled(mailbox, dt.datetime.now(dt.UTC) + dt.timedelta(days=29))
    assert len(dovecot.contents(mailbox.username, DONE)) == 2
    polled(mailbox, dt.datetime.now(dt.UTC) + dt.timedelta(days=32))

    assert dovecot.contents(mailbox.username, DONE) == [foreign(1)]


def test_a_restored_copy_reads_the_done_folder_again(dovecot: Dovecot, open_mailbox: Open) -> None:
    mailbox = open_mailbox()
    dovecot.deliver(mailbox.username, bounce(1))
    polled(mailbox)
    understand(mailbox)
    polled(mailbox)
    RawReport.objects.all().delete()  # The dump is older than the report.
    Mailbox.objects.update(reread_since=dt.datetime.now(dt.UTC) - dt.timedelta(days=1))

    polled(mailbox)

    assert stored(mailbox) == [bounce(1)]
    assert mailbox.reread_since is None
    assert dovecot.contents(mailbox.username, DONE) == [bounce(1)]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"password": "wrong"}, "Sign-in refused. Server replied: [AUTHENTICATIONFAILED] Authentication failed."),
        ({"folder": "Nowhere"}, "The folder Nowhere can't be opened. Server replied:"),
        ({"trusted_certificate": ""}, "The certificate or encryption of localhost was refused:"),
        (
            {"host": "10.1.2.3", "password": ""},
            "10.1.2.3 is in a private network, and only public hosts are called. Enter a public host.",
        ),
    ],
)
def test_what_fails_is_told_in_a_sentence(open_mailbox: Open, fields: dict[str, str], sentence: str) -> None:
    mailbox = polled(open_mailbox(**fields))

    assert mailbox.last_error.startswith(sentence)
    assert PASSWORD not in mailbox.last_error
    assert (mailbox.failures, mailbox.failing_since, mailbox.polled_at) == (1, NOW, None)


def test_what_fails_is_tried_again_ever_later_and_at_least_hourly(dovecot: Dovecot, open_mailbox: Open) -> None:
    mailbox = open_mailbox(host="10.1.2.3", password="")

    waits = [(polled(mailbox).due_at - NOW).total_seconds() for _ in range(8)]

    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_starttls_is_required_on_the_plain_port(dovecot: Dovecot, open_mailbox: Open) -> None:
    mailbox = open_mailbox(port=dovecot.imap, security="starttls")
    dovecot.deliver(mailbox.username, bounce(1))

    polled(mailbox)

    assert stored(mailbox) == [bounce(1)]


def test_a_full_mailbox_is_read_in_several_turns_that_follow_soon(
    dovecot: Dovecot, open_mailbox: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turn, "BODIES", 2)
    mailbox = open_mailbox()
    for number in range(5):
        dovecot.deliver(mailbox.username, foreign(number))
        dovecot.deliver(mailbox.username, bounce(number))

    waits = [(polled(mailbox).due_at - NOW).total_seconds() for _ in range(3)]

    assert waits == [5, 5, 60]
    assert sorted(stored(mailbox)) == sorted(map(bounce, range(5)))
    assert (mailbox.mail_count, mailbox.foreign_count) == (10, 5)
