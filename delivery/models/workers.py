"""Worker processes, the database's clock, and whether this database is the original or a copy."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _


class WorkerSeen(models.Model):
    """The last heartbeat of a worker process, read by ``/readyz`` and the dashboard."""

    name = models.CharField(max_length=200, unique=True)
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class WorkerReport(models.Model):
    """The last report of a worker process about itself; see :mod:`delivery.health.vitals`."""

    name = models.CharField(max_length=200, unique=True)  # Host and process.
    host = models.CharField(max_length=200)
    queues = models.CharField(max_length=200)  # Separated by spaces.
    seen_at = models.DateTimeField()  # By the database's clock.
    drift = models.DurationField()  # How far its clock is ahead of the database's.
    step = models.DurationField()  # The last jump of its clock, for some minutes.
    folder_problem = models.CharField(max_length=200, blank=True)  # Why its DATA_DIR cannot be written to.

    def __str__(self) -> str:
        return self.name


class ClockMark(models.Model):
    """The latest instant seen on the database's clock, in one row; see :mod:`delivery.clock_steps`."""

    reached_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.reached_at:%d %B %Y %H:%M:%S}"


class Installation(models.Model):
    """The one row that identifies this database, and tells whether it may send; see :mod:`delivery.identity`."""

    class Answer(models.TextChoices):
        NONE = "", _("nobody has answered yet")
        MAY_HAVE_SENT = (
            "sent",
            _("the original may have continued sending"),
        )  # Messages due meanwhile become unconfirmed.
        STOOD_STILL = "still", _("the original has sent nothing since")  # All messages go on where they were.

    key = models.UUIDField(default=uuid.uuid4)  # Names its notes in DATA_DIR.
    identity = models.CharField(max_length=200)  # Differs in a copy of the database.
    generation = models.BigIntegerField(default=0)  # Raised every few seconds. A lower one comes from a dump.
    note_ctime_ns = models.BigIntegerField(null=True)  # The last change of its note in DATA_DIR; only on SQLite.
    raised_at = models.DateTimeField()  # In a dump: about the time of the dump.
    held_since = models.DateTimeField(null=True)
    held_because = models.CharField(max_length=300, blank=True)  # Empty: it may send.
    answer = models.CharField(max_length=8, choices=Answer, default=Answer.NONE, blank=True)

    class Meta:
        default_permissions = ()
        permissions = [("release_copy", "Can let a restored copy send mail")]

    def __str__(self) -> str:
        return self.identity
