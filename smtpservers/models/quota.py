"""What a server has used: its periods of quota, the ledger behind them, and the last hour and day."""

from django.db import models

from smtpservers.models.server import SmtpServer


class QuotaPeriod(models.Model):
    """One server's allowance and use from one month start day to the next; the unit is a recipient."""

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="periods")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()  # Exclusive.
    # A copy of the server's maximum, so that quota and use are compared on one row; None: no limit.
    quota = models.PositiveIntegerField(null=True)
    per_hour = models.PositiveIntegerField(null=True)  # Copies, too: who finds one here takes the server's lock first.
    per_day = models.PositiveIntegerField(null=True)
    used = models.PositiveIntegerField(default=0)  # Accepted or unconfirmed.
    reserved = models.PositiveIntegerField(default=0)  # Claimed, and not yet settled.

    class Meta:
        ordering = ["-starts_at"]
        constraints = [models.UniqueConstraint(fields=["server", "starts_at"], name="one_period_each")]

    def __str__(self) -> str:
        return f"{self.server} from {self.starts_at:%d %B %Y}: {self.used} of {self.quota or 'no limit'}"

    @property
    def room(self) -> int | None:
        """Units that may still be reserved; None without a limit. Never negative, also after the quota was lowered."""
        return None if self.quota is None else max(0, self.quota - self.used - self.reserved)


class UsageEntry(models.Model):
    """The ledger: units one server used in one quarter of an hour, so that a changed period is recounted from it."""

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="usage")
    quarter_at = models.DateTimeField()  # The first instant of the quarter of an hour, UTC.
    units = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "quarter_at"], name="one_entry_each_quarter")]

    def __str__(self) -> str:
        return f"{self.server} {self.quarter_at:%Y-%m-%d %H:%M}: {self.units}"


class RecentUse(models.Model):
    """What a server used in the last hour and day, for its caps, on one row: the lock of the server's account.

    A unit is counted in the minute and the quarter of an hour that its answer was recorded in.
    """

    server = models.OneToOneField(SmtpServer, on_delete=models.CASCADE, related_name="recent_use")
    by_minute = models.JSONField(default=dict)  # Units by the minutes since 1970, of the last hour.
    by_quarter = models.JSONField(default=dict)  # Units by the quarters of an hour since 1970, of the last day.

    def __str__(self) -> str:
        return f"{self.server}: {sum(self.by_quarter.values())} in the last day"
