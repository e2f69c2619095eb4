"""What a marketer writes and schedules."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from contacts.models import ContactList
from delivery.models import Mailing


class Campaign(models.Model):
    """What is said, to whom, when."""

    class Status(models.TextChoices):
        DRAFT = "draft", "draft"
        SCHEDULED = "scheduled", "scheduled"  # Queued by a person; the worker freezes it when it is due.
        SENDING = "sending", "sending"
        PAUSED = "paused", "paused"
        FINISHED = "finished", "finished"
        CANCELLED = "cancelled", "cancelled"

    name = models.CharField(max_length=150, unique=True, help_text="For you; recipients never see it.")
    subject = models.CharField(
        max_length=300, help_text='Merge fields work here: {{ first_name | default: "friend" }}.'
    )
    mail_from = models.CharField(
        "from",
        max_length=400,
        blank=True,
        help_text="Name and address, for example Example Shop <news@example.com>. Empty: each server's own.",
    )
    reply_to = models.CharField("reply to", max_length=400, blank=True, help_text="Where answers go. Empty: to From.")
    html = models.TextField("HTML", blank=True)
    text = models.TextField(blank=True, help_text="Empty: made from the HTML.")
    lists: "models.ManyToManyField[ContactList, models.Model]" = models.ManyToManyField(
        ContactList, blank=True, related_name="+", help_text="Everyone subscribed to one of them gets one message."
    )
    # A list and not a relation: deleting the last server named here must not turn "only this one" into "all".
    server_ids = models.JSONField("servers", default=list, db_default=models.Value([], models.JSONField()), blank=True)
    sends_copies = models.BooleanField(
        "send copies",
        default=True,
        help_text="To the CC and BCC addresses of the servers: one more message, and one more unit of quota, for each"
        " recipient and address.",
    )
    confirms_copies = models.BooleanField(
        "copies are meant", default=False, help_text="Needed for copies of more than 100 messages."
    )
    is_tagged = models.BooleanField("tag links with UTM codes", default=True)
    utm_source = models.CharField("UTM source", max_length=150, blank=True)
    utm_medium = models.CharField("UTM medium", max_length=150, blank=True)
    utm_campaign = models.CharField("UTM campaign", max_length=150, blank=True)
    utm_term = models.CharField("UTM term", max_length=150, blank=True)
    utm_content = models.CharField("UTM content", max_length=150, blank=True)
    status = models.CharField(max_length=12, choices=Status, default=Status.DRAFT, editable=False)
    starts_at = models.DateTimeField(null=True, editable=False)  # When the worker may begin.
    mailing = models.OneToOneField(Mailing, null=True, editable=False, on_delete=models.PROTECT, related_name="+")
    queued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at"]
        permissions = [
            ("queue_campaign", "Can queue and cancel campaigns, and send tests of them"),
            ("pause_campaign", "Can pause and resume campaigns"),
            ("view_progress", "Can see the progress of campaigns, no personal data"),
        ]

    def __str__(self) -> str:
        return self.name
