"""Opens and clicks: each visit of a person who agreed to it, counts for everybody, and visits not yet judged.

No row holds an IP address, a user agent or anything else that says where a request came from, but for the keyed hash of
its network in :class:`PendingVisit`, which is deleted within minutes.
"""

from django.db import models

from delivery.models import Mailing, Message, TrackedLink
from mail.visits.names import Kind, Visitor


class Visit(models.Model):
    """Requests for one message's pixel or one of its links, for people who agreed to be counted personally.

    Rows are only added, in the order in which visits are judged. Retention deletes them, and the counts stay.
    """

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="visits", db_index=False, db_constraint=False
    )
    link = models.ForeignKey(  # Null for an open.
        TrackedLink, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=5)  # As in mail.visits.names, like the three columns below.
    visitor = models.CharField(max_length=7)
    reason = models.CharField(max_length=24)
    family = models.CharField(max_length=24)
    loads = models.PositiveIntegerField(default=1, db_default=1)  # Equal requests within seconds are one row.
    at = models.DateTimeField()  # Of the first request, to the second.

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["message", "at"], name="visit_message"),  # A contact's story; erasing a person.
            # Who clicked in the last days. Few requests are clicks by people, so hardly any row enters this index.
            models.Index(
                fields=["at", "message"],
                condition=models.Q(kind=Kind.CLICK.value, visitor=Visitor.HUMAN.value),
                name="visit_clicked",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of message {self.message_id} by {self.visitor} at {self.at:%d %B %Y %H:%M}"


class VisitCount(models.Model):
    """The number of opens or clicks of a mailing in a quarter of an hour, alike in all columns of the constraint.

    A click counts in two rows: that of its link, and that of ``link_id`` 0 for the mailing as a whole. An open counts
    in the latter alone. So rows of one ``link_id`` may be summed up, and rows of several may not. Numbers only grow.
    """

    mailing = models.ForeignKey(
        Mailing, on_delete=models.CASCADE, related_name="visit_counts", db_index=False, db_constraint=False
    )
    quarter_at = models.DateTimeField()
    kind = models.CharField(max_length=5)
    link_id = models.BigIntegerField(default=0)  # A TrackedLink; 0: the mailing as a whole.
    visitor = models.CharField(max_length=7)
    family = models.CharField(max_length=24)
    # At sending, as in :class:`campaigns.models.Tally`, whatever became of the server since. Empty: unknown.
    server_name = models.CharField(max_length=100, blank=True)
    # The recipient's provider, as there. Empty: unknown, or counted without the person.
    provider = models.CharField(max_length=255, blank=True)
    is_personal = models.BooleanField()
    loads = models.PositiveIntegerField()
    # Messages that were visited for the first time: by this kind of visitor, through this link or at all. So a sum is
    # the number of people. Always 0 where ``is_personal`` is false, which means that their number is not known.
    people = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            # The order of the columns serves the report of a mailing and its first hours.
            models.UniqueConstraint(
                fields=[
                    *("mailing", "quarter_at", "kind", "link_id", "visitor"),
                    *("family", "server_name", "provider", "is_personal"),
                ],
                name="one_visit_count_each",
            )
        ]
        indexes = [models.Index(fields=["quarter_at"], name="visit_count_quarter")]  # The figures of a period.

    def __str__(self) -> str:
        return f"{self.quarter_at:%Y-%m-%d %H:%M}: {self.loads} × {self.kind} by {self.visitor}"


class FirstVisit(models.Model):
    """A message was opened, or clicked, or one of its links was: at least once, by this kind of visitor.

    One row for each kind of visitor, so that a scanner doesn't hide the person who follows.
    """

    message = models.ForeignKey(
        Message, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=5)
    link_id = models.BigIntegerField(default=0)  # A TrackedLink; 0: any link, or an open.
    visitor = models.CharField(max_length=7)
    at = models.DateTimeField()  # When it was judged, for retention. No index: rows are in this order.

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["message", "kind", "link_id", "visitor"], name="one_first_visit_each")
        ]
        indexes = [
            # Who clicked one link.
            models.Index(fields=["link_id"], condition=models.Q(link_id__gt=0), name="first_visit_link")
        ]

    def __str__(self) -> str:
        return f"First {self.kind} of message {self.message_id} by {self.visitor}"


class CountingGap(models.Model):
    """The last time when no visit was counted by name: the level was lower, too many waited, or a disk was full.

    At most one row. Of mail that began before, nobody knows who didn't open it.
    """

    ended_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Nothing was counted by name until {self.ended_at:%Y-%m-%d %H:%M}"


class PendingVisit(models.Model):
    """A visit that waits for its neighbours, by which scanners are told from people. Deleted within ten minutes."""

    mailing = models.ForeignKey(
        Mailing, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    server_name = models.CharField(max_length=100, blank=True)  # At sending. Empty: unknown.
    # Null: counted without the person.
    message = models.ForeignKey(
        Message, null=True, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    link = models.ForeignKey(
        TrackedLink, null=True, on_delete=models.CASCADE, related_name="+", db_index=False, db_constraint=False
    )
    kind = models.CharField(max_length=5)
    facts = models.JSONField()  # What the rules need to know of the request: no address, no user agent.
    network = models.CharField(max_length=32, blank=True)  # A keyed hash, whose key is replaced hourly.
    loads = models.PositiveIntegerField()
    at = models.DateTimeField()
    is_judged = models.BooleanField(default=False)  # It is counted, and stays a little for its neighbours.
    due_at = models.DateTimeField()  # When it is judged, and then when it is deleted, by the database's clock.

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["is_judged", "due_at"], name="pending_visit_due"),  # What is to be judged, or deleted.
            # Neighbours: of the same message, and from the same network.
            models.Index(fields=["message"], condition=models.Q(message__isnull=False), name="pending_visit_message"),
            models.Index(fields=["network", "at"], name="pending_visit_network"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} at {self.at:%H:%M:%S}"


class GatheredFile(models.Model):
    """How far a spool file was read. Changed with the rows made of it, so that no line counts twice after a crash."""

    name = models.CharField(max_length=80, unique=True)
    position = models.BigIntegerField(default=0)  # In bytes.
    read_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.name} up to byte {self.position}"
