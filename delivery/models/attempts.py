"""Who sends through a server, and what was tried with each message."""

import uuid

from django.db import models

from delivery.models.outbox import Mailing, Message
from smtpservers.models import QuotaPeriod, SmtpServer


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


class Attempt(models.Model):
    """One SMTP transaction for one message through one server, as it ended.

    Written once; what was said stays. Only what it meant is put right, where it turns out to be about the account of
    the server (:mod:`delivery.outcomes.account_limits`).
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
    rule = models.CharField(max_length=40, blank=True)  # Which rule of mail.replies.reply judged it.
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


class Correction(models.Model):
    """An attempt that was recorded as something else before; figures that counted it as that are still to be mended."""

    attempt = models.OneToOneField(Attempt, on_delete=models.CASCADE, related_name="correction", db_constraint=False)
    was_outcome = models.CharField(max_length=12)
    was_rule = models.CharField(max_length=40, blank=True)

    def __str__(self) -> str:
        return f"{self.attempt}, formerly {self.was_outcome}"
