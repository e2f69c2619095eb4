"""The outbox: mailings and their messages."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Coalesce, Now
from django.utils.translation import gettext_lazy as _

from contacts.models import Contact, ContactList
from db.keys import KeptKey
from mail.links import levels
from smtpservers.models import SmtpServer
from words.texts import told


def new_identity() -> str:
    """Return a new, unique identity for a mailing."""
    return uuid.uuid4().hex


FAILED = ("bounced", "failed", "unconfirmed")
NOT_ACCEPTED = "not-accepted"  # In a search: all of them.
TODAY = "today"  # In a search: changed since midnight of the site's time zone.


class Mailing(models.Model):
    """Frozen content for one or many recipients: a campaign's run, a test, a transactional message, a notice."""

    class Stream(models.TextChoices):
        CAMPAIGN = "campaign", _("campaign")
        TEST = "test", _("test")  # Built like a campaign's message; its unsubscribe token is inert.
        SINGLE = "single", _("single")  # One transactional message.
        NOTICE = "notice", _("notice")  # From the product to its operators.

    class State(models.TextChoices):
        OPEN = "open", _("Open")  # Its messages may be claimed.
        PAUSED = "paused", _("Paused")  # No new claims, and claimed messages stop before MAIL.
        CANCELLED = "cancelled", _("Cancelled")  # Unsent messages are never sent.

    stream = models.CharField(max_length=16, choices=Stream)
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    is_commercial = models.BooleanField(default=False)  # A single message then has unsubscribe link and UTM codes.
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=100, blank=True)  # For merge tags in UTM values.
    reference = models.CharField(max_length=40, blank=True)  # For Feedback-ID: "c12" for a campaign.
    # Its Message-IDs are made from it (delivery.content.message_ids). Content that is frozen again keeps it.
    identity = models.CharField(max_length=32, default=new_identity, db_default="", blank=True)
    id_domain = models.CharField(max_length=253, db_default="", blank=True)  # Their domain, fixed by the first claim.
    subject = models.CharField(max_length=500)
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    # Who sends it, and the language of what is added to it where neither recipient nor server has one.
    organisation = models.CharField(max_length=150, blank=True, default="", db_default="")
    postal_address = models.TextField(blank=True, default="", db_default="")
    site_language = models.CharField(max_length=16, default="en", db_default="en")
    mail_from = models.CharField(max_length=400, blank=True)  # Overrides the server's.
    reply_to = models.CharField(max_length=400, blank=True)
    is_tagged = models.BooleanField(default=True)  # Whether links get UTM codes.
    # Pictures and attachments, each with stored_name, name and content_type; pictures also have a content_id.
    files = models.JSONField(default=list, db_default=models.Value([], models.JSONField()), blank=True)
    # How opens and clicks are counted, as mail.links.levels says; frozen when it was queued, and may be lowered since.
    tracking = models.CharField(max_length=9, default=levels.OFF, db_default=levels.OFF)
    track_text = models.BooleanField(default=False, db_default=False)  # Whether links of the text part are counted.
    # The proved hosts of its counted links by domain of From, as of when it was queued; others use TRACKING_URL.
    tracking_hosts = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    sends_copies = models.BooleanField(default=True)  # Whether the server's CC and BCC addresses get copies.
    utm = models.JSONField(default=dict, blank=True)  # Overrides by names of mail.links.utm.
    lists: "models.ManyToManyField[ContactList, models.Model]" = models.ManyToManyField(ContactList, related_name="+")
    # Lists and conditions at the start, as contacts.segments.audience.Audience writes them; empty: everyone on
    # ``lists``.
    audience = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    snapshot_next = models.BigIntegerField(null=True)  # The next contact of the snapshot; None: not begun.
    snapshot_last = models.BigIntegerField(null=True)  # The last contact of the snapshot.
    language = models.CharField(max_length=16, blank=True)  # Of a notice; empty: that of the recipient or server.
    server = models.ForeignKey(  # Its only server. A test uses it even if it is inactive.
        SmtpServer, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # The only servers, as far as routing rules allow them; empty: every server that the rules allow. A list and not a
    # relation: a deleted server must not turn "only this one" into "all".
    server_ids = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    # Servers that lead to the test inbox never share a campaign with real ones: only those of its kind take it.
    is_for_test_inbox = models.BooleanField(default=False, db_default=False)
    waiting_reason = models.CharField(max_length=500, blank=True)  # Why nothing is sent now; empty: it is sent.
    waiting_words = models.JSONField(null=True)  # The same, by words.texts.kept; that of another reason is ignored.
    waiting_until = models.DateTimeField(null=True)
    # Claims are possible from ``opens_at`` until ``closes_at``. An empty one sets no bound.
    opens_at = models.DateTimeField(null=True)
    closes_at = models.DateTimeField(null=True)
    is_snapshotted = models.BooleanField(default=False)  # Whether every message row has been made.
    finished_at = models.DateTimeField(null=True)  # When the last message became terminal.
    is_reported = models.BooleanField(default=False)  # Whether Mail to unknown was told of its failures at the end.
    is_anonymous = models.BooleanField(default=False, db_default=False)  # Retention is over, and names are removed.
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            # The plan: mailings with work left.
            models.Index(fields=["id"], condition=models.Q(finished_at=None), name="mailing_unfinished"),
            # Notices: finished mailings with unreported failures.
            models.Index(
                fields=["id"],
                condition=models.Q(finished_at__isnull=False, is_reported=False),
                name="mailing_unreported",
            ),
            # Erasures: tests hold names of people, among millions of single messages.
            models.Index(fields=["id"], condition=models.Q(stream="test"), name="mailing_tests"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def waiting_text(self) -> str:
        """The waiting reason, which an edge can translate if its words were kept."""
        return told(self.waiting_reason, self.waiting_words, 500)


class Message(models.Model):
    """A mailing's message to one recipient, with its delivery status.

    ``outbox.claims`` writes *sending*, and ``outcomes.results`` what was answered. Little is written without an answer:
    ``outcomes.results`` ends the messages of a cancelled mailing, ``outbox.mailings`` queues again by hand and lets
    single messages expire, ``outbox.plan`` ends what no server is left for, ``records.erasure`` what an erased person
    would have got. What comes back later, by mail or webhook, ``outcomes.late`` writes: the status of a message that
    was accepted or unconfirmed, and ``delivered_at``.
    """

    class Status(models.TextChoices):
        QUEUED = "queued", _("Queued")  # Not tried yet, or queued again by a person.
        SENDING = "sending", _("Sending")  # Claimed by a worker that holds a lane.
        DEFERRED = "deferred", _("Deferred")  # Tried again at ``due_at``.
        ACCEPTED = "accepted", _("Accepted")  # The server took responsibility (RFC 5321 section 6.1); not "delivered".
        BOUNCED = "bounced", _("Bounced")  # The recipient's side refused it.
        FAILED = "failed", _("Failed")  # It could not be sent, and the address is not to blame.
        EXPIRED = "expired", _("Expired")  # Its time ran out before a server took it.
        SUPPRESSED = "suppressed", _("Suppressed")  # The recipient unsubscribed or is suppressed: never sent.
        CANCELLED = "cancelled", _("Cancelled")  # Stopped before it was sent.
        UNCONFIRMED = "unconfirmed", _("Unconfirmed")  # Sent in full, but the reply was lost (RFC 1047).

    PENDING = (Status.QUEUED, Status.SENDING, Status.DEFERRED)

    class CopyKind(models.TextChoices):
        NONE = "", _("no copy")
        CC = "cc", "CC"
        BCC = "bcc", "BCC"

    # A status change that must write to an index costs several times as much, and on PostgreSQL the cost grows with the
    # number of messages. So claims and results touch no index of this table. There are no foreign key constraints
    # either: a snapshot would look up and lock each contact, and the same mailing a million times.
    mailing = models.ForeignKey(
        Mailing, on_delete=models.CASCADE, related_name="messages", db_index=False, db_constraint=False
    )
    contact = models.ForeignKey(
        Contact, null=True, on_delete=models.SET_NULL, related_name="messages", db_constraint=False
    )
    email = models.CharField(max_length=320)
    email_key = models.CharField(max_length=320)
    redirected_to = models.CharField(max_length=320, blank=True, db_default="")  # Mail to unknown got it instead.
    copy_of = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="copies", db_index=False)
    copy_kind = models.CharField(max_length=3, choices=CopyKind, default=CopyKind.NONE, db_default="", blank=True)
    merge = models.JSONField(null=True)  # Of a test or a transactional message; they precede the contact's values.
    # A message claimed from a chunk stays ``queued`` in this column until its attempt is recorded; see Batch.
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    changed_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True)  # The time of the next try outside a chunk; None: it is in its chunk.
    expires_at = models.DateTimeField(null=True)  # After this instant a deferral becomes ``expired``.
    attempt_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    # Fixed at the first claim, and kept by later ones.
    message_id = models.CharField("Message-ID", max_length=255, blank=True, db_default="")
    # Servers that refused this message.
    avoid = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    is_refused = models.BooleanField(default=False, db_default=False)  # The last of those servers never will.
    server = KeptKey(SmtpServer, related_name="+")  # The last server.
    reason = models.CharField(max_length=600, blank=True)  # The last reply, or why it was not sent.
    delivered_at = models.DateTimeField(null=True)  # A webhook said that the recipient's server has it.
    # When the person first opened it, or first followed one of its links; personal level only, programs don't count.
    first_opened_at = models.DateTimeField(null=True)
    first_clicked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            # Also finds all mail to one person. Zero instead of NULL, because NULLs are never equal in SQL.
            models.UniqueConstraint(
                "email_key", "mailing", Coalesce("copy_of", 0), "copy_kind", name="one_message_each"
            ),
            # Finds the copies of a message, too.
            models.UniqueConstraint(
                fields=["copy_of", "copy_kind", "email_key"], condition=~models.Q(copy_of=None), name="one_copy_each"
            ),
        ]
        # No index names ``status``, not even in a condition, and an acceptance changes no indexed column. So PostgreSQL
        # writes the change beside the row and to no index (a heap-only tuple update).
        indexes = [
            models.Index(fields=["mailing", "id"], name="message_order"),  # The recipients of a mailing, page by page.
            models.Index(  # Messages that were not simply accepted: their reasons, and lists by status.
                fields=["mailing", "id"], condition=~models.Q(reason=""), name="message_reasons"
            ),
            models.Index(  # Claims of messages that were deferred, or released by a worker.
                fields=["mailing", "due_at"], condition=models.Q(due_at__isnull=False), name="message_by_due"
            ),
            # Lists of recipients who clicked or opened. Only the first visit of a person writes to one of them.
            models.Index(
                fields=["mailing", "id"], condition=models.Q(first_clicked_at__isnull=False), name="message_clicked"
            ),
            models.Index(
                fields=["mailing", "id"], condition=models.Q(first_opened_at__isnull=False), name="message_opened"
            ),
        ]
        permissions = [
            ("resend_message", "Can resend unconfirmed and failed messages"),
        ]

    def __str__(self) -> str:
        return f"{self.mailing} to {self.email}"
