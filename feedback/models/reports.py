"""The tables of reports: what came in, byte by byte, and each event that a worker read in it."""

from dataclasses import dataclass
from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from db.keys import KeptKey
from delivery.models import Message
from encryption.secret_field import SecretField
from feedback.models.feedback import Feedback
from smtpservers.models import SmtpServer


class RawReport(models.Model):
    """One request of a webhook, or one mail, as it came in; see :mod:`feedback.intake.store`.

    ``sealed`` is encrypted, because it holds addresses and sometimes whole mails. No page, log or export gets it
    without asking :func:`feedback.intake.store.content_of`.
    """

    class Source(models.TextChoices):
        WEBHOOK = "webhook", _("Webhook")
        MAILBOX = "mailbox", _("Mailbox")
        LISTENER = "listener", _("Mail listener")

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")  # A worker reads it soon.
        DONE = "done", _("Read")
        UNPROVED = "unproved", _("Not proved")  # Its origin is not proved: it is shown, and never read.
        UNREADABLE = "unreadable", _("Unreadable")  # Too large, too deep, broken, or it took too long.

    source = models.CharField(_("source"), max_length=8, choices=Source)
    digest = models.CharField(max_length=64, unique=True)  # SHA-256 of source, server and bytes.
    server = KeptKey(SmtpServer, related_name="+", verbose_name=_("server"))
    provider = models.CharField(_("provider"), max_length=32, blank=True)  # Of a webhook: the name of its adapter.
    mailbox_id = models.BigIntegerField(null=True)
    envelope_to = models.CharField(max_length=320, blank=True)  # The recipient in the SMTP session; empty: unknown.
    sealed = models.BinaryField()
    size_bytes = models.PositiveIntegerField(_("size"))
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.WAITING)
    problem = models.CharField(_("problem"), max_length=300, blank=True)  # Why it is not proved, or unreadable.
    # Whether it is a report, an unsubscribe or an auto-reply; None: nobody has read it.
    is_recognised = models.BooleanField(_("recognised"), null=True)
    received_at = models.DateTimeField(_("date"), db_default=Now(), editable=False)
    claimed_until = models.DateTimeField(null=True)  # A worker reads it; after this instant another one may.
    tries = models.PositiveSmallIntegerField(default=0, db_default=0)  # How often a worker began to read it.

    class Meta:
        ordering = ["-id"]
        verbose_name = _("raw report")
        verbose_name_plural = _("raw reports")
        default_permissions = ("view",)
        indexes = [
            # Claims: the oldest ones that wait.
            models.Index(fields=["id"], condition=models.Q(state="waiting"), name="raw_report_waiting"),
            # Mailboxes: what was read of a mailbox's mails.
            models.Index(
                fields=["mailbox_id"], condition=models.Q(mailbox_id__isnull=False), name="raw_report_mailbox"
            ),
            # Webhooks: the posts of a server that are not proved, which are counted, limited and proved again.
            models.Index(fields=["server", "id"], condition=models.Q(state="unproved"), name="raw_report_unproved"),
            models.Index(fields=["server", "id"], name="raw_report_server"),  # The list's filter.
            # The listener: how much came for an address today.
            models.Index(
                fields=["envelope_to", "received_at"], condition=models.Q(source="listener"), name="raw_report_today"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_source_display()} {self.pk}"


@dataclass(frozen=True, slots=True)
class SearchScope:
    """The raw reports that addresses were kept to be searched for in."""

    last_raw: int

    changed: ClassVar[str] = "The search is another one."


class RawSearch(models.Model):
    """A search for raw reports and other texts that name an erased person.

    The row, and the addresses in it, go when it is over.
    """

    emails = SecretField()  # A JSON list.
    searched_to = models.BigIntegerField(default=0, db_default=0)  # The last raw report that was searched.
    last_raw = models.BigIntegerField()  # The last one to search; 0: there was none.
    redacted_to = models.JSONField(default=dict)  # By the name of the model, the last row whose texts were redacted.
    created_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Search in raw reports up to {self.last_raw}"

    @property
    def destination(self) -> SearchScope:
        """The search that the addresses were sealed for."""
        return SearchScope(self.last_raw)


class Report(models.Model):
    """One event that a worker read in a raw report, the message that it belongs to, and what it did."""

    class State(models.TextChoices):
        APPLIED = "applied", _("Counted")  # It had its effect: ``feedback``.
        REPEATED = "repeated", _("Counted before")  # Another report said the same of this attempt.
        EARLY = "early", _("Waiting for the message")  # Its attempt is not on record yet; applied when it is.
        NOTED = "noted", _("Noted")  # It is nobody's feedback: of a test, a notice, an erased person.
        UNMATCHED = "unmatched", _("No message of ours")  # Nothing proves a message: no effect.
        UNREAD = "unread", _("Not understood")

    raw = models.ForeignKey(RawReport, null=True, on_delete=models.SET_NULL, related_name="reports")
    source = models.CharField(_("source"), max_length=8, choices=RawReport.Source)
    server = KeptKey(SmtpServer, related_name="+", verbose_name=_("server"))
    provider = models.CharField(_("provider"), max_length=32, blank=True)
    received_at = models.DateTimeField(_("date"), db_default=Now(), editable=False)
    happened_at = models.DateTimeField(null=True)  # As the report says.
    state = models.CharField(_("state"), max_length=12, choices=State)
    kind = models.CharField(_("kind"), max_length=16, choices=Feedback.Kind, blank=True)  # Empty: not understood.
    message = models.ForeignKey(
        Message, null=True, on_delete=models.SET_NULL, related_name="reports", db_constraint=False
    )
    attempt = models.PositiveSmallIntegerField(null=True)  # The number of the message's attempt.
    feedback = models.ForeignKey(Feedback, null=True, on_delete=models.SET_NULL, related_name="reports")
    recipient = models.CharField(_("recipient"), max_length=320, blank=True)  # As the report says: untrusted text.
    code = models.PositiveSmallIntegerField(null=True)
    enhanced = models.CharField(max_length=16, blank=True)
    text = models.CharField(_("reply"), max_length=600, blank=True)  # The diagnostic: untrusted text.
    rule = models.CharField(max_length=40, blank=True)  # The rule of mail.replies that judged it.
    reason = models.CharField(_("reason"), max_length=300, blank=True)  # Why it was counted so, or not at all.

    class Meta:
        ordering = ["-id"]
        verbose_name = _("reply")
        verbose_name_plural = _("replies")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["kind", "id"], name="report_kind"),  # The Replies page: the newest of a kind.
            models.Index(fields=["state", "id"], name="report_state"),  # The Replies page; early ones that may be due.
            models.Index(fields=["server", "id"], name="report_server"),  # The Replies page, by server.
            models.Index(fields=["recipient"], name="report_recipient"),  # Export and erasure of a person.
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"


class Seen(models.Model):
    """The fingerprint of an event that was counted, kept for good: a repetition counts nothing, however late."""

    fingerprint = models.BinaryField(max_length=32, primary_key=True)  # A keyed hash of the event's identity.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return bytes(self.fingerprint).hex()
