"""The tables of feedback to sent messages, and of the unsubscribes that are passed on."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from delivery.models import Message
from smtpservers.models import SmtpServer


class Feedback(models.Model):
    """One piece of feedback to a sent message: of the person, or of the systems on its way."""

    class Kind(models.TextChoices):
        UNSUBSCRIBE = "unsubscribe", _("Unsubscribe")
        HARD_BOUNCE = "hard", _("Hard bounce")  # The address will never work.
        SOFT_BOUNCE = "soft", _("Soft bounce")  # It could not be delivered, and may be next time.
        CONTENT = "content", _("Content refused")  # The message is to blame, or its size.
        SERVER = "server", _("Server refused")  # Our server, domain or reputation is to blame.
        COMPLAINT = "complaint", _("Complaint")  # The person marked it as spam (RFC 5965).
        SUPPRESSED = "suppressed", _("Suppressed by the provider")  # It refuses to send to this address.
        AUTO_REPLY = "auto_reply", _("Auto-reply")  # RFC 3834
        DELAYED = "delayed", _("Delayed")  # A server on the way still tries.
        RECEIPT = "receipt", _("Read receipt")  # RFC 8098
        NOT_SPAM = "not_spam", _("Not spam")  # The person took it out of the spam folder.

    class Channel(models.TextChoices):
        ONE_CLICK = "one_click", _("One-click in the mail app")  # RFC 8058
        PAGE = "page", _("Unsubscribe page")
        PREFERENCES = "preferences", _("Preference page")
        MAIL = "mail", _("Mail")  # To the mailto: address of List-Unsubscribe (RFC 2369), or a report by mail.
        WEBHOOK = "webhook", _("Webhook")

    class Cause(models.TextChoices):
        """The reasons that the unsubscribe page offers; see :data:`publicpages.words.unsubscribe.CAUSES`."""

        NONE = "", _("None given")
        TOO_OFTEN = "too_often", _("Too often")
        NOT_INTERESTED = "not_interested", _("Not interested")
        NEVER_ASKED = "never_asked", _("Never signed up")
        OTHER = "other", _("Another reason")

    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    channel = models.CharField(_("channel"), max_length=16, choices=Channel)
    message = models.ForeignKey(Message, null=True, on_delete=models.SET_NULL, related_name="+")
    attempt = models.PositiveSmallIntegerField(null=True, editable=False)  # Of the message; None: of an unsubscribe.
    email = models.CharField(_("email"), max_length=320)
    is_global = models.BooleanField(
        _("scope"), default=False, choices=[(True, _("All mail")), (False, _("Lists of the mailing"))]
    )
    reason = models.CharField(_("comment"), max_length=500, blank=True)  # In their own words.
    cause = models.CharField(_("reason"), max_length=16, choices=Cause, default=Cause.NONE, db_default="", blank=True)
    received_at = models.DateTimeField(_("date"), db_default=Now(), editable=False)
    undone_at = models.DateTimeField(_("undone"), null=True, editable=False)  # The person undid it.

    class Meta:
        ordering = ["-received_at"]
        verbose_name = _("unsubscribe")
        verbose_name_plural = _("unsubscribes")
        permissions = [("retry_relay", "Can pass unsubscribes on again")]
        indexes = [models.Index(fields=["email"], name="feedback_email")]  # Export and erasure of a person.
        constraints = [
            # Providers repeat their POST and people press twice; it counts once.
            models.UniqueConstraint(
                fields=["message", "kind", "is_global"], condition=models.Q(attempt=None), name="one_feedback_each"
            ),
            # Two reports of one failure count once.
            models.UniqueConstraint(fields=["message", "kind", "attempt"], name="one_feedback_an_attempt"),
        ]

    def __str__(self) -> str:
        return gettext("%(kind)s of %(address)s") % {"kind": self.get_kind_display(), "address": self.email}


class RelayedUnsubscribe(models.Model):
    """An unsubscribe that a custom page is told of, and the page's last answer."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Not yet")
        PASSED_ON = "passed on", _("Passed on")
        GIVEN_UP = "given up", _("Given up")  # The page took no call for days; a person has to enter it there.

    feedback = models.OneToOneField(Feedback, on_delete=models.CASCADE, related_name="relay")
    server = models.ForeignKey(SmtpServer, null=True, on_delete=models.SET_NULL, related_name="+")
    state = models.CharField(_("passed on"), max_length=16, choices=State, default=State.WAITING)
    due_at = models.DateTimeField(null=True)  # The next call; None: there is none.
    attempts = models.PositiveSmallIntegerField(default=0)
    first_called_at = models.DateTimeField(null=True)
    called_at = models.DateTimeField(null=True)  # The last call with an answer, or without one in time.
    answer = models.CharField(max_length=300, blank=True)  # To the last call, as a sentence.

    class Meta:
        indexes = [
            # Calls that are due.
            models.Index(fields=["due_at"], condition=models.Q(due_at__isnull=False), name="relay_due"),
            # Calls that were given up lately.
            models.Index(fields=["called_at"], condition=models.Q(state="given up"), name="relay_given_up"),
        ]

    def __str__(self) -> str:
        return f"{self.feedback}: {self.get_state_display()}"
