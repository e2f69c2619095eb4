"""The settings that administrators save in the interface; one row. Empty fields leave it to the environment."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mail.links import levels


class SiteSettings(models.Model):
    """What administrators saved. A saved value wins over the environment's."""

    class TrackingLevel(models.TextChoices):
        """The most that is counted of opens and clicks, by the names of mail.links.levels."""

        OFF = levels.OFF, _("Off")
        ANONYMOUS = levels.ANONYMOUS, _("Anonymous")
        PERSONAL = levels.PERSONAL, _("Personal")

    organisation = models.CharField(
        _("organisation"),
        max_length=150,
        blank=True,
        help_text=_("Who sends your mail: in footers, on public pages and in alerts."),
    )
    postal_address = models.TextField(
        _("postal address"),
        max_length=500,
        blank=True,
        help_text=_("In the footer of campaigns. Required by law in many countries."),
    )
    time_zone = models.CharField(
        _("time zone"),
        max_length=64,
        blank=True,
        help_text=_("Zone of days in reports and of times on pages, e.g. Europe/Berlin. Servers keep their own."),
    )
    language = models.CharField(
        _("language"),
        max_length=16,
        blank=True,
        choices=settings.LANGUAGES,
        help_text=_("Language of mail and public pages when neither the contact nor the server has one."),
    )
    alert_address = models.CharField(
        _("alert address"),
        max_length=320,
        blank=True,
        help_text=_("Gets the alerts of servers without a Mail to. Leave empty to alert everyone with the role admin."),
    )
    tracking = models.CharField(
        _("opens and clicks"),
        max_length=9,
        blank=True,
        choices=TrackingLevel,
        help_text=_(
            "The most that any list or campaign may count. Personal counts people by name only if they agreed, as"
            " EU law asks (GDPR, ePrivacy Directive Art. 5(3))."
        ),
    )
    gateway_networks = models.TextField(
        _("gateway networks"),
        max_length=20_000,
        blank=True,
        help_text=_(
            "Opens and clicks from these networks count as a mail gateway's, as those from the shipped list do."
            " One network a line, e.g. 192.0.2.0/24. Notes follow a #."
        ),
    )

    class Meta:
        verbose_name = verbose_name_plural = _("organisation")

    def __str__(self) -> str:
        return gettext("Organisation")


class DemoData(models.Model):
    """What *Add demo data* made, until it is removed; at most one row."""

    made_at = models.DateTimeField()
    rows = models.JSONField()  # Fingerprints by label and key: {"contacts.contact": {"1": "a09b…"}}.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return "the demo data"
