"""How the rest of a mailing is divided among servers."""

from django.db import models

from delivery.models.outbox import Mailing
from smtpservers.models import Route, SmtpServer


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
