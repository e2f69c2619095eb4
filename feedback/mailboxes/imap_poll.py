"""A turn of an IMAP mailbox: reads new mail, moves what was understood, deletes what is old.

The folder is read in the order of its numbers (UIDs). A new UIDVALIDITY makes all numbers void, and everything is read
again: a mail that was stored before is not stored twice.
"""

import datetime as dt
from collections.abc import Iterator, Sequence

from django.db.models import Q

from feedback.mailboxes import imap
from feedback.mailboxes.access import Access
from feedback.mailboxes.guarded_socket import MailboxFailed
from feedback.mailboxes.imap import Head, ImapSession
from feedback.mailboxes.relevance import Relevance, relevance
from feedback.mailboxes.turn import CUT_BYTES, Found, Turn
from feedback.models import Mailbox, MailboxMail

WINDOW = 10_000  # Numbers that are asked about at once; more after a window without any mail.
HEADS = 50  # Mails whose headers are fetched at once.
MOVED = 500  # Mails that are moved in one turn.
KEPT_FOR = dt.timedelta(days=30)  # In Brilliance/done, with the setting to delete.
SWEEP = dt.timedelta(days=1)  # Between two looks for old mails.


def poll(turn: Turn, access: Access) -> None:
    """Poll the mailbox as far as the turn's time goes.

    :raises NotConnected: if there is no connection.
    :raises MailboxFailed: with a sentence for people.
    :raises LeaseLost: if somebody else polls it now.
    """
    mailbox = turn.mailbox
    with imap.session(access, turn.limits()) as session:
        folder = session.select(mailbox.folder)
        if folder.uidvalidity != mailbox.uidvalidity:
            _start_over(turn, folder.uidvalidity)
        _read_new(turn, session, folder.uidnext)
        try:
            _move_understood(turn, session)
            if mailbox.reread_since is not None:
                _read_done_again(turn, session, mailbox.reread_since)
            if mailbox.after_reading == Mailbox.AfterReading.DELETE:
                _delete_old(turn, session)
        except MailboxFailed as error:
            turn.warning = str(error)


def _start_over(turn: Turn, uidvalidity: int) -> None:
    MailboxMail.objects.filter(mailbox=turn.mailbox).delete()
    turn.store([], uidvalidity=uidvalidity, last_uid=0)


def _read_new(turn: Turn, session: ImapSession, uidnext: int | None) -> None:
    low, window = turn.mailbox.last_uid + 1, WINDOW
    while (uidnext is None or low < uidnext) and not turn.is_over():
        high = None if uidnext is None else min(low + window, uidnext) - 1
        uids = session.uids(low, high)
        window = WINDOW if uids else window * 8  # Numbers go up to 2^32, and may have large gaps.
        for group in _groups(uids):
            if not _read_group(turn, session, group):
                return
        if high is None:
            return
        turn.store([], last_uid=high)
        low = high + 1


def _read_group(turn: Turn, session: ImapSession, uids: Sequence[int]) -> bool:
    """Read some mails; False if the turn ended before the last one."""
    foreign = 0  # Since the last one of ours.
    for head in session.heads(uids):
        found = relevance(head.headers, turn.ours)
        turn.tests.note(found)
        if not found.is_ours:
            foreign += 1
            continue
        if turn.is_over():
            turn.store([], looked_at=foreign, last_uid=head.uid - 1)
            return False
        mails = _fetched(turn, session, head, found)
        turn.store(mails, looked_at=foreign + 1, last_uid=head.uid)
        foreign = 0
    turn.store([], looked_at=foreign, last_uid=uids[-1])
    return not turn.is_over()


def _fetched(turn: Turn, session: ImapSession, head: Head, found: Relevance) -> list[Found]:
    """Return the mail with its content, or none if it was deleted in between."""
    turn.bodies += 1
    content = session.content(head.uid, CUT_BYTES if head.size > found.most_bytes else None)
    return [] if content is None else [Found(str(head.uid), content, found)]


def _move_understood(turn: Turn, session: ImapSession) -> None:
    """Move the mails that a worker understood, and forget those whose report is gone."""
    uids = turn.understood()[:MOVED]
    if uids:
        session.move([int(uid) for uid in uids], session.done_folder())
    # After a kill before this line they are moved again, which moves nothing.
    mails = MailboxMail.objects.filter(mailbox=turn.mailbox)
    mails.filter(Q(uid__in=uids) | Q(raw=None, is_understood=False)).delete()


def _read_done_again(turn: Turn, session: ImapSession, since: dt.datetime) -> None:
    """Store the reports in Brilliance/done from an instant on: the database was restored, and does not know them."""
    name = session.done_folder()
    if session.has_folder(name):
        session.select(name)
        for group in _groups(session.uids(turn.mailbox.reread_uid + 1, None, "SINCE", since.date())):
            for head in session.heads(group):
                found = relevance(head.headers, turn.ours)
                if found.is_ours:
                    if turn.is_over():
                        return
                    turn.store(_fetched(turn, session, head, found), is_kept=False, reread_uid=head.uid)
            turn.store([], reread_uid=group[-1])
    turn.hold(reread_since=None, reread_uid=0)


def _delete_old(turn: Turn, session: ImapSession) -> None:
    """Delete reports from Brilliance/done that came in long ago. Mail of somebody else's stays there too."""
    now, mailbox = turn.read_clock(), turn.mailbox
    if mailbox.swept_at is not None and now - mailbox.swept_at < SWEEP:
        return
    name = session.done_folder()
    if session.has_folder(name):
        session.select(name)
        for group in _groups(session.uids(1, None, "BEFORE", (now - KEPT_FOR).date())):
            if turn.is_over():
                return
            old = [head.uid for head in session.heads(group) if relevance(head.headers, turn.ours).is_ours]
            if old:
                session.delete(old)
    turn.hold(swept_at=now)


def _groups(uids: Sequence[int]) -> Iterator[Sequence[int]]:
    for at in range(0, len(uids), HEADS):
        yield uids[at : at + HEADS]
