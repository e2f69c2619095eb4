"""A turn of a POP3 mailbox: reads new mail and deletes what was understood.

The names that the server gives its mails (UIDL) are remembered while they are listed and for 30 days after, so that
each mail is looked at once. Nothing is deleted that was not stored and understood.
"""

import datetime as dt
import logging
import poplib
from collections.abc import Mapping

from feedback.mailboxes import pop3
from feedback.mailboxes.access import Access
from feedback.mailboxes.guarded_socket import MailboxFailed
from feedback.mailboxes.pop3 import Pop3Session
from feedback.mailboxes.relevance import WHOLE_BYTES, relevance
from feedback.mailboxes.turn import CUT_BYTES, Found, Turn
from feedback.models import MailboxMail

log = logging.getLogger(__name__)

DAY = dt.timedelta(days=1)
ROWS = 500  # In one statement.


def poll(turn: Turn, access: Access) -> None:
    """Poll the mailbox as far as the turn's time goes.

    :raises NotConnected: if there is no connection.
    :raises MailboxFailed: with a sentence for people.
    :raises LeaseLost: if somebody else polls it now.
    """
    is_read = False
    try:
        with pop3.session(access, turn.limits()) as session:
            listed = _read_new(turn, session)
            is_read = True
            # Deleting takes effect when the session ends in order; otherwise the mails are listed and deleted again.
            for uid in turn.understood():
                if uid in listed:
                    session.delete(listed[uid])
    except (MailboxFailed, poplib.error_proto) as error:
        if not is_read:
            raise
        log.info("mailbox %s: its session did not end in order (%s)", turn.mailbox.pk, type(error).__name__)
        turn.warning = "The session didn't end in order, so mail that was read is deleted next time."


def _read_new(turn: Turn, session: Pop3Session) -> Mapping[str, int]:
    """Read mail that is new, and return the numbers of all mail by its lasting name."""
    listed = session.uids()
    _remember(turn, listed)
    known = set(MailboxMail.objects.filter(mailbox=turn.mailbox).values_list("uid", flat=True))
    sizes = session.sizes()
    for uid, number in listed.items():
        if uid in known:
            continue
        if turn.is_over():
            break
        _read(turn, session, uid, number, sizes.get(number, 0))
    return listed


def _read(turn: Turn, session: Pop3Session, uid: str, number: int, size: int) -> None:
    turn.bodies += 1
    head = session.headers(number)
    content = None
    if head is None and size <= WHOLE_BYTES:  # The server has no TOP.
        head = content = session.content(number)
    found = relevance(head, turn.ours) if head is not None else None
    if found is not None:
        turn.tests.note(found)
    if found is None or not found.is_ours:
        turn.store([], looked_at=1, others=[uid])
        return
    if content is None:
        content = session.content(number, CUT_BYTES if size > found.most_bytes else None)
    mails = [Found(uid, content, found)] if content is not None else []
    turn.store(mails, looked_at=1, others=[] if mails else [uid])


def _remember(turn: Turn, listed: Mapping[str, int]) -> None:
    """Note which mails are listed still, and forget those that were not for a long time."""
    now = turn.read_clock()
    mails = MailboxMail.objects.filter(mailbox=turn.mailbox)
    stale = [uid for uid in mails.filter(listed_at__lt=now - DAY).values_list("uid", flat=True) if uid in listed]
    for at in range(0, len(stale), ROWS):
        mails.filter(uid__in=stale[at : at + ROWS]).update(listed_at=now)
    mails.filter(listed_at__lt=now - MailboxMail.KEPT_FOR).delete()
