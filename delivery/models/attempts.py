"""Lanes of servers, batches of claimed messages, and the attempts to send them."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from delivery.models.outbox import Mailing, Message
from smtpservers.models import QuotaPeriod, SmtpServer


class Lane(models.Model):
    """The right to send through one server, leased by one worker process at a time.

    The process that holds the lane enforces the server's limits (connections, messages per connection).
    ``token`` is a fencing token: a worker whose token is no longer stored here sends and records nothing.
    """

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    number = models.PositiveSmallIntegerField(default=0)
    token = models.UUIDField(default=uuid.uuid4)
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

    A batch is written in one transaction with the reservation of its quota. Each attempt leaves the batch when its
    result is recorded as an :class:`Attempt`; the last one deletes the batch. The recovery finds the batches of a dead
    worker by ``lane_token``.
    """

    MOST = 1000  # Messages in a batch. The id of an attempt under way is ``id * MOST`` plus its place in ``claims``.

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="batches")
    server = models.ForeignKey(SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+")
    server_name = models.CharField(max_length=100)  # Copied into each attempt, like the fields below.
    period = models.ForeignKey(QuotaPeriod, null=True, on_delete=models.SET_NULL, related_name="+")
    lane_token = models.UUIDField()
    choice = models.CharField(max_length=300, blank=True)
    started_at = models.DateTimeField()
    header_from = models.CharField(max_length=400, blank=True)
    settings_used = models.JSONField(default=dict)
    return_path = models.CharField(max_length=320, blank=True)
    is_return_path_tagged = models.BooleanField(default=False)  # Whether each message has its own VERP tag in it.
    claims = models.JSONField()  # A pair [message, attempt number] per message, in the order of the claim.
    open_count = models.PositiveSmallIntegerField()  # Messages without a recorded result.
    is_cut = models.BooleanField()  # Cut from a chunk: its messages stay ``queued`` until their results are recorded.

    class Meta:
        indexes = [models.Index(fields=["lane_token"], name="batch_left")]  # Recovery of a dead worker's batches.

    def __str__(self) -> str:
        return f"{self.open_count} messages of {self.mailing} through {self.server_name}"


class Attempt(models.Model):
    """One finished SMTP transaction for one message through one server.

    A row is written once, and the server's reply never changes. Only its verdict is corrected, if the reply turns out
    to be about the server's account (:mod:`delivery.outcomes.account_limits`).
    An attempt under way has no row here: it is on record in its :class:`Batch`.
    """

    class Outcome(models.TextChoices):
        OPEN = "", _("In progress")
        ACCEPTED = "accepted", _("Accepted")
        BOUNCED = "bounced", _("Bounced")
        FAILED = "failed", _("Failed")
        DEFERRED = "deferred", _("Deferred")
        UNCONFIRMED = "unconfirmed", _("Unconfirmed")
        NOT_SENT = "not_sent", _("Not sent")  # Released before MAIL: a stop, a lost lane, a dead worker.

    # No foreign key constraints: the database would look up and lock three rows for each attempt.
    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="attempts", db_index=False, db_constraint=False
    )
    number = models.PositiveSmallIntegerField()
    server = models.ForeignKey(
        SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False
    )
    server_name = models.CharField(max_length=100)  # Unchanged when the server is deleted or renamed.
    period = models.ForeignKey(
        QuotaPeriod, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False
    )
    lane_token = models.UUIDField()
    choice = models.CharField(max_length=300, blank=True)  # Why this server was chosen, for people.
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.OPEN, blank=True)
    stage = models.CharField(max_length=10, blank=True)  # The last stage reached: MAIL, RCPT, DATA, DOT …
    code = models.PositiveSmallIntegerField(null=True)
    reply = models.CharField(max_length=600, blank=True)  # The server's reply: untrusted text.
    rule = models.CharField(max_length=40, blank=True)  # The rule of mail.replies.reply that judged the reply.
    envelope_from = models.CharField(max_length=320, blank=True)
    header_from = models.CharField(max_length=400, blank=True)
    settings_used = models.JSONField(default=dict)  # The server's switches at the time of the attempt.

    class Meta:
        ordering = ["message_id", "number"]
        constraints = [models.UniqueConstraint(fields=["message", "number"], name="one_attempt_each")]
        indexes = [
            # The number of times a server recently closed the connection.
            models.Index(fields=["server", "finished_at"], condition=models.Q(code=421), name="attempt_closed"),
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
