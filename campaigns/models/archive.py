"""The public archive: its settings, and its campaigns without personal data."""

from django.db import models

MOST_SLUG = 80


class ArchiveSettings(models.Model):
    """The settings of the public archive: one row, changed by administrators."""

    is_on = models.BooleanField(
        "public archive",
        default=False,
        help_text="Finished campaigns that were put into it can be read by everybody. Off: its pages are not found.",
    )
    title = models.CharField(max_length=150, blank=True, help_text="Empty: the organisation’s name.")
    description = models.CharField(max_length=500, blank=True, help_text="Stands above the list and in the feed.")

    class Meta:
        verbose_name = "archive settings"
        verbose_name_plural = "archive settings"

    def __str__(self) -> str:
        return "The public archive is on." if self.is_on else "The public archive is off."


class ArchivedCampaign(models.Model):
    """A campaign as the public archive shows it.

    It is rendered once, without a recipient, so that no archive page reads a person's row.
    """

    campaign = models.OneToOneField("campaigns.Campaign", on_delete=models.CASCADE, related_name="archived")
    slug = models.SlugField(max_length=MOST_SLUG)
    subject = models.CharField(max_length=500)
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    sent_at = models.DateTimeField()
    published_at = models.DateTimeField()
    published_by_name = models.CharField(max_length=150)

    class Meta:
        ordering = ["-sent_at", "-pk"]
        indexes = [models.Index(fields=["-sent_at", "-id"], name="archive_newest_first")]

    def __str__(self) -> str:
        return self.subject
