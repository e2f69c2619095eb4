"""A mailbox that was edited: another mailbox is read from its beginning, and a poll in progress stores nothing more."""

from django.db import transaction

from feedback import probes
from feedback.models import Mailbox, MailboxMail


def start_over(mailbox: Mailbox) -> None:
    """Forget how far the mailbox was read. What was stored before is not stored twice."""
    MailboxMail.objects.filter(mailbox=mailbox).delete()
    Mailbox.objects.filter(pk=mailbox.pk).update(
        uidvalidity=0, last_uid=0, reread_since=None, reread_uid=0, swept_at=None, mail_count=0, foreign_count=0
    )


def poll_soon(mailbox: Mailbox) -> None:
    """Have the mailbox polled with its present settings, whoever is polling it now."""
    Mailbox.objects.filter(pk=mailbox.pk).update(
        lease_key="", lease_until=None, due_at=None, failures=0, failing_since=None, last_error=""
    )


def delete(mailbox: Mailbox) -> None:
    """Delete a mailbox. Return paths whose probe came in by it have to be probed again."""
    with transaction.atomic():
        probes.withdraw(mailbox)
        mailbox.delete()
