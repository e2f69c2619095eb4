"""Stored counts of messages and attempts, so that no page has to count rows."""

from django.db import models

from delivery.models.outbox import Mailing


class StatusCount(models.Model):
    """The number of a mailing's messages with a status, kept by triggers of :mod:`delivery.outbox.status_counts`.

    The count is the sum of the rows of a mailing, status and kind. On PostgreSQL each statement that changes messages
    adds rows, so that no writer waits for another's count. A task merges these rows now and then.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="status_counts", db_index=False)
    status = models.CharField(max_length=12)
    is_copy = models.BooleanField()
    number = models.IntegerField()  # A change may be negative.
    is_sum = models.BooleanField()  # False: the change made by one statement.

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mailing", "status", "is_copy"], condition=models.Q(is_sum=True), name="one_status_sum_each"
            )
        ]
        indexes = [
            models.Index(fields=["mailing"], name="status_count_mailing"),  # Progress; finished mailings.
            models.Index(fields=["mailing"], condition=models.Q(is_sum=False), name="status_count_loose"),  # Tidying.
        ]

    def __str__(self) -> str:
        return f"{self.mailing}: {self.number} {self.status}"


class MailingOutcome(models.Model):
    """The number of a mailing's attempts by server, minute and outcome, for a campaign's servers and sending rate."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+", db_index=False)
    server_name = models.CharField(max_length=100)
    minute_at = models.DateTimeField()
    outcome = models.CharField(max_length=12)
    number = models.PositiveIntegerField()
    first_at = models.DateTimeField()  # When the first of these attempts was recorded.

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mailing", "minute_at", "server_name", "outcome"], name="one_mailing_outcome_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.mailing} through {self.server_name}: {self.number} {self.outcome}"


class ServerOutcome(models.Model):
    """The number of all attempts by server, quarter of an hour and outcome, for the days on the dashboard."""

    LATE = "late"  # Counted as accepted before, and reported as bounced or failed in this quarter of an hour.

    quarter_at = models.DateTimeField()
    server_name = models.CharField(max_length=100)
    outcome = models.CharField(max_length=12)
    number = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["quarter_at", "server_name", "outcome"], name="one_server_outcome_each")
        ]

    def __str__(self) -> str:
        return f"{self.server_name} {self.quarter_at:%Y-%m-%d %H:%M}: {self.number} {self.outcome}"


class ScoreCount(models.Model):
    """The number of messages of one day with the same fate, for scorecards; see :mod:`delivery.outcomes.scorecard`."""

    OTHER = ""  # Stands for every provider after the first few hundred of a day.

    day = models.DateField()  # The UTC day of the attempt, also where the outcome became known later.
    server_id = models.BigIntegerField(default=0)  # 0: unknown. No relation: counts outlive their server.
    from_domain = models.CharField(max_length=255, blank=True)
    provider = models.CharField(max_length=255, blank=True)  # As in :class:`campaigns.models.Tally`.
    kind = models.CharField(max_length=16)  # ``accepted``, ``delivered``, or a kind of feedback such as ``hard``.
    number = models.PositiveIntegerField()

    class Meta:
        constraints = [
            # The order of the columns serves the scorecard of a server and a period.
            models.UniqueConstraint(
                fields=["server_id", "day", "from_domain", "provider", "kind"], name="one_score_count_each"
            )
        ]
        # The rate of complaints about a From domain, across servers.
        indexes = [models.Index(fields=["day", "from_domain"], name="score_count_day")]

    def __str__(self) -> str:
        return f"{self.day}: {self.number} {self.kind} of {self.from_domain} at {self.provider}"
