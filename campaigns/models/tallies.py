"""What is stored of the figures: attempts counted by day, campaign, server, provider and answer.

Filled by :mod:`campaigns.reports.tally`; pages read these few rows in place of millions of attempts.
"""

from django.db import models


class Tally(models.Model):
    """How many attempts of one day ended alike."""

    OTHER = ""  # The provider of those that came after the first few hundred of a mailing.

    day = models.DateField()  # In the site's time zone.
    mailing_id = models.BigIntegerField(default=0)  # Zero: no campaign's. No relation: figures outlive their mailing.
    server_name = models.CharField(max_length=100)
    provider = models.CharField(max_length=255)  # As :func:`delivery.content.recipient_domains.provider_of` calls it.
    outcome = models.CharField(max_length=12)  # Of the attempt; ``suppressed`` where none was begun.
    rule = models.CharField(max_length=40)  # Of mail.replies.reply; empty for what was accepted.
    number = models.PositiveIntegerField()

    class Meta:
        constraints = [
            # Its order serves the figures of a campaign.
            models.UniqueConstraint(
                fields=["mailing_id", "day", "server_name", "provider", "outcome", "rule"], name="one_tally_row_each"
            )
        ]
        indexes = [models.Index(fields=["day"], name="tally_day")]  # The figures of a period.

    def __str__(self) -> str:
        return f"{self.day}: {self.number} {self.outcome} by {self.server_name} to {self.provider}"


class TallyMark(models.Model):
    """How far the attempts are counted: one row, changed in the same transaction as the tallies."""

    attempt_id = models.BigIntegerField(default=0)  # Every attempt up to here is counted, none beyond.
    # On PostgreSQL a lower number may be committed after a higher one. Up to here nothing comes any more once every
    # transaction before that one has ended.
    ceiling_id = models.BigIntegerField(default=0)
    ceiling_transaction = models.BigIntegerField(default=0)
    counted_at = models.DateTimeField(null=True)  # When nothing was left to count.
    held_since = models.DateTimeField(null=True)  # Since when an open transaction keeps newer ones from being counted.

    def __str__(self) -> str:
        return f"counted up to {self.attempt_id}"


class DomainProvider(models.Model):
    """Who receives mail for a domain, as its MX said."""

    domain = models.CharField(max_length=255, unique=True)
    provider = models.CharField(max_length=255)
    asked_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["provider"], name="domain_of_provider")]  # The recipients at one provider.

    def __str__(self) -> str:
        return f"{self.domain} is at {self.provider}"
