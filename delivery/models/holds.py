"""Reasons to hold mail back for a while: provider holds, bad results of a mailing, limits of our account."""

from django.db import models

from delivery.models.outbox import Mailing, Message
from smtpservers.models import SmtpServer


class ProviderHold(models.Model):
    """A pause or throttle of one server's mail to one mailbox provider.

    A provider receives the mail of a domain (Google, Microsoft …) and is known by its MX; see
    :func:`delivery.content.recipient_domains.provider_of`. The row outlives the hold for a while, so that the next hold
    is longer.
    """

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(max_length=255)
    reason = models.CharField(max_length=500)  # The reply, without the recipient's address.
    placed_at = models.DateTimeField()
    until = models.DateTimeField()  # No message starts before. Then one at a time, and one more with each success.
    slow_until = models.DateTimeField(null=True)  # Until this instant it stays one message at a time …
    per_minute = models.PositiveSmallIntegerField(null=True)  # … and at most this many a minute.
    strikes = models.PositiveSmallIntegerField(default=1, db_default=1)  # Holds in a row. Each lasts twice as long.

    class Meta:
        ordering = ["provider"]
        constraints = [models.UniqueConstraint(fields=["server", "provider"], name="one_hold_each")]

    def __str__(self) -> str:
        return f"{self.server} to {self.provider} until {self.until:%d %B %Y %H:%M}"


class StopTally(models.Model):
    """Counts of a mailing's results since it was last resumed. Too many bad ones stop the mailing.

    One row per server, so that the workers of two servers do not wait for each other.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+")
    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    sent = models.PositiveIntegerField(default=0)  # Messages with a final result, good or bad.
    hard_bounces = models.PositiveIntegerField(default=0)
    content_failures = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "server"], name="one_tally_each")]

    def __str__(self) -> str:
        return f"{self.mailing} through {self.server}: {self.hard_bounces} of {self.sent} bounced"


class Refusal(models.Model):
    """A reply without a reason, kept for :mod:`delivery.outcomes.account_limits`."""

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+", db_index=False)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    number = models.PositiveSmallIntegerField()  # The number of the attempt.
    # A key that replies share if they differ only in numbers and addresses; lost replies share one, too.
    alike = models.CharField(max_length=32)
    refused_at = models.DateTimeField()
    is_closing = models.BooleanField(default=False)  # A 421.
    is_content = models.BooleanField(default=False)  # Counted as a content failure of the mailing.
    is_in_row = models.BooleanField(default=True)  # The server has accepted nothing since.
    is_taken_back = models.BooleanField(default=False)  # It was about the account, so its consequences were undone.

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="one_refusal_an_attempt")]
        indexes = [
            # The refusals in a row, to judge them, and to end the row at an acceptance.
            models.Index(fields=["server"], condition=models.Q(is_in_row=True), name="refusal_in_row"),
            models.Index(fields=["server", "alike"], name="refusal_alike"),  # Other messages with the same reply.
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} at {self.message}"


class UnreachableDomain(models.Model):
    """A domain of recipients that does not exist or takes no mail, as DNS said; see delivery.outcomes."""

    domain = models.CharField(max_length=255, unique=True)
    kind = models.CharField(max_length=16)
    found_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.domain
