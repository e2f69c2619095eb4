"""A campaign, and the copy of its content that is frozen when somebody queues it."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from campaigns.models.library import Layout, MediaFile
from contacts.models import ContactList
from delivery.models import Mailing


class Campaign(models.Model):
    """A mail to many people: its content, audience and schedule."""

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SCHEDULED = (
            "scheduled",
            _("Scheduled"),
        )  # Queued by a person, its content frozen. The worker starts it when due.
        SENDING = "sending", _("Sending")
        PAUSED = "paused", _("Paused")
        FINISHED = "finished", _("Sent")  # Every message has a final status; some may have bounced.
        CANCELLED = "cancelled", _("Cancelled")

    UNFINISHED = (Status.DRAFT, Status.SCHEDULED, Status.SENDING, Status.PAUSED)  # Mail may still leave.

    class Start(models.TextChoices):
        NOW = "now", _("Right away")
        AT = "at", _("At a set time")
        LOCAL = "local", _("At a set time in each recipient's time zone")

    class Markup(models.TextChoices):
        """Each value is also the name of the field with the text in that format. Only the chosen one is sent."""

        HTML = "html", "HTML"
        MARKDOWN = "markdown", "Markdown"
        MJML = "mjml", "MJML"

    name = models.CharField(
        _("name"), max_length=150, unique=True, help_text=_("Internal name. Recipients don't see it.")
    )
    subject = models.CharField(
        _("subject"),
        max_length=300,
        help_text=_('Merge fields work here, e.g. {{ first_name | default: "friend" }}.'),
    )
    mail_from = models.CharField(
        _("from"),
        max_length=400,
        blank=True,
        help_text=_("Name and address, e.g. Example Shop <news@example.com>. Leave empty to use each server's own."),
    )
    reply_to = models.CharField(
        _("reply to"),
        max_length=400,
        blank=True,
        help_text=_("Where replies go. Leave empty to use the From address."),
    )
    preheader = models.CharField(
        _("preheader"),
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text=_("Preview text shown after the subject. Leave empty to use the first words of the message."),
    )
    markup = models.CharField(_("format"), max_length=8, choices=Markup, default=Markup.HTML, db_default=Markup.HTML)
    html = models.TextField("HTML", blank=True)
    markdown = models.TextField("Markdown", blank=True, default="", db_default="")
    mjml = models.TextField("MJML", blank=True, default="", db_default="")
    layout = models.ForeignKey(
        Layout,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("layout"),
        help_text=_("Header and footer around the content. Leave empty for none."),
    )
    embeds_images = models.BooleanField(
        _("embed images"),
        default=False,
        db_default=False,
        help_text=_("On: images show immediately but messages are larger. Off: images load from this site."),
    )
    attachments: "models.ManyToManyField[MediaFile, models.Model]" = models.ManyToManyField(
        MediaFile,
        blank=True,
        related_name="+",
        verbose_name=_("attachments"),
        help_text=_("Files from the media library, sent with every message."),
    )
    # Grows with every change of the content, so that nobody overwrites a change that they have not seen.
    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)
    text = models.TextField(_("text"), blank=True, help_text=_("Leave empty to create it from the HTML."))
    lists: "models.ManyToManyField[ContactList, models.Model]" = models.ManyToManyField(
        ContactList,
        blank=True,
        related_name="+",
        verbose_name=_("lists"),
        help_text=_("Everyone subscribed to at least one of these lists gets one message."),
    )
    # Ids under "segments", "consent_lists", "excluded_lists" and "excluded_segments"; see campaigns.audience.audience.
    # Not relations: deleting an excluded segment must not turn "all but these" into "all".
    audience = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    # A list and not a relation: deleting the last server named here must not turn "only this one" into "all".
    server_ids = models.JSONField(
        _("servers"),
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
    )
    sends_copies = models.BooleanField(
        _("send copies"),
        default=True,
        help_text=_(
            "Sends every message to the servers' CC and BCC addresses too. Each copy counts towards the quota."
        ),
    )
    confirms_copies = models.BooleanField(
        _("yes, send these copies"),
        default=False,
        help_text=_("Required when more than 100 messages are copied."),
    )
    is_tagged = models.BooleanField(_("add UTM codes"), default=True, help_text=_("Adds UTM codes to all links."))
    utm_source = models.CharField(_("UTM source"), max_length=150, blank=True)
    utm_medium = models.CharField(_("UTM medium"), max_length=150, blank=True)
    utm_campaign = models.CharField(_("UTM campaign"), max_length=150, blank=True)
    utm_term = models.CharField(_("UTM term"), max_length=150, blank=True)
    utm_content = models.CharField(_("UTM content"), max_length=150, blank=True)
    tracking = models.CharField(
        _("count opens and clicks"),
        max_length=9,
        blank=True,
        default="",
        db_default="",
        choices=ContactList.Tracking,
        help_text=_(
            "Lowers the level of the lists, never raises it: Personal still counts an anonymous list anonymously."
            " People who haven't agreed are never counted by name. Leave empty to count as the lists say."
        ),
    )
    track_text = models.BooleanField(
        _("count text links"),
        default=False,
        db_default=False,
        help_text=_("On: links in the text part become long and unreadable. Off: only links in the HTML count."),
    )
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.DRAFT, editable=False)
    # The schedule as a person entered it on the review page. Wall times are in ``time_zone``.
    start = models.CharField(
        max_length=8,
        choices=Start,
        default=Start.NOW,
        db_default=Start.NOW,
        editable=False,
    )
    start_wall = models.CharField(max_length=16, blank=True, db_default="", editable=False)  # "2026-11-24T09:00".
    time_zone = models.CharField(max_length=64, blank=True, db_default="", editable=False)  # Empty: the site's.
    not_after = models.DateTimeField(null=True, editable=False)  # Unsent messages expire at this time.
    window_days = models.JSONField(  # 0 is Monday; empty: every day.
        default=list, db_default=models.Value([], models.JSONField()), editable=False
    )
    window_opens = models.TimeField(null=True, editable=False)  # Both empty: the whole day.
    window_closes = models.TimeField(null=True, editable=False)  # Not later than the opening: on the next day.
    starts_at = models.DateTimeField(null=True, editable=False)  # The earliest time at which the worker starts it.
    # The start was missed by a long time: nothing starts until a person says that the campaign is still wanted.
    is_overdue = models.BooleanField(default=False, db_default=False, editable=False)
    is_closed = models.BooleanField(default=False, db_default=False, editable=False)  # ``not_after`` has passed.
    # Queued before its large audience was counted: nothing leaves until the worker has run the preflight checks.
    is_unreviewed = models.BooleanField(default=False, db_default=False, editable=False)
    # Why a queued campaign became a draft again. Empty once it is queued again.
    returned_reason = models.CharField(max_length=600, blank=True, db_default="", editable=False)
    # Failed starts in a row that stopped at ``start_reached``, and the lease of the worker that is starting it now.
    start_attempts = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    start_reached = models.BigIntegerField(default=0, db_default=0, editable=False)
    start_leased_until = models.DateTimeField(null=True, editable=False)
    mailing = models.OneToOneField(Mailing, null=True, editable=False, on_delete=models.PROTECT, related_name="+")
    queued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("campaign")
        verbose_name_plural = _("campaigns")
        ordering = ["-created_at"]
        permissions = [
            (
                "queue_campaign",
                "Can queue and cancel campaigns, and send tests of them",
            ),
            ("pause_campaign", "Can pause and resume campaigns"),
            ("view_progress", "Can see the progress of campaigns, no personal data"),
            ("approve_campaign", "Can approve or reject campaigns of others"),
            (
                "override_check",
                "Can override a check that keeps a campaign from being queued",
            ),
        ]

    # Set on an unsaved copy that shows one variant of the A/B test; see campaigns.ab_test.variants.
    letter = ""

    def __str__(self) -> str:
        return self.name

    @property
    def is_testing(self) -> bool:
        """Whether its A/B test is on its way or sent, and everyone else waits for the winner."""
        test = getattr(self, "experiment", None) if self.status == self.Status.SENDING else None
        return test is not None and test.waits_for_winner

    @property
    def status_word(self) -> str:
        """Its status as pages say it, in a word. The stored one has no value for a test."""
        return gettext("Testing") if self.is_testing else self.get_status_display()


class FrozenContent(models.Model):
    """The content of a campaign when it was queued. Its mailings are made from this copy, despite later edits."""

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="frozen")
    version = models.CharField(max_length=64)  # As in :class:`Approval`; an approval of the version is of this content.
    audience = models.JSONField()  # The conditions of the audience. The people are found at the start.
    contents = models.JSONField()  # By the variant's letter, "" without a test; see campaigns.content.frozen.
    frozen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.campaign}, as queued on {self.frozen_at:%d %B %Y %H:%M}"
