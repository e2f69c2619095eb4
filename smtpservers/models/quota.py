"""The use of a server: quota periods, the ledger behind them, and the last hour and day."""

from django.db import models

from smtpservers.models.server import SmtpServer


class QuotaPeriod(models.Model):
    """One server's quota and use, from one month start day to the next; the unit is a recipient."""

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="periods")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()  # Exclusive.
    # A copy of the server's maximum, so that quota and use are compared on one row; None: no limit.
    quota = models.PositiveIntegerField(null=True)
    per_hour = models.PositiveIntegerField(null=True)  # Copies too; if one is set, lock RecentUse first.
    per_day = models.PositiveIntegerField(null=True)
    used = models.PositiveIntegerField(default=0)  # Accepted or unconfirmed.
    reserved = models.PositiveIntegerField(default=0)  # Claimed, not settled yet.

    class Meta:
        ordering = ["-starts_at"]
        constraints = [models.UniqueConstraint(fields=["server", "starts_at"], name="one_period_each")]

    def __str__(self) -> str:
        return f"{self.server} from {self.starts_at:%d %B %Y}: {self.used} of {self.quota or 'no limit'}"

    @property
    def room(self) -> int | None:
        """Units that may still be reserved; None: no limit. Never negative, even after the quota was lowered."""
        return None if self.quota is None else max(0, self.quota - self.used - self.reserved)


class UsageEntry(models.Model):
    """The ledger: units that one server used in a quarter of an hour; a changed period is recounted from it."""

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="usage")
    quarter_at = models.DateTimeField()  # The first instant of the quarter of an hour, UTC.
    units = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "quarter_at"], name="one_entry_each_quarter")]

    def __str__(self) -> str:
        return f"{self.server} {self.quarter_at:%Y-%m-%d %H:%M}: {self.units}"


class RecentUse(models.Model):
    """The use of a server in the last hour and day, for its caps, on one row: the lock of the server's account.

    A unit counts in the minute and the quarter of an hour in which its answer was recorded.
    """

    server = models.OneToOneField(SmtpServer, on_delete=models.CASCADE, related_name="recent_use")
    by_minute = models.JSONField(default=dict)  # Units of the last hour, by minute since 1970.
    by_quarter = models.JSONField(default=dict)  # Units of the last day, by quarter of an hour since 1970.

    def __str__(self) -> str:
        return f"{self.server}: {sum(self.by_quarter.values())} in the last day"
