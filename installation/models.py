"""The settings that administrators save in the interface; one row. Empty fields leave it to the environment."""

from django.conf import settings
from django.db import models


class SiteSettings(models.Model):
    """What administrators saved. A saved value wins over the environment's."""

    organisation = models.CharField(
        max_length=150, blank=True, help_text="Who sends your mail: in footers, on public pages and in alerts."
    )
    postal_address = models.TextField(
        max_length=500, blank=True, help_text="In the footer of campaigns. Required by law in many countries."
    )
    time_zone = models.CharField(
        max_length=64,
        blank=True,
        help_text="Zone of days in reports and of times on pages, e.g. Europe/Berlin. Servers keep their own.",
    )
    language = models.CharField(
        max_length=16,
        blank=True,
        choices=settings.LANGUAGES,
        help_text="Language of mail and public pages when neither the contact nor the server has one.",
    )
    alert_address = models.CharField(
        max_length=320,
        blank=True,
        help_text="Gets the alerts of servers without a Mail to. Leave empty to alert everyone with the role admin.",
    )

    class Meta:
        verbose_name = verbose_name_plural = "organisation"

    def __str__(self) -> str:
        return "Organisation"


class DemoData(models.Model):
    """What *Add demo data* made, until it is removed; at most one row."""

    made_at = models.DateTimeField()
    rows = models.JSONField()  # The keys of the rows, by label of their model: {"contacts.contact": [1, 2]}.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return "the demo data"
