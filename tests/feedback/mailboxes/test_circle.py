"""The whole circle in a real mailbox: bounce and unsubscribe arrive, have their effect, and are put away."""

import os
import signal
from collections.abc import Callable

import pytest
from django.conf import settings

from contacts.models import Subscription, Suppression
from feedback.intake import store
from feedback.mailboxes import poll
from feedback.mailboxes.imap import ImapSession
from feedback.mailboxes.turn import LEASE, Turn
from feedback.models import Mailbox, RawReport
from mail import verp
from tests.feedback.mailboxes.conftest import bounce, polled
from tests.feedback.reports import making
from tests.feedback.reports.making import NOW, make_mailing, make_server, process, sent_to
from tests.harness.children import Child
from tests.harness.dovecot import Dovecot

DONE = "Brilliance.done"


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_a_bounce_and_an_unsubscribe_have_their_effect_and_are_put_away(
    dovecot: Dovecot, open_mailbox: Callable[..., Mailbox], protocol: str
) -> None:
    server, mailing, mailbox = make_server(), make_mailing(), open_mailbox(protocol)
    gone, leaving = (sent_to(f"{name}@customer.example", mailing, server) for name in ("gone", "leaving"))
    unsubscribe = verp.unsubscribe_addresses("news.example.org", settings.TOKEN_KEYS)(leaving.pk)
    asked = f"Return-Path: <x@example.net>\r\nTo: {unsubscribe.upper()}\r\nSubject: unsubscribe\r\n\r\n\r\n".encode()
    for mail in (making.bounce(gone), asked):
        dovecot.deliver(mailbox.username, mail)

    polled(mailbox, NOW)
    process()
    polled(mailbox, NOW)

    gone.refresh_from_db()
    assert gone.status == "bounced"
    assert list(Suppression.objects.values_list("email", flat=True)) == [gone.email]
    assert Subscription.objects.get(contact=leaving.contact).status == "unsubscribed"
    assert dovecot.contents(mailbox.username) == []
    if protocol == "imap":
        assert len(dovecot.contents(mailbox.username, DONE)) == 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("victim", [(ImapSession, "content"), (Turn, "_take"), (ImapSession, "move")])
def test_a_poller_that_is_killed_loses_and_doubles_nothing(
    dovecot: Dovecot, open_mailbox: Callable[..., Mailbox], monkeypatch: pytest.MonkeyPatch, victim: tuple[type, str]
) -> None:
    mailbox = open_mailbox()
    mails = [bounce(number) for number in (1, 2, 3)]
    for mail in mails:
        dovecot.deliver(mailbox.username, mail)
    if victim[1] == "move":
        polled(mailbox, NOW)
        RawReport.objects.update(is_recognised=True)

    def killed() -> None:
        whole = getattr(*victim)
        calls: list[int] = []

        def die_the_second_time(*args: object) -> object:
            result = whole(*args)
            calls.append(1)
            if len(calls) == 2 or victim[1] == "move":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        monkeypatch.setattr(*victim, die_the_second_time)
        poll.poll(mailbox.pk, lambda: NOW)

    code, printed = Child(killed).wait()
    assert code == -signal.SIGKILL, printed

    assert not poll.poll(mailbox.pk, lambda: NOW)  # The dead one's lease.
    polled(mailbox, NOW + LEASE * 2)

    assert sorted(store.content_of(raw) for raw in RawReport.objects.all()) == sorted(mails)
    RawReport.objects.update(is_recognised=True)
    polled(mailbox, NOW + LEASE * 2)
    assert sorted(dovecot.contents(mailbox.username, DONE)) == sorted(mails)
    assert dovecot.contents(mailbox.username) == []
