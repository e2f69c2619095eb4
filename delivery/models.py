"""What is stored about mail on its way: mailings, messages, attempts, chunks and lanes."""

import datetime as dt
import uuid

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from contacts.models import Contact, ContactList
from smtpservers.models import QuotaPeriod, Route, SmtpServer


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
    # What its Message-IDs are made of, see delivery.message_ids: the same wherever the same is frozen again …
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
    # Lists and conditions as they were at the start, see contacts.reaching.Audience; empty: everyone on ``lists``.
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


class Chunk(models.Model):
    """A run of up to 500 queued messages of one mailing; claims are cut from its front.

    Claiming message rows one by one with SKIP LOCKED reads all rows claimed before, which is quadratic.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    next_id = models.BigIntegerField()  # The first message not claimed yet.
    last_id = models.BigIntegerField()  # Inclusive; the row is deleted once ``next_id`` is beyond it.
    messages = models.PositiveIntegerField(null=True)  # When it was made; between them may lie what is not sent.
    # Whose recipient domains all its people are in; None: nobody's. Nothing looks for a rule's chunks alone.
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)

    class Meta:
        indexes = [models.Index(fields=["mailing", "id"], name="chunk_next")]  # Claiming.

    def __str__(self) -> str:
        return f"{self.mailing}: {self.next_id} to {self.last_id}"


class LaterChunk(models.Model):
    """A chunk whose time has not come: its people are in zones where it is still too early. Then it becomes a chunk."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="later_chunks")
    opens_at = models.DateTimeField(db_index=True)  # Opening them.
    next_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    messages = models.PositiveIntegerField()
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)

    def __str__(self) -> str:
        return f"{self.mailing}: {self.next_id} to {self.last_id} from {self.opens_at:%d %B %Y %H:%M}"


class Taken(models.Model):
    """How many messages of a mailing one server has taken under one routing rule, so that shares come out as promised.

    Kept only where several servers share a mailing by weight; a message that was taken twice counts twice.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+", db_index=False)
    rule = models.BigIntegerField(default=0)  # Of the route; 0: the default one, where it has no row.
    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    messages = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "rule", "server"], name="one_count_each")]

    def __str__(self) -> str:
        return f"{self.server} has taken {self.messages} of {self.mailing}"


class Lane(models.Model):
    """The right to send through one server, leased by one worker process at a time.

    Every limit of a server (connections, messages per connection) is kept inside the process that holds its lane.
    ``token`` fences: a worker whose token is no longer here sends nothing and records nothing.
    """

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(default=uuid.uuid4)
    holder = models.CharField(max_length=200, blank=True)  # Host and process; empty: free.
    expires_at = models.DateTimeField(null=True)  # By the database's clock.
    problem = models.CharField(max_length=300, blank=True, db_default="")  # Why it broke off last, and where.
    broke_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "number"], name="one_lane_each")]

    def __str__(self) -> str:
        return f"{self.server} lane {self.number}"


class Batch(models.Model):
    """What one worker claimed at once: its attempts are on record here before the first byte of any of them.

    A batch is written together with the reservation of its quota. Each attempt leaves it when it is recorded, as a row
    of :class:`Attempt`; the batch goes with its last one. What a dead worker left is found by ``lane_token``.
    """

    MOST = 1000  # Messages; an attempt under way is known by ``id * MOST`` and its place in ``claims``.

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="batches")
    server = models.ForeignKey(SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+")
    server_name = models.CharField(max_length=100)  # These are copied into each attempt.
    period = models.ForeignKey(QuotaPeriod, null=True, on_delete=models.SET_NULL, related_name="+")
    lane_token = models.UUIDField()
    choice = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField()
    header_from = models.CharField(max_length=400, blank=True)
    settings_used = models.JSONField(default=dict)
    return_path = models.CharField(max_length=320, blank=True)  # Where bounces go …
    is_return_path_tagged = models.BooleanField(default=False)  # … and whether each message has a tag of its own there.
    claims = models.JSONField()  # [message, number of the attempt] of each, in the order of the claim.
    open_count = models.PositiveSmallIntegerField()  # How many are not recorded yet.
    is_cut = models.BooleanField()  # From a chunk: then its messages are ``queued`` until they are recorded.

    class Meta:
        indexes = [models.Index(fields=["lane_token"], name="batch_left")]  # The sweep.

    def __str__(self) -> str:
        return f"{self.open_count} messages of {self.mailing} through {self.server_name}"


class StatusCount(models.Model):
    """How many messages of a mailing have a status, kept by the database itself; see :mod:`delivery.counting`.

    Rows of one mailing, status and kind are added up. On PostgreSQL each statement that changes messages leaves rows of
    its own, so that nobody waits for another's count; now and then they are put together.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="status_counts", db_index=False)
    status = models.CharField(max_length=12)
    is_copy = models.BooleanField()
    number = models.IntegerField()  # May be negative where it is a change.
    is_sum = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mailing", "status", "is_copy"], condition=models.Q(is_sum=True), name="one_status_sum_each"
            )
        ]
        indexes = [
            models.Index(fields=["mailing"], name="status_count_mailing"),  # Progress; what is finished.
            models.Index(fields=["mailing"], condition=models.Q(is_sum=False), name="status_count_loose"),  # Tidying.
        ]

    def __str__(self) -> str:
        return f"{self.mailing}: {self.number} {self.status}"


class MailingOutcome(models.Model):
    """How many attempts of a campaign ended in which way, by server and minute: its share by server, and its rate."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+", db_index=False)
    server_name = models.CharField(max_length=100)
    minute_at = models.DateTimeField()
    outcome = models.CharField(max_length=12)
    number = models.PositiveIntegerField()
    first_at = models.DateTimeField()  # When the first of them was recorded.

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["mailing", "minute_at", "server_name", "outcome"], name="one_mailing_outcome_each"
            )
        ]

    def __str__(self) -> str:
        return f"{self.mailing} through {self.server_name}: {self.number} {self.outcome}"


class ServerOutcome(models.Model):
    """How many attempts of any mailing ended in which way, by server and quarter of an hour: the dashboard's days."""

    quarter_at = models.DateTimeField()
    server_name = models.CharField(max_length=100)
    outcome = models.CharField(max_length=12)
    number = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["quarter_at", "server_name", "outcome"], name="one_server_outcome_each")
        ]

    def __str__(self) -> str:
        return f"{self.server_name} {self.quarter_at:%Y-%m-%d %H:%M}: {self.number} {self.outcome}"


class Attempt(models.Model):
    """One SMTP transaction for one message through one server, as it ended.

    Written once; what was said stays. Only what it meant is put right, where it turns out to be about the account of
    the server (:mod:`delivery.account_limits`).
    Before its first byte, and until it is written here, it is on record in its :class:`Batch`.
    """

    class Outcome(models.TextChoices):
        OPEN = "", "under way"
        ACCEPTED = "accepted", "accepted"
        BOUNCED = "bounced", "bounced"
        FAILED = "failed", "failed"
        DEFERRED = "deferred", "deferred"
        UNCONFIRMED = "unconfirmed", "unconfirmed"
        NOT_SENT = "not_sent", "not sent"  # Given back before MAIL: a stop, a lost lane, a dead worker.

    # The database checks none of these keys: it would look up and lock three rows for each attempt.
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="attempts", db_index=False, db_constraint=False
    )
    number = models.PositiveSmallIntegerField()
    server = models.ForeignKey(
        SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False
    )
    server_name = models.CharField(max_length=100)  # Kept when the server is deleted or renamed.
    period = models.ForeignKey(
        QuotaPeriod, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False
    )
    lane_token = models.UUIDField()
    choice = models.CharField(max_length=300, blank=True)  # Why this server: shown to people.
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.OPEN, blank=True)
    stage = models.CharField(max_length=10, blank=True)  # How far it came: MAIL, RCPT, DATA, DOT …
    code = models.PositiveSmallIntegerField(null=True)
    reply = models.CharField(max_length=600, blank=True)  # What the server said, as text from outside.
    rule = models.CharField(max_length=40, blank=True)  # Which rule of mail.replies judged it.
    envelope_from = models.CharField(max_length=320, blank=True)
    header_from = models.CharField(max_length=400, blank=True)
    settings_used = models.JSONField(default=dict)  # The server's switches at that time.

    class Meta:
        ordering = ["message_id", "number"]
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="one_attempt_each")]
        indexes = [
            # How often a server closed the channel lately.
            models.Index(fields=["server", "finished_at"], condition=models.Q(code=421), name="attempt_closed"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} at {self.message}"


class ProviderHold(models.Model):
    """One server writes to one mail provider's domains no more, or only slowly, for a while.

    A provider is who receives mail for a domain (Google, Microsoft …), known by its MX; see
    :func:`delivery.validating.provider_of`. The row is kept a while after the hold, so that the next one is longer.
    """

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(max_length=255)
    reason = models.CharField(max_length=500)  # What was answered, without the recipient's address.
    placed_at = models.DateTimeField()
    until = models.DateTimeField()  # Nothing is begun before; then one message at a time, one more with each success.
    slow_until = models.DateTimeField(null=True)  # Until then it stays one at a time …
    per_minute = models.PositiveSmallIntegerField(null=True)  # … and no more than that many a minute.
    strikes = models.PositiveSmallIntegerField(default=1, db_default=1)  # Holds in a row; each lasts twice as long.

    class Meta:
        ordering = ["provider"]
        constraints = [models.UniqueConstraint(fields=["server", "provider"], name="one_hold_each")]

    def __str__(self) -> str:
        return f"{self.server} to {self.provider} until {self.until:%d %B %Y %H:%M}"


class StopTally(models.Model):
    """What a mailing's servers answered since it was last resumed; too bad a share of it stops the mailing.

    One row for each server, so that the workers of two servers do not wait for one another.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+")
    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    sent = models.PositiveIntegerField(default=0)  # Answered for good, whatever the answer.
    hard_bounces = models.PositiveIntegerField(default=0)
    content_failures = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "server"], name="one_tally_each")]

    def __str__(self) -> str:
        return f"{self.mailing} through {self.server}: {self.hard_bounces} of {self.sent} bounced"


class Refusal(models.Model):
    """An answer that gave no reason, kept to see who else gets the same; see :mod:`delivery.account_limits`."""

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+", db_index=False)
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    number = models.PositiveSmallIntegerField()  # Of the attempt.
    alike = models.CharField(
        max_length=32
    )  # The same for answers that differ in numbers and addresses alone, and for lost ones.
    refused_at = models.DateTimeField()
    is_closing = models.BooleanField(default=False)  # A 421.
    is_content = models.BooleanField(default=False)  # Counted towards stopping the mailing for its content.
    is_in_row = models.BooleanField(default=True)  # The server has accepted nothing since.
    is_taken_back = models.BooleanField(default=False)  # It was about the account: nothing follows from it.

    class Meta:
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="one_refusal_an_attempt")]
        indexes = [
            # Ending a row with an acceptance; what is to be looked at.
            models.Index(fields=["server"], condition=models.Q(is_in_row=True), name="refusal_in_row"),
            models.Index(fields=["server", "alike"], name="refusal_alike"),  # Who else got the same.
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} at {self.message}"


class Correction(models.Model):
    """An attempt that was recorded as something else before; figures that counted it as that are still to be mended."""

    attempt = models.OneToOneField(Attempt, on_delete=models.CASCADE, related_name="correction", db_constraint=False)
    was_outcome = models.CharField(max_length=12)
    was_rule = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return f"{self.attempt}, formerly {self.was_outcome}"


class Trial(models.Model):
    """A test through one server: asked for on a page, made by a worker, and followed by the page until it has ended."""

    KEPT_FOR = dt.timedelta(days=1)  # Afterwards only the message and its attempt tell of it.

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    recipient = models.CharField(max_length=320)
    recipient_key = models.CharField(max_length=320)  # As Message.email_key: by it the person is found.
    with_copies = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    # When the worker that makes it was last heard of; None: no worker has taken it yet.
    seen_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    steps = models.JSONField(default=list)  # As delivery.trials writes and reads them.
    is_sent = models.BooleanField(default=False)  # Whether the whole message is out; the answer may be missing.
    refusal = models.TextField(default="")  # Why it could not even be tried.
    message = models.ForeignKey(Message, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"Test through {self.server}"


class Incident(models.Model):
    """An answer a person should look at: a blocked server, a sender that fails authentication, a broken message."""

    SHOWN_FOR = dt.timedelta(days=7)

    key = models.CharField(max_length=100, unique=True)  # Server, kind and day: told once a day.
    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(max_length=40)  # As the rules of mail.replies count: "sender-auth", "ip-reputation" …
    reason = models.CharField(max_length=500)  # What was answered, without the recipient's address.
    seen_at = models.DateTimeField()
    is_told = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ["-seen_at"]
        indexes = [
            # Noticing: what the operators were not told yet.
            models.Index(fields=["id"], condition=models.Q(is_told=False), name="incident_untold"),
        ]

    def __str__(self) -> str:
        return f"{self.server}: {self.reason}"


class Notice(models.Model):
    """Something the operators were told; the key is unique, so that each event is told once."""

    class Kind(models.TextChoices):
        QUOTA = "quota", "quota"
        PAUSED = "paused", "paused"
        CERTIFICATE = "certificate", "certificate"
        INCIDENT = "incident", "incident"  # An answer that somebody should look at.
        FAILURES = "failures", "failures"  # Of a campaign, or of one single message.
        CAMPAIGN = "campaign", "campaign"  # One that a person must look at again.

    key = models.CharField(max_length=200, unique=True)  # Names the event, such as "paused 7 2026-11-23T03:00:00".
    kind = models.CharField(max_length=16, choices=Kind)
    server = models.ForeignKey(SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+")
    about = models.ForeignKey(Mailing, null=True, on_delete=models.CASCADE, related_name="+")  # Whose failures.
    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+")  # That tells it.
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["about", "server"], name="notice_about")]  # When a digest was sent last.

    def __str__(self) -> str:
        return self.key


class WorkerSeen(models.Model):
    """When a worker process last showed life; ``/readyz`` and the dashboard read it."""

    name = models.CharField(max_length=200, unique=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class WorkerReport(models.Model):
    """What a worker process said of itself last; see :mod:`delivery.vitals`."""

    name = models.CharField(max_length=200, unique=True)  # Host and process.
    host = models.CharField(max_length=200)
    queues = models.CharField(max_length=200)  # Separated by spaces.
    seen_at = models.DateTimeField()  # By the database's clock.
    drift = models.DurationField()  # How far its own clock is ahead of the database's.
    step = models.DurationField()  # By how much its clock was set a moment ago.
    folder_problem = models.CharField(max_length=200, blank=True)  # Why nothing can be written in its DATA_DIR.

    def __str__(self) -> str:
        return self.name


class ClockMark(models.Model):
    """How far time had come by the database's clock, in one row; see :mod:`delivery.clock_steps`."""

    reached_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.reached_at:%d %B %Y %H:%M:%S}"


class Installation(models.Model):
    """The one row that tells whose database this is, and whether it may send; see :mod:`delivery.installation`."""

    class Answer(models.TextChoices):
        NONE = "", "nobody has answered yet"
        MAY_HAVE_SENT = "sent", "the original may have gone on sending"  # What was due is called unconfirmed.
        STOOD_STILL = "still", "the original has sent nothing since"  # Everything goes on where it was.

    key = models.UUIDField(default=uuid.uuid4)  # Names the notes about it in DATA_DIR.
    identity = models.CharField(max_length=200)  # What a copy of the database would have otherwise.
    generation = models.BigIntegerField(default=0)  # Raised every few seconds; a lower one was restored.
    note_ctime_ns = models.BigIntegerField(null=True)  # When the note of it in DATA_DIR was changed; SQLite alone.
    raised_at = models.DateTimeField()  # In a dump: when it was made.
    held_since = models.DateTimeField(null=True)
    held_because = models.CharField(max_length=300, blank=True)  # Empty: it may send.
    answer = models.CharField(max_length=8, choices=Answer, default=Answer.NONE, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [("release_copy", "Can let a restored copy send mail")]

    def __str__(self) -> str:
        return self.identity
