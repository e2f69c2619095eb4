"""Tables for writing campaigns: media files, layouts, and the windows in which people edit a draft."""

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models.functions import Now

from campaigns.markup.frame import DEFAULT_ACCENT


class MediaFile(models.Model):
    """An uploaded picture or document. The file under its stored name never changes, because mails point to it."""

    class Kind(models.TextChoices):
        IMAGE = "image", "picture"  # Shown in mails, linked by its URL or embedded in the message.
        DOCUMENT = "document", "document"  # Attached or linked. Browsers save a linked one and never show it.

    name = models.CharField(max_length=150, help_text="As recipients see it, with its ending.")
    alt = models.CharField(
        "description",
        max_length=300,
        blank=True,
        help_text="What the picture says, for people who do not see it. Empty: it is mere decoration.",
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
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at", "-pk"]
        verbose_name = "file"

    def __str__(self) -> str:
        return self.name


class Layout(models.Model):
    """The organisation's header and footer, placed around the content of campaigns."""

    name = models.CharField(max_length=100, unique=True, help_text="For you; recipients never see it.")
    is_default = models.BooleanField("default", default=False, help_text="New campaigns begin with it.")
    organisation = models.CharField(
        max_length=150, blank=True, help_text="Shown above without a logo, to who sees no pictures, and below."
    )
    logo = models.ForeignKey(
        MediaFile,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        limit_choices_to={"kind": "image"},
        help_text="A picture from the media library; PNG with a clear ground looks well in light and dark.",
    )
    logo_width = models.PositiveSmallIntegerField(default=160, help_text="In pixels, at most 560.")
    home_url = models.URLField("home page", max_length=300, blank=True, help_text="Where the logo leads.")
    header = models.CharField("line below the logo", max_length=200, blank=True)
    footer = models.TextField(blank=True, max_length=4000, help_text="Markdown; merge fields work.")
    postal_address = models.TextField(
        blank=True,
        max_length=500,
        help_text="Required by law in many countries. Leave empty to use the address in Settings.",
    )
    links = models.TextField(
        "social links",
        blank=True,
        max_length=2000,
        help_text="One a line, name and address: Mastodon https://example.social/@shop",
    )
    accent = models.CharField(
        "colour of links and buttons",
        max_length=7,
        default=DEFAULT_ACCENT,
        validators=[RegexValidator(r"\A#[0-9a-fA-F]{6}\Z", "Write a colour as #2563eb.")],
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
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
