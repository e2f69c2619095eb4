"""What links and pixels of sent mail lead to: a mailing's way through a server, its links, and their targets."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from delivery.models.outbox import Mailing
from mail.links.link_targets import shown
from mail.links.tracking import CODE_LETTERS


class TrackedMailing(models.Model):
    """One mailing through one server. Its id is in the anonymous tokens, the same for all recipients."""

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="tracked_mailings", db_index=False)
    # At sending. No relation: the mail is still opened when its server is renamed or deleted.
    server_name = models.CharField(max_length=100)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["mailing", "server_name"], name="one_tracked_mailing_each")]

    def __str__(self) -> str:
        return f"{self.mailing} through {self.server_name}"


class TrackedLink(models.Model):
    """A place in the content of a mailing that leads somewhere; two places with the same address are two links."""

    class Part(models.TextChoices):
        HTML = "html", "HTML"
        TEXT = "text", _("Text")

    mailing = models.ForeignKey(Mailing, on_delete=models.CASCADE, related_name="tracked_links", db_index=False)
    part = models.CharField(max_length=4, choices=Part)
    # 1 for the first link of the part as it is written; links that are not counted have their numbers, too.
    position = models.PositiveIntegerField()
    label = models.CharField(max_length=100, blank=True)  # What the link says, or the alternative text of its image.
    # False: readers can follow it unseen. One place may be counted through one server and not through another.
    is_counted = models.BooleanField(default=True, db_default=True)

    class Meta:
        default_permissions = ()
        ordering = ["part", "position"]
        constraints = [
            models.UniqueConstraint(fields=["mailing", "part", "position", "is_counted"], name="one_tracked_link_each")
        ]

    def __str__(self) -> str:
        return self.label or f"{self.part} {self.position}"

    @property
    def is_in_text(self) -> bool:
        return self.part == self.Part.TEXT

    @property
    def words(self) -> str:
        """What it says, or else where it leads; empty if neither is known."""
        if self.label:
            return self.label
        first = min(self.targets.all(), key=lambda target: target.pk, default=None)
        return shown(first.url) if first is not None else ""


class TrackedTarget(models.Model):
    """Where a link leads: exactly the address that the mail would have, with its UTM codes.

    A link has a target for each server whose codes differ. A target is stored before the first message that leads to it
    leaves, and never changes.
    """

    link = models.ForeignKey(TrackedLink, on_delete=models.CASCADE, related_name="targets", db_index=False)
    url = models.TextField()
    url_hash = models.CharField(max_length=64)  # SHA-256 in hex: a URL may be longer than an index takes.
    code = models.CharField(max_length=CODE_LETTERS, unique=True)  # Random; in the link, and the only key to its row.

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["link", "url_hash"], name="one_tracked_target_each")]

    def __str__(self) -> str:
        return self.url
