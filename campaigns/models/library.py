"""Tables for writing campaigns: media files, layouts, and the windows in which people edit a draft."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from campaigns.markup.frame import DEFAULT_ACCENT


class MediaFile(models.Model):
    """An uploaded picture or document. The file under its stored name never changes, because mails point to it."""

    class Kind(models.TextChoices):
        IMAGE = "image", _("Image")  # Shown in mails, linked by its URL or embedded in the message.
        DOCUMENT = "document", _("Document")  # Attached or linked. Browsers save a linked one and never show it.

    name = models.CharField(
        _("name"), max_length=150, help_text=_("The file name that recipients see, e.g. price-list.pdf.")
    )
    alt = models.CharField(
        _("alt text"),
        max_length=300,
        blank=True,
        help_text=_("Describes the image to people who can't see it. Leave empty for a decorative image."),
    )
    stored_name = models.CharField(max_length=64, unique=True, editable=False)  # Random; a file in the media folder.
    kind = models.CharField(max_length=8, choices=Kind, editable=False)
    content_type = models.CharField(max_length=100, editable=False)  # Derived from the content, never from the upload.
    size_bytes = models.PositiveIntegerField(editable=False)
    width = models.PositiveIntegerField(default=0, editable=False)  # In pixels; 0 for a document.
    height = models.PositiveIntegerField(default=0, editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(_("uploaded"), db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = _("file")
        verbose_name_plural = _("files")

    def __str__(self) -> str:
        return self.name


class Layout(models.Model):
    """The organisation's header and footer, placed around the content of campaigns."""

    name = models.CharField(
        _("name"), max_length=100, unique=True, help_text=_("Internal name. Recipients don't see it.")
    )
    is_default = models.BooleanField(_("default"), default=False, help_text=_("New campaigns start with this layout."))
    organisation = models.CharField(
        _("organisation"),
        max_length=150,
        blank=True,
        help_text=_("Shown in the header when there's no logo, and in the footer."),
    )
    logo = models.ForeignKey(
        MediaFile,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        limit_choices_to={"kind": "image"},
        verbose_name=_("logo"),
        help_text=_("Image from the library. A transparent PNG works in light and dark mode."),
    )
    logo_width = models.PositiveSmallIntegerField(_("logo width"), default=160, help_text=_("In pixels (16–560)."))
    home_url = models.URLField(
        _("home page"), max_length=300, blank=True, help_text=_("The page that the logo links to.")
    )
    header = models.CharField(_("tagline"), max_length=200, blank=True, help_text=_("One line below the logo."))
    footer = models.TextField(
        _("footer"), blank=True, max_length=4000, help_text=_("Written in Markdown. Merge fields work here.")
    )
    postal_address = models.TextField(
        _("postal address"),
        blank=True,
        max_length=500,
        help_text=_("Required by law in many countries. Leave empty to use the address in Settings."),
    )
    links = models.TextField(
        _("social links"),
        blank=True,
        max_length=2000,
        help_text=_("One link per line, name first, e.g. Mastodon https://example.social/@shop"),
    )
    accent = models.CharField(
        _("accent colour"),
        max_length=7,
        default=DEFAULT_ACCENT,
        validators=[RegexValidator(r"\A#[0-9a-fA-F]{6}\Z", _("Enter a colour like #2563eb."))],
        help_text=_("Used for links and buttons."),
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("layout")
        verbose_name_plural = _("layouts")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="one_default_layout"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Writing(models.Model):
    """A browser window in which somebody has a draft open; see :mod:`campaigns.forms.autosave`."""

    campaign = models.ForeignKey("campaigns.Campaign", on_delete=models.CASCADE, related_name="+")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    window = models.CharField(max_length=36)  # A random id that the page chooses.
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["campaign", "window"], name="one_writing_each")]

    def __str__(self) -> str:
        return f"{self.user}: {self.campaign}"
