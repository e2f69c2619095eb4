"""The public archive: its settings, and its campaigns without personal data."""

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

MOST_SLUG = 80


class ArchiveSettings(models.Model):
    """The settings of the public archive: one row, changed by administrators."""

    is_on = models.BooleanField(
        _("public archive"),
        default=False,
        help_text=_("On: everyone can read the campaigns in the archive. Off: its pages aren't found."),
    )
    title = models.CharField(
        _("title"), max_length=150, blank=True, help_text=_("Leave empty to use the organisation's name.")
    )
    description = models.CharField(
        _("description"), max_length=500, blank=True, help_text=_("Shown above the list and in the feed.")
    )

    class Meta:
        verbose_name = _("archive settings")
        verbose_name_plural = _("archive settings")

    def __str__(self) -> str:
        return gettext("The public archive is on.") if self.is_on else gettext("The public archive is off.")


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
