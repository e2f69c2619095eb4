"""Tests that operators ask for, and the incidents and notices that they are told of."""

import datetime as dt

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from delivery.models.outbox import Mailing, Message
from smtpservers.models import SmtpServer
from words.texts import told


class Trial(models.Model):
    """A send test through one server: requested on a page, run by a worker, and watched by the page until its end."""

    KEPT_FOR = dt.timedelta(days=1)  # Afterwards only the message and its attempt remain.

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    recipient = models.CharField(max_length=320)
    recipient_key = models.CharField(max_length=320)  # Like Message.email_key, to find the person.
    with_copies = models.BooleanField(default=False)
    # The content, opened when the test was asked for; None: a few words of the product's own.
    mailing = models.ForeignKey(Mailing, null=True, on_delete=models.CASCADE, related_name="+")
    merge = models.JSONField(null=True)  # The values of its merge fields.
    batch = models.CharField(max_length=32, default="", db_default="")  # Of tests that were asked for together …
    position = models.PositiveSmallIntegerField(default=0, db_default=0)  # … and its place among them.
    created_at = models.DateTimeField()
    # The last heartbeat of the worker that runs it; None: no worker has taken it yet.
    seen_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    steps = models.JSONField(default=list)  # Written and read by delivery.operators.trials.
    is_sent = models.BooleanField(default=False)  # Whether the whole message was transmitted, with or without a reply.
    refusal = models.TextField(default="")  # Why the test could not start.
    refusal_words = models.JSONField(null=True)  # The same, by words.texts.kept.
    message = models.ForeignKey(Message, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"Test through {self.server}"

    @property
    def refusal_text(self) -> str:
        """Why the test could not start, which an edge can translate if its words were kept."""
        return told(self.refusal, self.refusal_words)


class Incident(models.Model):
    """A reply that a person should look at: a blocked server, failed sender authentication, a broken message."""

    SHOWN_FOR = dt.timedelta(days=7)

    key = models.CharField(max_length=100, unique=True)  # Server, kind and day, so that it is told once a day.
    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=40)  # From the rules of mail.replies.reply: "sender-auth", "ip-reputation" …
    reason = models.CharField(max_length=500)  # The reply, without the recipient's address.
    seen_at = models.DateTimeField()
    is_told = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["-seen_at"]
        indexes = [
            # Incidents that the operators were not told of yet.
            models.Index(fields=["id"], condition=models.Q(is_told=False), name="incident_untold"),
        ]

    def __str__(self) -> str:
        return f"{self.server}: {self.reason}"


class Notice(models.Model):
    """A notice that was sent to the operators. The key is unique, so that each event is told once."""

    class Kind(models.TextChoices):
        QUOTA = "quota", _("quota")
        PAUSED = "paused", _("paused")
        CERTIFICATE = "certificate", _("certificate")
        INCIDENT = "incident", _("incident")  # A reply that a person should look at.
        FAILURES = "failures", _("failures")  # Failures of a campaign, or of a transactional message.
        DOMAIN = "domain", _("domain")  # What DNS says of a sending domain broke, or is good again.
        CAMPAIGN = "campaign", _("campaign")  # A campaign that a person must look at again.
        MAILBOX = "mailbox", _("mailbox")  # A mailbox that cannot be read, or is somebody's.
        FORWARD = "forward", _("forwarded mail")  # Mail to postmaster, abuse or a report address.

    key = models.CharField(max_length=200, unique=True)  # Names the event, such as "paused 7 2026-11-23T03:00:00".
    kind = models.CharField(max_length=16, choices=Kind)
    server = models.ForeignKey(SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+")
    about = models.ForeignKey(Mailing, null=True, on_delete=models.CASCADE, related_name="+")  # With the failures.
    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+")  # The notice itself.
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["about", "server"], name="notice_about")]  # The time of the last digest.

    def __str__(self) -> str:
        return self.key
