"""What is sent, and to whom: mailings and their messages."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from contacts.models import Contact, ContactList
from smtpservers.models import SmtpServer


def new_identity() -> str:
    """Return an identity that no other mailing has."""
    return uuid.uuid4().hex


class Mailing(models.Model):
    """One frozen content on its way to many recipients: a campaign's run, a test, a single message, a notice."""

    class Stream(models.TextChoices):
        CAMPAIGN = "campaign", "campaign"
        TEST = "test", "test"  # Built like a campaign's message; its unsubscribe token is inert.
        SINGLE = "single", "single"  # One transactional message.
        NOTICE = "notice", "notice"  # From the system to its operators.

    class State(models.TextChoices):
        OPEN = "open", "open"  # May be claimed.
        PAUSED = "paused", "paused"  # Nothing new is claimed, and what is claimed stops before MAIL.
        CANCELLED = "cancelled", "cancelled"  # What is not sent yet never will be.

    stream = models.CharField(max_length=16, choices=Stream)
    state = models.CharField(max_length=16, choices=State, default=State.OPEN)
    is_commercial = models.BooleanField(default=False)  # Of a single message: then it has the unsubscribe link and UTM.
    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=100, blank=True)  # For merge tags in UTM values.
    reference = models.CharField(max_length=40, blank=True)  # For Feedback-ID: "c12" for a campaign.
    # What its Message-IDs are made of, see delivery.content.message_ids: the same wherever the same is frozen again …
    identity = models.CharField(max_length=32, default=new_identity, db_default="", blank=True)
    id_domain = models.CharField(max_length=253, db_default="", blank=True)  # … and their right side, once it began.
    subject = models.CharField(max_length=500)
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    mail_from = models.CharField(max_length=400, blank=True)  # Overrides the server's.
    reply_to = models.CharField(max_length=400, blank=True)
    is_tagged = models.BooleanField(default=True)  # Whether links get UTM codes.
    # Pictures and attachments, each with stored_name, name, content_type and, of pictures, content_id.
    files = models.JSONField(default=list, db_default=models.Value([], models.JSONField()), blank=True)
    sends_copies = models.BooleanField(default=True)  # Whether the server's CC and BCC addresses get it too.
    utm = models.JSONField(default=dict, blank=True)  # Overrides by name: {"utm_source": "…"}.
    lists: "models.ManyToManyField[ContactList, models.Model]" = models.ManyToManyField(ContactList, related_name="+")
    # Lists and conditions as they were at the start, see contacts.segments.audience.Audience; empty: everyone on
    # ``lists``.
    audience = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()), blank=True)
    snapshot_next = models.BigIntegerField(null=True)  # The next contact of the snapshot; None: it has not begun.
    snapshot_last = models.BigIntegerField(null=True)  # Its last contact.
    language = models.CharField(max_length=16, blank=True)  # Of a notice; empty: the recipient's or the server's.
    server = models.ForeignKey(  # Only through this one; a test also where it is inactive.
        SmtpServer, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Only through these, as far as the routing rules allow them; empty: all of those. A list and not a relation: a
    # deleted server must not turn "only this one" into "all".
    server_ids = models.JSONField(default=list, db_default=models.Value([], models.JSONField()))
    waiting_reason = models.CharField(max_length=500, blank=True)  # Why nothing is sent just now; empty: it flows.
    waiting_until = models.DateTimeField(null=True)
    # Nothing is claimed before the one, nor from the other on. Empty: at any time.
    opens_at = models.DateTimeField(null=True)
    closes_at = models.DateTimeField(null=True)
    is_snapshotted = models.BooleanField(default=False)  # Whether every message row has been made.
    finished_at = models.DateTimeField(null=True)  # When the last message became terminal.
    is_reported = models.BooleanField(default=False)  # Whether its failures went to Mail To Unknown after it finished.
    is_anonymous = models.BooleanField(default=False, db_default=False)  # Kept long enough: it names nobody any more.
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            # Dispatch: what still has work.
            models.Index(fields=["id"], condition=models.Q(finished_at=None), name="mailing_unfinished"),
            # Noticing: what finished, and whose failures were not reported yet.
            models.Index(
                fields=["id"],
                condition=models.Q(finished_at__isnull=False, is_reported=False),
                name="mailing_unreported",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Message(models.Model):
    """One mailing to one recipient; owns the delivery status."""

    class Status(models.TextChoices):
        QUEUED = "queued", "queued"  # Not tried yet.
        SENDING = "sending", "sending"  # Claimed by a worker that holds a lane.
        DEFERRED = "deferred", "deferred"  # Will be tried again when due.
        ACCEPTED = "accepted", "accepted"  # The server took responsibility (RFC 5321 section 6.1); not "delivered".
        BOUNCED = "bounced", "bounced"  # The recipient's side refused it.
        FAILED = "failed", "failed"  # It could not be sent, and the address is not to blame.
        EXPIRED = "expired", "expired"  # Deferred until its time was over.
        SUPPRESSED = "suppressed", "suppressed"  # Unsubscribed or suppressed: never sent.
        CANCELLED = "cancelled", "cancelled"  # Stopped before it was sent.
        UNCONFIRMED = "unconfirmed", "unconfirmed"  # Sent in full, the answer was lost (RFC 1047).

    PENDING = (Status.QUEUED, Status.SENDING, Status.DEFERRED)

    class CopyKind(models.TextChoices):
        NONE = "", "no copy"
        CC = "cc", "CC"
        BCC = "bcc", "BCC"

    # An index that a change of status must write to makes it several times as dear, and on PostgreSQL dearer the more
    # messages there are: what is claimed and recorded touches none of those here. Nor does the database check a key
    # by itself for every row: a snapshot would look up and lock each contact, and its one mailing a million times.
    mailing = models.ForeignKey(
        Mailing, on_delete=models.CASCADE, related_name="messages", db_index=False, db_constraint=False
    )
    contact = models.ForeignKey(
        Contact, null=True, on_delete=models.SET_NULL, related_name="messages", db_constraint=False
    )
    email = models.CharField("e-mail", max_length=320)
    email_key = models.CharField(max_length=320)
    redirected_to = models.CharField(max_length=320, blank=True, db_default="")  # Mail To Unknown got it instead.
    copy_of = models.ForeignKey("self", null=True, on_delete=models.CASCADE, related_name="copies", db_index=False)
    copy_kind = models.CharField(max_length=3, choices=CopyKind, default=CopyKind.NONE, db_default="", blank=True)
    merge = models.JSONField(null=True)  # Merge values where there is no contact: a test, a single message.
    # Claimed from a chunk it stays ``queued`` in this column until its attempt is recorded; see Batch.
    status = models.CharField(max_length=12, choices=Status, default=Status.QUEUED)
    changed_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(null=True)  # When it is tried (again), outside its chunk; None: in its chunk.
    expires_at = models.DateTimeField(null=True)  # After this a deferral becomes ``expired``.
    attempt_count = models.PositiveSmallIntegerField(default=0, db_default=0)
    message_id = models.CharField(
        "Message-ID", max_length=255, blank=True, db_default=""
    )  # Fixed at the first claim; kept.
    avoid = models.JSONField(
        default=list, db_default=models.Value([], models.JSONField())
    )  # Servers that will not take this message.
    server = models.ForeignKey(  # The last one. Not checked by the database: claims lock the server's row, once.
        SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False
    )
    reason = models.CharField(max_length=600, blank=True)  # The last answer, or why it was not sent.

    class Meta:
        ordering = ["id"]
        constraints = [
            # Two of them, because SQL holds no two NULLs equal.
            models.UniqueConstraint(
                fields=["mailing", "email_key"], condition=models.Q(copy_of=None), name="one_message_each"
            ),
            models.UniqueConstraint(
                fields=["copy_of", "copy_kind", "email_key"], condition=~models.Q(copy_of=None), name="one_copy_each"
            ),
        ]
        # None names ``status``, not even in a condition, and acceptance changes nothing that one names: then
        # PostgreSQL stores the change beside the row and writes to no index (a heap-only update).
        indexes = [
            models.Index(fields=["mailing", "id"], name="message_order"),  # The recipients of a mailing, page by page.
            models.Index(  # What was not simply sent: its reasons, and lists by status.
                fields=["mailing", "id"], condition=~models.Q(reason=""), name="message_reasons"
            ),
            models.Index(  # Claiming what was deferred, or given back by a worker.
                fields=["mailing", "due_at"], condition=models.Q(due_at__isnull=False), name="message_by_due"
            ),
            models.Index(fields=["email_key"], name="message_story"),  # All mail to one person.
        ]
        permissions = [
            ("resend_message", "Can resend unconfirmed and failed messages"),
        ]

    def __str__(self) -> str:
        return f"{self.mailing} to {self.email}"
