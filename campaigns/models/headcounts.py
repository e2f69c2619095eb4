"""Headcounts: sizes of large audiences, which a worker counts because a page cannot wait for them."""

from django.db import models

from campaigns.models.campaign import Campaign


class Headcount(models.Model):
    """One or more numbers of a large audience, counted by a worker and kept for some minutes."""

    key = models.CharField(max_length=64, unique=True)  # A hash of the audience and of the kind of number.
    found = models.JSONField()
    counted_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"Counted on {self.counted_at:%d %B %Y %H:%M}"


class HeadcountRequest(models.Model):
    """A page's request to count a large audience: the one of a campaign, or the one chosen in a form."""

    key = models.CharField(max_length=80, unique=True)  # One request per audience, even if many pages wait.
    campaign = models.ForeignKey(Campaign, null=True, on_delete=models.CASCADE, related_name="+")
    audience = models.JSONField(default=dict)  # Used if there is no campaign.
    asked_at = models.DateTimeField()
    attempts = models.PositiveSmallIntegerField(default=0)
    leased_until = models.DateTimeField(null=True)  # The lease of the worker that counts it.

    def __str__(self) -> str:
        return f"Count {self.campaign or 'an audience'}"
