"""Lanes of servers, batches of claimed messages, and the attempts to send them."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from db.keys import KeptKey
from delivery.models.outbox import Mailing, Message
from smtpservers.models import QuotaPeriod, SmtpServer


class Lane(models.Model):
    """The right to send through one server, leased by one worker process at a time.

    The process that holds the lane enforces the server's limits (connections, messages per connection).
    ``token`` is a fencing token: a worker whose token is no longer stored here sends and records nothing.
    """

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveSmallIntegerField(default=0)
    # Unique, and so a key to PostgreSQL: a transaction that locks it keeps the lane from being taken away, and lets
    # the lease be renewed.
    token = models.UUIDField(default=uuid.uuid4, unique=True)
    holder = models.CharField(max_length=200, blank=True)  # Host and process; empty: free.
    expires_at = models.DateTimeField(null=True)  # By the database's clock.
    problem = models.CharField(max_length=300, blank=True, db_default="")  # Why and where its work last broke off.
    broke_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["server", "number"], name="one_lane_each")]

    def __str__(self) -> str:
        return f"{self.server} lane {self.number}"


class Batch(models.Model):
    """Messages that one worker claimed together. Their attempts are on record here before any byte is sent.

    A batch is written in one transaction with the reservation of its quota. While an attempt is under way, it is on
    record here only; with its result it becomes an :class:`Attempt`, which refers to the batch for everything that its
    messages share. The recovery finds the open batches of a dead worker by ``lane_token``.
    """

    OPEN = models.Q(open_count__gt=0)  # Has attempts under way.
    MOST = 1000  # Messages in a batch. The id of an attempt under way is ``id * MOST`` plus its place in ``claims``.

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="batches", db_constraint=False)
    server = KeptKey(SmtpServer, related_name="+")
    period = KeptKey(QuotaPeriod, related_name="+")
    server_name = models.CharField(max_length=100)  # Unchanged when the server is deleted or renamed.
    lane_token = models.UUIDField()
    choice = models.CharField(max_length=300, blank=True)  # Why this server was chosen, for people.
    started_at = models.DateTimeField()
    header_from = models.CharField(max_length=400, blank=True)
    settings_used = models.JSONField(default=dict)  # The server's switches at the time of the claim.
    return_path = models.CharField(max_length=320, blank=True)
    is_return_path_tagged = models.BooleanField(default=False)  # Whether each message has its own VERP tag in it.
    # A pair [message, attempt number] per message, in the order of the claim; emptied with the last result.
    claims = models.JSONField()
    open_count = models.PositiveSmallIntegerField()  # Messages without a recorded result.
    is_cut = models.BooleanField()  # Cut from a chunk: its messages stay ``queued`` until their results are recorded.

    class Meta:
        indexes = [
            # Recovery of a dead worker's batches.
            models.Index(fields=["lane_token"], condition=models.Q(open_count__gt=0), name="batch_left"),
            # The messages of a mailing that are being sent.
            models.Index(fields=["mailing"], condition=models.Q(open_count__gt=0), name="batch_open"),
        ]

    def __str__(self) -> str:
        return f"{self.open_count} messages of {self.mailing} through {self.server_name}"


class Attempt(models.Model):
    """One finished SMTP transaction for one message through one server.

    A row is written once, and the server's reply never changes. Only its verdict is corrected, if the reply turns out
    to be about the server's account (:mod:`delivery.outcomes.account_limits`).
    An attempt under way has no row here: it is on record in its :class:`Batch`. Most rows of a database are these, so
    they hold only what differs between the messages of a batch.
    """

    class Outcome(models.TextChoices):
        OPEN = "", _("In progress")
        ACCEPTED = "accepted", _("Accepted")
        BOUNCED = "bounced", _("Bounced")
        FAILED = "failed", _("Failed")
        DEFERRED = "deferred", _("Deferred")
        UNCONFIRMED = "unconfirmed", _("Unconfirmed")
        NOT_SENT = "not_sent", _("Not sent")  # Released before MAIL: a stop, a lost lane, a dead worker.

    TAKEN = (Outcome.ACCEPTED, Outcome.UNCONFIRMED)  # The message may have arrived.

    # No foreign key constraints: the database would look up and lock two rows for each attempt.
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="attempts", db_index=False, db_constraint=False
    )
    batch = models.ForeignKey(
        Batch, on_delete=models.DO_NOTHING, related_name="attempts", db_index=False, db_constraint=False
    )
    finished_at = models.DateTimeField(null=True)
    number = models.PositiveSmallIntegerField()
    code = models.PositiveSmallIntegerField(null=True)
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.OPEN, blank=True)
    stage = models.CharField(max_length=10, blank=True)  # The last stage reached: MAIL, RCPT, DATA, DOT …
    reply = models.CharField(max_length=600, blank=True)  # The server's reply: untrusted text.
    rule = models.CharField(max_length=40, blank=True)  # The rule of mail.replies.reply that judged the reply.
    envelope_from = models.CharField(max_length=320, blank=True)  # Empty: the return path of the batch.

    class Meta:
        ordering = ["message_id", "number"]
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="one_attempt_each")]
        indexes = [
            # The number of times a server recently closed the connection.
            models.Index(fields=["finished_at"], condition=models.Q(code=421), name="attempt_closed"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} at {self.message}"


class Correction(models.Model):
    """A correction of an attempt's outcome that the kept figures do not include yet."""

    attempt = models.OneToOneField(Attempt, on_delete=models.CASCADE, related_name="correction", db_constraint=False)
    was_outcome = models.CharField(max_length=12)
    was_rule = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return f"{self.attempt}, formerly {self.was_outcome}"
