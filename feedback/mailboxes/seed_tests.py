"""Test messages of ours that arrive in a mailbox: what its server found of SPF, DKIM and DMARC is noted.

The mail itself is somebody's, and stays untouched. Its Message-ID, which nobody can guess, says that it is ours.
"""

import datetime as dt
from collections.abc import Callable
from functools import cached_property

from delivery.models import Trial
from delivery.operators.receipts import Receipt
from feedback.mailboxes.relevance import Relevance
from feedback.models import ArrivedTest, Mailbox
from mail.addresses import fold
from mail.incoming.authentication import checks_of


class SeedTests:
    """The tests of the last day, as they are found in one turn of a mailbox."""

    def __init__(self, mailbox: Mailbox, read_clock: Callable[[], dt.datetime]) -> None:
        self._mailbox, self._read_clock = mailbox, read_clock

    @cached_property
    def _sent(self) -> frozenset[str]:
        recent = Trial.objects.filter(created_at__gt=self._read_clock() - Trial.KEPT_FOR)
        return frozenset(recent.exclude(message=None).values_list("message__message_id", flat=True)) - {""}

    def note(self, mail: Relevance) -> None:
        """Note a mail's results if it is a test of ours and the mailbox says under which name they stand."""
        name = self._mailbox.authserv_id
        if not name or not mail.message_id or mail.message_id not in self._sent:
            return
        checks = checks_of(mail.results, name)
        ArrivedTest.objects.update_or_create(
            message_id=mail.message_id,
            defaults={"mailbox": self._mailbox, "arrived_at": self._read_clock(), "checks": checks},
        )


def receipt_of(recipient: str, message_id: str) -> Receipt | None:
    """Return the receipt of a test that was sent to a mailbox for tests."""
    arrival = (
        ArrivedTest.objects.filter(message_id=message_id).select_related("mailbox").first() if message_id else None
    )
    if arrival is not None:
        checks = None if arrival.checks is None else [(check[0], check[1], check[2]) for check in arrival.checks]
        return Receipt(arrival.mailbox.name, arrival.arrived_at, checks)
    key = fold(recipient)
    for mailbox in Mailbox.objects.filter(is_active=True).exclude(authserv_id="").select_related("oauth_account"):
        own = mailbox.username or (mailbox.oauth_account.mailbox if mailbox.oauth_account else "")
        if fold(own) == key:
            return Receipt(mailbox.name)
    return None
