"""Routing rules, and senders that a server has refused."""

from django.core.validators import MaxValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from smtpservers.models.server import SmtpServer


class Route(models.Model):
    """A routing rule: the servers for a message, and the strategy among them. The first active rule that matches
    decides.
    """

    class Strategy(models.TextChoices):
        ORDER = "order", _("Display order")  # The first server that can; the rest are fail-over.
        WEIGHTED = "weighted", _("Weighted share")
        LEAST_USED = "least_used", _("Least used share of quota")

    name = models.CharField(
        _("name"),
        max_length=100,
        unique=True,
        error_messages={"unique": _("Another rule already has this name. Choose a different one.")},
        help_text=_("Shown with each message that this rule routes."),
    )
    is_active = models.BooleanField(_("active"), default=True, help_text=_("Inactive rules are ignored."))
    display_order = models.PositiveIntegerField(
        _("display order"),
        default=10,
        validators=[MaxValueValidator(9999)],
        help_text=_("Rules run in order, lowest number first. The first match wins."),
    )
    from_domains = models.TextField(
        _("From domains"),
        max_length=20_000,
        blank=True,
        help_text=_(
            "One per line: example.com for that domain, *.example.com for its subdomains. Campaigns without"
            " their own From match only rules that leave this empty. Leave empty to match any From."
        ),
    )
    recipient_domains = models.TextField(
        _("recipient domains"),
        max_length=20_000,
        blank=True,
        help_text=_(
            "One per line, in the same format. Changes apply to campaigns that start later and to messages that"
            " are retried. Leave empty to match any recipient."
        ),
    )
    strategy = models.CharField(
        _("strategy"),
        max_length=16,
        choices=Strategy,
        default=Strategy.ORDER,
        help_text=_(
            "Display order: the first available server sends. Weighted share: all servers send, in proportion"
            " to their weight. Least used share of quota: all servers send, so that their quotas fill evenly. Servers"
            " without a quota come last."
        ),
    )
    # A list, not a relation: deleting the last server of a rule must not turn "only this one" into "all".
    server_ids = models.JSONField(_("servers"), default=list, blank=True)  # Empty: every server.
    is_default = models.BooleanField(default=False, editable=False)  # Matches everything and comes last.

    class Meta:
        ordering = ["is_default", "display_order", "id"]
        verbose_name = _("routing rule")
        verbose_name_plural = _("routing rules")
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
