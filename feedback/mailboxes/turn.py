"""One turn of polling a mailbox: under a lease that one worker has, and in steps that a kill cannot break.

Each step stores mails together with how far the mailbox was read. A worker that lost its lease stores nothing more.
"""

import datetime as dt
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from django.db import transaction
from django.db.models import F, Q

from delivery import clock
from feedback.intake import store
from feedback.intake.addresses import OurAddresses, our_addresses
from feedback.mailboxes.guarded_socket import Limits
from feedback.mailboxes.relevance import Relevance
from feedback.mailboxes.seed_tests import SeedTests
from feedback.models import Mailbox, MailboxMail, RawReport
from feedback.probes import arrived, key_in

log = logging.getLogger(__name__)

SECONDS = 20.0  # The most that a turn may take …
FRESH_SECONDS = 8.0  # … and for how long it begins something new.
LEASE = dt.timedelta(minutes=2)  # Longer than a turn, so that only a dead worker loses it.
SESSION_BYTES = 32 * 1024 * 1024
BODIES = 200  # Mails that are read in one turn.
CUT_BYTES = 256 * 1024  # Of a mail that is too large: a report says everything at its beginning.


class LeaseLost(Exception):
    """Another worker polls the mailbox now, or it was deleted or edited."""


class Found(NamedTuple):
    """A mail of ours with its content."""

    uid: str
    content: bytes
    relevance: Relevance


@dataclass(slots=True)
class Turn:
    """A turn, with the mailbox as it was at its beginning."""

    mailbox: Mailbox
    read_clock: Callable[[], dt.datetime]
    began: float = field(default_factory=clock.steady)
    ours: OurAddresses = field(default_factory=our_addresses)
    tests: SeedTests = field(init=False)
    bodies: int = 0
    is_more: bool = False  # Whether mails are left for another turn.
    warning: str = ""  # A sentence about something that did not work, while reading did.

    def __post_init__(self) -> None:
        self.tests = SeedTests(self.mailbox, self.read_clock)

    @classmethod
    def begin(cls, mailbox_id: int, read_clock: Callable[[], dt.datetime]) -> Self | None:
        """Take the mailbox's lease; None if somebody else has it, or the mailbox is switched off or deleted."""
        now, key = read_clock(), uuid.uuid4().hex
        free = Mailbox.objects.filter(Q(lease_until=None) | Q(lease_until__lt=now), pk=mailbox_id, is_active=True)
        if not free.update(lease_key=key, lease_until=now + LEASE):
            return None
        return cls(Mailbox.objects.get(pk=mailbox_id), read_clock)

    def limits(self) -> Limits:
        return Limits(clock.steady, SECONDS - (clock.steady() - self.began), SESSION_BYTES)

    def is_over(self) -> bool:
        """Tell whether nothing new should begin in this turn, and remember that mails are left."""
        self.is_more |= clock.steady() - self.began > FRESH_SECONDS or self.bodies >= BODIES
        return self.is_more

    def store(
        self,
        mails: Sequence[Found],
        *,
        looked_at: int = 0,
        is_kept: bool = True,
        others: Sequence[str] = (),
        **progress: int,
    ) -> None:
        """Store mails of ours, and how far the mailbox was read, in one transaction.

        :param looked_at: how many mails were looked at, to count them and those that are not ours.
        :param is_kept: whether the mails lie in the mailbox's folder, where a later turn has to settle them.
        :param others: names of mails that are not ours, to be remembered.
        :param progress: columns of the mailbox.
        :raises LeaseLost: if somebody else has the lease; nothing is stored.
        """
        now = self.read_clock()
        with transaction.atomic():
            self.hold(
                mail_count=F("mail_count") + looked_at,
                foreign_count=F("foreign_count") + (looked_at - len(mails) if looked_at else 0),
                **progress,
            )
            for mail in mails:
                remembered = {**self._take(mail, now), "listed_at": now}
                if is_kept:
                    MailboxMail.objects.update_or_create(mailbox=self.mailbox, uid=mail.uid, defaults=remembered)
            rows = [MailboxMail(mailbox=self.mailbox, uid=uid, listed_at=now) for uid in others]
            MailboxMail.objects.bulk_create(rows, ignore_conflicts=True)
        for name, value in progress.items():
            setattr(self.mailbox, name, value)

    def _take(self, mail: Found, now: dt.datetime) -> dict[str, object]:
        """Store a mail, and return what is remembered of it."""
        key = key_in(mail.relevance.subject)
        if key and arrived(key, mail.relevance.purpose, now, mailbox=self.mailbox):
            return {"raw_id": None, "is_understood": True}
        to, source = mail.relevance.envelope_to, RawReport.Source.MAILBOX
        return {"raw_id": store.take(source, mail.content, now=now, envelope_to=to, mailbox_id=self.mailbox.pk).raw_id}

    def understood(self) -> list[str]:
        """Return the names of the stored mails that a worker understood, the oldest first."""
        mails = MailboxMail.objects.filter(mailbox=self.mailbox).order_by("pk")
        known = mails.filter(Q(raw__is_recognised=True) | Q(is_understood=True))
        return list(known.values_list("uid", flat=True))

    def hold(self, **values: object) -> None:
        """Write columns of the mailbox, if the lease is still ours.

        :raises LeaseLost: if it is not.
        """
        mine = Mailbox.objects.filter(pk=self.mailbox.pk, lease_key=self.mailbox.lease_key)
        if not mine.update(lease_key=self.mailbox.lease_key, **values):
            raise LeaseLost
