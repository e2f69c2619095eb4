"""Which processes are at work, by which clock, and whether this database is the original."""

import uuid

from django.db import models


class WorkerSeen(models.Model):
    """When a worker process last showed life; ``/readyz`` and the dashboard read it."""

    name = models.CharField(max_length=200, unique=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class WorkerReport(models.Model):
    """What a worker process said of itself last; see :mod:`delivery.health.vitals`."""

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
    """The one row that tells whose database this is, and whether it may send; see :mod:`delivery.identity`."""

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
