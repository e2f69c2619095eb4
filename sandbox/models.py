"""The table of mail that the sandbox received."""

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

PLAIN, STARTTLS, AUTH = "plain", "starttls", "auth"  # The three listeners.


class SandboxMail(models.Model):
    """One message as received."""

    listener = models.CharField(_("listener"), max_length=20)  # One of the three.
    mail_from = models.CharField(max_length=320, blank=True)
    rcpt_to = models.CharField(max_length=320)
    subject = models.CharField(max_length=500, blank=True)  # Decoded, for the list.
    message_id = models.CharField(max_length=255, blank=True)
    tls = models.CharField(max_length=100, blank=True)  # Version and cipher; empty: clear text.
    signed_in_as = models.CharField(max_length=255, blank=True)
    content = models.BinaryField()  # The bytes after DATA, without dot-stuffing.
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("message in the test inbox")
        verbose_name_plural = _("messages in the test inbox")
        indexes = [models.Index(fields=["rcpt_to"], name="sandbox_recipient")]  # Search.

    def __str__(self) -> str:
        return gettext("%(subject)s to %(address)s") % {"subject": self.subject, "address": self.rcpt_to}
