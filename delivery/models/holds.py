"""What keeps mail back for a while: full providers, campaigns that go wrong, limits of our account."""

from django.db import models

from delivery.models.outbox import Mailing, Message
from smtpservers.models import SmtpServer


class ProviderHold(models.Model):
    """One server writes to one mail provider's domains no more, or only slowly, for a while.

    A provider is who receives mail for a domain (Google, Microsoft …), known by its MX; see
    :func:`delivery.content.recipient_domains.provider_of`. The row is kept a while after the hold, so that the next one
    is longer.
    """

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(max_length=255)
    reason = models.CharField(max_length=500)  # What was answered, without the recipient's address.
    placed_at = models.DateTimeField()
    until = models.DateTimeField()  # Nothing is begun before; then one message at a time, one more with each success.
    slow_until = models.DateTimeField(null=True)  # Until then it stays one at a time …
    per_minute = models.PositiveSmallIntegerField(null=True)  # … and no more than that many a minute.
    strikes = models.PositiveSmallIntegerField(default=1, db_default=1)  # Holds in a row; each lasts twice as long.

    class Meta:
        ordering = ["provider"]
        constraints = [models.UniqueConstraint(fields=["server", "provider"], name="one_hold_each")]

    def __str__(self) -> str:
        return f"{self.server} to {self.provider} until {self.until:%d %B %Y %H:%M}"


class StopTally(models.Model):
    """What a mailing's servers answered since it was last resumed; too bad a share of it stops the mailing.

    One row for each server, so that the workers of two servers do not wait for one another.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+")
    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    sent = models.PositiveIntegerField(default=0)  # Answered for good, whatever the answer.
    hard_bounces = models.PositiveIntegerField(default=0)
    content_failures = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "server"], name="one_tally_each")]

    def __str__(self) -> str:
        return f"{self.mailing} through {self.server}: {self.hard_bounces} of {self.sent} bounced"


class Refusal(models.Model):
    """An answer that gave no reason, kept for :mod:`delivery.outcomes.account_limits`."""

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+", db_index=False)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    number = models.PositiveSmallIntegerField()  # Of the attempt.
    alike = models.CharField(
        max_length=32
    )  # The same for answers that differ in numbers and addresses alone, and for lost ones.
    refused_at = models.DateTimeField()
    is_closing = models.BooleanField(default=False)  # A 421.
    is_content = models.BooleanField(default=False)  # Counted towards stopping the mailing for its content.
    is_in_row = models.BooleanField(default=True)  # The server has accepted nothing since.
    is_taken_back = models.BooleanField(default=False)  # It was about the account: nothing follows from it.

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="one_refusal_an_attempt")]
        indexes = [
            # Ending a row with an acceptance; what is to be looked at.
            models.Index(fields=["server"], condition=models.Q(is_in_row=True), name="refusal_in_row"),
            models.Index(fields=["server", "alike"], name="refusal_alike"),  # Who else got the same.
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} at {self.message}"
