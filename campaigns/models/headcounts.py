"""Numbers of large audiences, which a worker counts."""

from django.db import models

from campaigns.models.campaign import Campaign


class Headcount(models.Model):
    """A number of a large audience, or several, that a worker has counted; kept for a while."""

    key = models.CharField(max_length=64, unique=True)  # What was counted, and of whom, as a hash.
    found = models.JSONField()
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Counted on {self.counted_at:%d %B %Y %H:%M}"


class HeadcountRequest(models.Model):
    """A page waits until a large audience is counted: that of a campaign, or the one that is ticked in a form."""

    key = models.CharField(max_length=80, unique=True)  # One request for one audience, however many pages wait.
    campaign = models.ForeignKey(Campaign, null=True, on_delete=models.CASCADE, related_name="+")
    audience = models.JSONField(default=dict)  # Where there is no campaign.
    asked_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)  # A worker counts, and is left alone until then.

    def __str__(self) -> str:
        return f"Count {self.campaign or 'an audience'}"
