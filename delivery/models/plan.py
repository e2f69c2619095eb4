"""Tables of the plan: a mailing's unsent messages in chunks, and the servers' shares of it."""

from django.db import models

from delivery.models.outbox import Mailing
from smtpservers.models import Route, SmtpServer


class Chunk(models.Model):
    """A run of up to 500 queued messages of one mailing. Claims are cut from its front.

    Claims of single message rows with SKIP LOCKED would read all rows claimed before, which is quadratic.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="chunks", db_index=False)
    next_id = models.BigIntegerField()  # The first unclaimed message.
    last_id = models.BigIntegerField()  # Inclusive. The row is deleted once ``next_id`` is beyond it.
    messages = models.PositiveIntegerField(null=True)  # The count when it was made; ids in between may be suppressed.
    # The routing rule whose recipient domains hold all its recipients; None: no rule. No query looks for one rule's
    # chunks alone.
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)

    class Meta:
        indexes = [models.Index(fields=["mailing", "id"], name="chunk_next")]  # Claiming.

    def __str__(self) -> str:
        return f"{self.mailing}: {self.next_id} to {self.last_id}"


class LaterChunk(models.Model):
    """A chunk for time zones where it is still too early. At ``opens_at`` it becomes a :class:`Chunk`."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="later_chunks")
    opens_at = models.DateTimeField(db_index=True)  # Indexed for the task that opens them.
    next_id = models.BigIntegerField()
    last_id = models.BigIntegerField()
    messages = models.PositiveIntegerField()
    route = models.ForeignKey(Route, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)

    def __str__(self) -> str:
        return f"{self.mailing}: {self.next_id} to {self.last_id} from {self.opens_at:%d %B %Y %H:%M}"


class Taken(models.Model):
    """The number of a mailing's messages that one server has claimed under one routing rule.

    Counted only if several servers share a mailing by weight, so that each gets its share. A message claimed twice
    counts twice.
    """

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="+", db_index=False)
    rule = models.BigIntegerField(default=0)  # The id of the route; 0: the default route, if it has no row.
    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    messages = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["mailing", "rule", "server"], name="one_count_each")]

    def __str__(self) -> str:
        return f"{self.server} has taken {self.messages} of {self.mailing}"
