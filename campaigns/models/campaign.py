"""A campaign, and the copy of its content that is frozen when somebody queues it."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from campaigns.models.library import Layout, MediaFile
from contacts.models import ContactList
from delivery.models import Mailing


class Campaign(models.Model):
    """A mail to many people: its content, audience and schedule."""

    class Status(models.TextChoices):
        DRAFT = "draft", "draft"
        SCHEDULED = "scheduled", "scheduled"  # Queued by a person, its content frozen. The worker starts it when due.
        SENDING = "sending", "sending"
        PAUSED = "paused", "paused"
        FINISHED = "finished", "finished"
        CANCELLED = "cancelled", "cancelled"

    UNFINISHED = (Status.DRAFT, Status.SCHEDULED, Status.SENDING, Status.PAUSED)  # Mail may still leave.

    class Start(models.TextChoices):
        NOW = "now", "as soon as it is queued"
        AT = "at", "at a time"
        LOCAL = "local", "at each recipient’s local time"

    class Markup(models.TextChoices):
        HTML = "html", "HTML"  # Stored in ``html``.
        MARKDOWN = "markdown", "Markdown"  # Stored in ``source``, as is MJML.
        MJML = "mjml", "MJML"

    name = models.CharField(max_length=150, unique=True, help_text="For you; recipients never see it.")
    subject = models.CharField(
        max_length=300,
        help_text='Merge fields work here: {{ first_name | default: "friend" }}.',
    )
    mail_from = models.CharField(
        "from",
        max_length=400,
        blank=True,
        help_text="Name and address, for example Example Shop <news@example.com>. Empty: each server's own.",
    )
    reply_to = models.CharField(
        "reply to",
        max_length=400,
        blank=True,
        help_text="Where answers go. Empty: to From.",
    )
    preheader = models.CharField(
        max_length=200,
        blank=True,
        default="",
        db_default="",
        help_text="Mail programs show it beside the subject. Empty: the first words of the content.",
    )
    markup = models.CharField("written in", max_length=8, choices=Markup, default=Markup.HTML, db_default=Markup.HTML)
    html = models.TextField("HTML", blank=True)
    source = models.TextField("Markdown or MJML", blank=True, default="", db_default="")
    layout = models.ForeignKey(
        Layout,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        help_text="Header and footer around the content. Empty: none.",
    )
    embeds_images = models.BooleanField(
        "pictures travel inside the message",
        default=False,
        db_default=False,
        help_text="They show at once and make each message larger. Off: mail programs load them from this site.",
    )
    attachments: "models.ManyToManyField[MediaFile, models.Model]" = models.ManyToManyField(
        MediaFile, blank=True, related_name="+", help_text="Sent with every message, from the media library."
    )
    # Grows with every change of the content, so that nobody overwrites a change that they have not seen.
    version = models.PositiveIntegerField(default=1, db_default=1, editable=False)
    text = models.TextField(blank=True, help_text="Empty: made from the HTML.")
    lists: "models.ManyToManyField[ContactList, models.Model]" = models.ManyToManyField(
        ContactList,
        blank=True,
        related_name="+",
        help_text="Everyone subscribed to one of them gets one message.",
    )
    # Ids under "segments", "consent_lists", "excluded_lists" and "excluded_segments"; see campaigns.audience.audience.
    # Not relations: deleting an excluded segment must not turn "all but these" into "all".
    audience = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    # A list and not a relation: deleting the last server named here must not turn "only this one" into "all".
    server_ids = models.JSONField(
        "servers",
        default=list,
        db_default=models.Value([], models.JSONField()),
        blank=True,
    )
    sends_copies = models.BooleanField(
        "send copies",
        default=True,
        help_text="To the CC and BCC addresses of the servers: one more message, and one more unit of quota, for each"
        " recipient and address.",
    )
    confirms_copies = models.BooleanField(
        "copies are meant",
        default=False,
        help_text="Needed for copies of more than 100 messages.",
    )
    is_tagged = models.BooleanField("tag links with UTM codes", default=True)
    utm_source = models.CharField("UTM source", max_length=150, blank=True)
    utm_medium = models.CharField("UTM medium", max_length=150, blank=True)
    utm_campaign = models.CharField("UTM campaign", max_length=150, blank=True)
    utm_term = models.CharField("UTM term", max_length=150, blank=True)
    utm_content = models.CharField("UTM content", max_length=150, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.DRAFT, editable=False)
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


class FrozenContent(models.Model):
    """The content of a campaign when it was queued. Its mailings are made from this copy, despite later edits."""

    campaign = models.OneToOneField(Campaign, on_delete=models.CASCADE, related_name="frozen")
    version = models.CharField(max_length=64)  # As in :class:`Approval`; an approval of the version is of this content.
    audience = models.JSONField()  # The conditions of the audience. The people are found at the start.
    contents = models.JSONField()  # By the variant's letter, "" without a test; see campaigns.content.frozen.
    frozen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.campaign}, as queued on {self.frozen_at:%d %B %Y %H:%M}"
