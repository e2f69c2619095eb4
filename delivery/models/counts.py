"""Figures that are kept, so that no page counts messages."""

from django.db import models

from delivery.models.outbox import Mailing


class StatusCount(models.Model):
    """How many messages of a mailing have a status, kept by triggers of :mod:`delivery.outbox.status_counts`.

    Rows of one mailing, status and kind are added up. On PostgreSQL each statement that changes messages leaves rows of
    its own, so that nobody waits for another's count; now and then they are put together.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="status_counts", db_index=False)
    status = models.CharField(max_length=12)
    is_copy = models.BooleanField()
    number = models.IntegerField()  # May be negative where it is a change.
    is_sum = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mailing", "status", "is_copy"], condition=models.Q(is_sum=True), name="one_status_sum_each"
            )
        ]
        indexes = [
            models.Index(fields=["mailing"], name="status_count_mailing"),  # Progress; what is finished.
            models.Index(fields=["mailing"], condition=models.Q(is_sum=False), name="status_count_loose"),  # Tidying.
        ]

    def __str__(self) -> str:
        return f"{self.mailing}: {self.number} {self.status}"


class MailingOutcome(models.Model):
    """How many attempts of a campaign ended in which way, by server and minute: its share by server, and its rate."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+", db_index=False)
    server_name = models.CharField(max_length=100)
    minute_at = models.DateTimeField()
    outcome = models.CharField(max_length=12)
    number = models.PositiveIntegerField()
    first_at = models.DateTimeField()  # When the first of them was recorded.

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mailing", "minute_at", "server_name", "outcome"], name="one_mailing_outcome_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.mailing} through {self.server_name}: {self.number} {self.outcome}"


class ServerOutcome(models.Model):
    """How many attempts of any mailing ended in which way, by server and quarter of an hour: the dashboard's days."""

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
