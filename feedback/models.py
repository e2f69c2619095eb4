"""The table of feedback to accepted messages."""

from django.db import models
from django.db.models.functions import Now

from delivery.models import Message


class Feedback(models.Model):
    """One piece of feedback to an accepted message."""

    class Kind(models.TextChoices):
        UNSUBSCRIBE = "unsubscribe", "unsubscribe"

    class Channel(models.TextChoices):
        ONE_CLICK = "one_click", "one-click from the mail program"  # RFC 8058
        PAGE = "page", "our page"
        PREFERENCES = "preferences", "preference page"

    class Cause(models.TextChoices):
        """The reasons that the unsubscribe page offers; see :data:`publicpages.words.unsubscribe.CAUSES`."""

        NONE = "", "–"
        TOO_OFTEN = "too_often", "too often"
        NOT_INTERESTED = "not_interested", "not interested"
        NEVER_ASKED = "never_asked", "never asked for it"
        OTHER = "other", "another reason"

    kind = models.CharField(max_length=16, choices=Kind)
    channel = models.CharField(max_length=16, choices=Channel)
    message = models.ForeignKey(Message, null=True, on_delete=models.SET_NULL, related_name="+")
    email = models.CharField("e-mail", max_length=320)
    is_global = models.BooleanField(default=False)  # All mail, not only the lists of the mailing.
    reason = models.CharField(max_length=500, blank=True)
    cause = models.CharField(max_length=16, choices=Cause, default=Cause.NONE, db_default="", blank=True)
    received_at = models.DateTimeField(db_default=Now(), editable=False)
    undone_at = models.DateTimeField("taken back", null=True, editable=False)  # The person undid it.

    class Meta:
        ordering = ["-received_at"]
        verbose_name_plural = "feedback"
        constraints = [
            # Providers repeat their POST and people press twice; it counts once.
            models.UniqueConstraint(fields=["message", "kind", "is_global"], name="one_feedback_each")
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.email}"
