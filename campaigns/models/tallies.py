"""Daily tallies: attempts counted by day, mailing, server, provider, outcome and rule.

:mod:`campaigns.reports.tally` fills them. Reports read these few rows instead of millions of attempts.
"""

from django.db import models


class Tally(models.Model):
    """The number of attempts of one day with the same outcome."""

    OTHER = ""  # Stands for every provider after the first few hundred of a mailing.

    day = models.DateField()  # In the site's time zone.
    mailing_id = models.BigIntegerField(default=0)  # 0: not of a campaign. No relation: figures outlive their mailing.
    server_name = models.CharField(max_length=100)
    provider = models.CharField(max_length=255)  # As named by :func:`delivery.content.recipient_domains.provider_of`.
    outcome = models.CharField(max_length=12)  # Of the attempt; ``suppressed`` if the message was never tried.
    rule = models.CharField(max_length=40)  # Of mail.replies, or why no attempt began; empty if accepted.
    number = models.PositiveIntegerField()

    class Meta:
        constraints = [
            # The order of the columns serves the figures of a campaign.
            models.UniqueConstraint(
                fields=["mailing_id", "day", "server_name", "provider", "outcome", "rule"], name="one_tally_row_each"
            )
        ]
        indexes = [models.Index(fields=["day"], name="tally_day")]  # The figures of a period.

    def __str__(self) -> str:
        return f"{self.day}: {self.number} {self.outcome} by {self.server_name} to {self.provider}"


class TallyMark(models.Model):
    """The last attempt that is counted: one row, changed in the same transaction as the tallies."""

    attempt_id = models.BigIntegerField(default=0)  # Every attempt up to this one is counted, and none after it.
    # On PostgreSQL a lower id may be committed after a higher one. No new attempt appears up to ``ceiling_id`` once
    # every transaction before ``ceiling_transaction`` has ended.
    ceiling_id = models.BigIntegerField(default=0)
    ceiling_transaction = models.BigIntegerField(default=0)
    counted_at = models.DateTimeField(null=True)  # The last time at which no attempt was left to count.
    held_since = models.DateTimeField(null=True)  # Since then an open transaction has kept newer attempts uncounted.

    def __str__(self) -> str:
        return f"counted up to {self.attempt_id}"


class DomainProvider(models.Model):
    """The mailbox provider of a domain, found by its MX records."""

    domain = models.CharField(max_length=255, unique=True)
    provider = models.CharField(max_length=255)
    asked_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["provider"], name="domain_of_provider")]  # The recipients at one provider.

    def __str__(self) -> str:
        return f"{self.domain} is at {self.provider}"
