"""Receipts of tests: the mailbox that a test arrived in, and what its server found of SPF, DKIM and DMARC.

A higher room, which reads mailboxes, registers what it knows.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from registry import Registry

FOLLOWED_FOR = dt.timedelta(minutes=3)  # A mailbox is read every minute, and mail takes its time.


@dataclass(frozen=True, slots=True)
class Receipt:
    """A test in a mailbox that is connected here."""

    mailbox: str
    arrived_at: dt.datetime | None = None  # None: it has not been seen yet.
    checks: Sequence[tuple[str, str, str]] | None = None  # Method, result and subject; None: the server wrote none.

    def is_followed(self, ended_at: dt.datetime, now: dt.datetime) -> bool:
        """Tell whether a page should still wait for it."""
        return self.arrived_at is None and ended_at <= now < ended_at + FOLLOWED_FOR


# From a test's recipient and its Message-ID.
RECEIPTS: Registry[Callable[[str, str], Receipt | None]] = Registry()


def receipt_of(recipient: str, message_id: str) -> Receipt | None:
    """Return the receipt of an accepted test; None if its recipient's mailbox is not connected."""
    found = (look(recipient, message_id) for look in RECEIPTS.values())
    return next((receipt for receipt in found if receipt is not None), None)
