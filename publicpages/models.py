"""The tables of the public pages: sign-ups, request counts, and the appearance."""

from django.conf import settings
from django.core.validators import URLValidator
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact

_WEB_ADDRESS = URLValidator(["https", "http"], message=_("Enter the full address, e.g. https://example.com/privacy."))


class SignUp(models.Model):
    """An entry on a public form, perhaps not by the person themselves; a worker processes it.

    The page that stores it does the same for every address, known or not, so that neither its answer nor its time
    reveals whether we know somebody. The token of the confirmation contains the row's number.
    """

    class Channel(models.TextChoices):
        PAGE = "page", _("Subscribe page")
        EMBEDDED = "embedded", _("Embedded form")
        JSON = "json", _("JSON")

    email = models.CharField(_("email"), max_length=320)
    first_name = models.CharField(max_length=150, blank=True)
    last_name = models.CharField(max_length=150, blank=True)
    language = models.CharField(max_length=16, choices=settings.LANGUAGES)  # Of the form and of our mail.
    choices = models.JSONField(default=list)  # [{"list": 7, "wording": "I agree …"}, …]
    tracking = models.JSONField(default=dict)  # What was ticked about opens and clicks: {"opens": "Count …"}.
    channel = models.CharField(max_length=16, choices=Channel)
    network = models.CharField(max_length=45, blank=True)  # The /24 or /48 of the request.
    contact = models.ForeignKey(Contact, null=True, on_delete=models.SET_NULL, related_name="+")
    made_contact = models.BooleanField(default=False)  # New contact: deleted with the entry if unconfirmed.
    received_at = models.DateTimeField()
    taken_at = models.DateTimeField(null=True)  # When a worker processed it.
    confirmed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-received_at"]
        indexes = [
            # The entries to process.
            models.Index(fields=["id"], condition=models.Q(taken_at=None), name="sign_up_waiting"),
            models.Index(fields=["received_at"], name="sign_up_by_age"),  # The expired entries.
        ]

    def __str__(self) -> str:
        return f"sign-up of {self.email}"


class RequestCount(models.Model):
    """The number of requests from one origin, or about one address, in one time window."""

    key = models.CharField(max_length=64)  # A keyed hash: no networks or addresses are stored for this.
    begins_at = models.DateTimeField()
    number = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key", "begins_at"], name="one_request_count_each")]
        indexes = [models.Index(fields=["begins_at"], name="request_count_by_age")]  # The windows that are over.

    def __str__(self) -> str:
        return f"{self.number} since {self.begins_at:%Y-%m-%d %H:%M}"


class Appearance(models.Model):
    """The organisation's details and colours on the public pages; one row."""

    name = models.CharField(
        _("organisation"), max_length=150, blank=True, help_text=_("Leave empty to use the organisation in Settings.")
    )
    accent = models.CharField(
        _("accent colour"),
        max_length=7,
        default="#7e22ce",
        help_text=_("For buttons and links, e.g. #7e22ce. Must be readable on white."),
    )
    logo = models.BinaryField(null=True, editable=False)
    logo_type = models.CharField(max_length=16, blank=True, editable=False)  # image/png, image/jpeg or image/webp
    postal_address = models.TextField(
        _("postal address"), max_length=500, blank=True, help_text=_("Leave empty to use the address in Settings.")
    )
    imprint_url = models.CharField(_("imprint"), blank=True, max_length=500, validators=[_WEB_ADDRESS])
    privacy_url = models.CharField(_("privacy policy"), blank=True, max_length=500, validators=[_WEB_ADDRESS])
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = verbose_name_plural = _("public pages")
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="one_appearance")]

    def __str__(self) -> str:
        return gettext("Public pages")
