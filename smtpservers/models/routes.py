"""Routing rules, and senders that a server has refused."""

from django.core.validators import MaxValueValidator
from django.db import models

from smtpservers.models.server import SmtpServer


class Route(models.Model):
    """A routing rule: the servers for a message, and the strategy among them. The first active rule that matches
    decides.
    """

    class Strategy(models.TextChoices):
        ORDER = "order", "Display order"  # The first server that can; the rest are fail-over.
        WEIGHTED = "weighted", "Weighted share"
        LEAST_USED = "least_used", "Least used share of quota"

    name = models.CharField(
        max_length=100,
        unique=True,
        error_messages={"unique": "Another rule has this name; choose a different one."},
        help_text="Shown with each message that is sent by it.",
    )
    is_active = models.BooleanField("active", default=True, help_text="Off: as if the rule were not there.")
    display_order = models.PositiveIntegerField(
        "display order",
        default=10,
        validators=[MaxValueValidator(9999)],
        help_text="0 to 9999. Rules are asked from the lowest on, and the first that fits decides.",
    )
    from_domains = models.TextField(
        "From domains",
        max_length=20_000,
        blank=True,
        help_text="One a line. example.com is that domain alone, *.example.com everything below it. Empty: any From."
        " A campaign without a From of its own takes each server's, and fits only rules where this is empty.",
    )
    recipient_domains = models.TextField(
        "recipient domains",
        max_length=20_000,
        blank=True,
        help_text="One a line, written the same way. Empty: any recipient. A campaign's people are sorted by it when it"
        " starts; a later change holds for campaigns that start after it, and for messages that are tried again.",
    )
    strategy = models.CharField(
        max_length=16,
        choices=Strategy,
        default=Strategy.ORDER,
        help_text="Display order: the first server that can, the next when it cannot. Weighted share: all at the same"
        " time, each in proportion to its weight. Least used share of quota: all at the same time, so that each has"
        " used the same part of its quota; servers without a quota come when the others have no room.",
    )
    # A list, not a relation: deleting the last server of a rule must not turn "only this one" into "all".
    server_ids = models.JSONField("servers", default=list, blank=True)  # Empty: every server.
    is_default = models.BooleanField(default=False, editable=False)  # Matches everything and comes last.

    class Meta:
        ordering = ["is_default", "display_order", "id"]
        verbose_name = "routing rule"
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="one_default_route"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RefusedSender(models.Model):
    """A From address that a server refuses, so that not every message tries it again; an edit clears it."""

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="refused_senders")
    sender = models.CharField(max_length=320)  # The bare address, in lower case.
    version = models.PositiveIntegerField()  # The server's version at the refusal: an edited server is tried again.
    reason = models.CharField(max_length=500)  # Its reply, without the recipient's address.
    refused_at = models.DateTimeField()
    times = models.PositiveIntegerField(default=1)  # Refusals within the last hour, for replies without a reason.
    until = models.DateTimeField(null=True)  # None: until the server is edited. In the past: not refused often enough.

    class Meta:
        ordering = ["sender"]
        constraints = [models.UniqueConstraint(fields=["server", "sender"], name="one_refusal_each")]

    def __str__(self) -> str:
        return f"{self.server} does not send as {self.sender}"
