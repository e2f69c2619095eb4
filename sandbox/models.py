"""The table of mail that the sandbox received."""

from django.db import models
from django.db.models.functions import Now

PLAIN, STARTTLS, AUTH = "plain", "starttls", "auth"  # The three listeners.


class SandboxMail(models.Model):
    """One message as received."""

    listener = models.CharField(max_length=20)  # One of the three.
    mail_from = models.CharField(max_length=320, blank=True)
    rcpt_to = models.CharField(max_length=320)
    subject = models.CharField(max_length=500, blank=True)  # Decoded, for the list.
    message_id = models.CharField("Message-ID", max_length=255, blank=True)
    tls = models.CharField("TLS", max_length=100, blank=True)  # Version and cipher; empty: clear text.
    signed_in_as = models.CharField(max_length=255, blank=True)
    content = models.BinaryField()  # The bytes after DATA, without dot-stuffing.
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = "received mail"
        verbose_name_plural = "received mail"
        indexes = [models.Index(fields=["rcpt_to"], name="sandbox_recipient")]  # Search.

    def __str__(self) -> str:
        return f"{self.subject} to {self.rcpt_to}"
