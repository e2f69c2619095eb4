"""What operators ask for and are told: tests, incidents, notices."""

import datetime as dt

from django.conf import settings
from django.db import models

from delivery.models.outbox import Mailing, Message
from smtpservers.models import SmtpServer


class Trial(models.Model):
    """A test through one server: asked for on a page, made by a worker, and followed by the page until it has ended."""

    KEPT_FOR = dt.timedelta(days=1)  # Afterwards only the message and its attempt tell of it.

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    recipient = models.CharField(max_length=320)
    recipient_key = models.CharField(max_length=320)  # As Message.email_key: by it the person is found.
    with_copies = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    # When the worker that makes it was last heard of; None: no worker has taken it yet.
    seen_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    steps = models.JSONField(default=list)  # As delivery.operators.trials writes and reads them.
    is_sent = models.BooleanField(default=False)  # Whether the whole message is out; the answer may be missing.
    refusal = models.TextField(default="")  # Why it could not even be tried.
    message = models.ForeignKey(Message, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"Test through {self.server}"


class Incident(models.Model):
    """An answer a person should look at: a blocked server, a sender that fails authentication, a broken message."""

    SHOWN_FOR = dt.timedelta(days=7)

    key = models.CharField(max_length=100, unique=True)  # Server, kind and day: told once a day.
    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=40)  # As the rules of mail.replies.reply count: "sender-auth", "ip-reputation" …
    reason = models.CharField(max_length=500)  # What was answered, without the recipient's address.
    seen_at = models.DateTimeField()
    is_told = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["-seen_at"]
        indexes = [
            # Noticing: what the operators were not told yet.
            models.Index(fields=["id"], condition=models.Q(is_told=False), name="incident_untold"),
        ]

    def __str__(self) -> str:
        return f"{self.server}: {self.reason}"


class Notice(models.Model):
    """Something the operators were told; the key is unique, so that each event is told once."""

    class Kind(models.TextChoices):
        QUOTA = "quota", "quota"
        PAUSED = "paused", "paused"
        CERTIFICATE = "certificate", "certificate"
        INCIDENT = "incident", "incident"  # An answer that somebody should look at.
        FAILURES = "failures", "failures"  # Of a campaign, or of one single message.
        CAMPAIGN = "campaign", "campaign"  # One that a person must look at again.

    key = models.CharField(max_length=200, unique=True)  # Names the event, such as "paused 7 2026-11-23T03:00:00".
    kind = models.CharField(max_length=16, choices=Kind)
    server = models.ForeignKey(SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+")
    about = models.ForeignKey(Mailing, null=True, on_delete=models.CASCADE, related_name="+")  # Whose failures.
    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+")  # That tells it.
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["about", "server"], name="notice_about")]  # When a digest was sent last.

    def __str__(self) -> str:
        return self.key
