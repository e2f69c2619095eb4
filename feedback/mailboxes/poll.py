"""Polling: one turn of each mailbox that is due, and what its page says of it afterwards.

Turns are short and each has limits, so that a server that hangs or lies takes seconds of a worker's time and no more.
"""

import datetime as dt
import logging
import poplib
from collections.abc import Callable

from django.conf import settings
from django.db.models import F, Q
from imapclient.exceptions import IMAPClientError

from delivery import clock
from encryption.keys import SecretUnreadable
from feedback.mailboxes import imap, imap_poll, pop3, pop3_poll
from feedback.mailboxes.access import Access
from feedback.mailboxes.guarded_socket import MailboxFailed, SignInRefused
from feedback.mailboxes.turn import LeaseLost, Turn
from feedback.models import Mailbox
from net.addresses import NotConnected
from oauth.tokens import NoToken, token_for

log = logging.getLogger(__name__)

FOR_A_WHILE = 4.0  # Seconds in which turns begin, so that other errands get theirs.
SOON = dt.timedelta(seconds=5)  # If mails are left; other errands get their turns in between.
LONGEST_WAIT = dt.timedelta(hours=1)  # After many failures.


def poll_for_a_while(read_clock: Callable[[], dt.datetime], seconds: float = FOR_A_WHILE) -> None:
    """Poll mailboxes that are due, one after the other, as long as the time is not over."""
    end = clock.steady() + seconds
    for mailbox_id in _due(read_clock()):
        if clock.steady() >= end:
            return
        poll(mailbox_id, read_clock)


def _due(now: dt.datetime) -> list[int]:
    due = Mailbox.objects.filter(Q(due_at=None) | Q(due_at__lte=now), is_active=True)
    return list(due.order_by(F("due_at").asc(nulls_first=True)).values_list("pk", flat=True)[:100])


def poll(mailbox_id: int, read_clock: Callable[[], dt.datetime]) -> bool:
    """Give a mailbox a turn. False if somebody else polls it now, or it is switched off."""
    turn = Turn.begin(mailbox_id, read_clock)
    if turn is None:
        return False
    try:
        problem = _problem(turn)
        _end(turn, problem)
    except LeaseLost:
        return False
    return True


def _problem(turn: Turn) -> str:
    """Poll, and return why it failed as a sentence; empty if it did not.

    :raises LeaseLost: if somebody else polls it now.
    """
    used: list[Access] = []
    problem = _talk(turn, used)
    for access in used:
        problem, turn.warning = access.redacted(problem), access.redacted(turn.warning)
    return problem


def _talk(turn: Turn, used: list[Access]) -> str:
    """Poll, and return the problem in words that may repeat a secret of what was ``used``."""
    mailbox = turn.mailbox
    talk = pop3_poll.poll if mailbox.protocol == Mailbox.Protocol.POP3 else imap_poll.poll
    try:
        used.append(access_to(mailbox, turn.read_clock()))
        try:
            talk(turn, used[-1])
        except SignInRefused:
            if not used[-1].token:
                raise
            # A token may be revoked before its end; a new one is asked for once.
            used.append(access_to(mailbox, turn.read_clock(), refused=used[-1].token))
            talk(turn, used[-1])
    except (NotConnected, MailboxFailed, NoToken, SecretUnreadable) as error:
        return str(error)
    except TimeoutError:
        return "The server didn't answer in time."
    except IMAPClientError as error:
        return f"Server replied: {imap.words_of(error)}"
    except poplib.error_proto as error:
        return f"Server replied: {pop3.words_of(error)}"
    except OSError:
        return "The server ended the connection."
    except (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError, MemoryError) as error:
        # The libraries trust the server's grammar. Its words are not logged, since they may hold addresses.
        log.warning("mailbox %s: the server's answer could not be read (%s)", mailbox.pk, type(error).__name__)
        return "The server's answer couldn't be read."
    return ""


def access_to(mailbox: Mailbox, now: dt.datetime, refused: str = "") -> Access:
    """Return what a session needs.

    :param refused: the token that the server has just refused.
    :raises SecretUnreadable: if the password cannot be decrypted, or was entered for another server.
    :raises NoToken: if the OAuth account gives none.
    """
    account = mailbox.oauth_account
    return Access(
        host=mailbox.host,
        port=mailbox.port,
        is_implicit_tls=mailbox.security == Mailbox.Security.IMPLICIT,
        trusted_certificate=mailbox.trusted_certificate,
        username=mailbox.username or (account.mailbox if account else ""),
        password="" if account else mailbox.password.reveal(mailbox.destination),
        token=token_for(account, mailbox.host, now, refused=refused) if account else "",
    )


def _end(turn: Turn, problem: str) -> None:
    """Give the lease back, and note how it went."""
    now, failures = turn.read_clock(), turn.mailbox.failures + 1
    usual = dt.timedelta(seconds=settings.MAILBOX_SECONDS)
    if problem:
        wait = min(usual * 2 ** min(failures - 1, 12), max(usual, LONGEST_WAIT))
        outcome = {"failures": failures, "failing_since": turn.mailbox.failing_since or now}
    else:
        wait = SOON if turn.is_more else usual
        outcome = {"failures": 0, "failing_since": None, "polled_at": now}
    text = problem or turn.warning
    turn.hold(**outcome, last_error=text[:500], due_at=now + wait, lease_until=None)
