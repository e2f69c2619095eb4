"""Mailboxes after the database was restored from a dump: what the original read since then is read again."""

import datetime as dt

from feedback.models import Mailbox

EARLIER = dt.timedelta(days=1)  # IMAP compares days, each in a zone of its server's choice.


def read_again(copied_at: dt.datetime) -> None:
    """Have each mailbox read its folder Brilliance/done again, from the time of the copy or of its last poll on."""
    for mailbox in Mailbox.objects.filter(protocol=Mailbox.Protocol.IMAP).exclude(polled_at=None):
        assert mailbox.polled_at is not None
        since = min(copied_at, mailbox.polled_at) - EARLIER
        Mailbox.objects.filter(pk=mailbox.pk).update(reread_since=since, reread_uid=0, due_at=None)
