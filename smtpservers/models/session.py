"""The last session with a server in which nothing was sent: what it offers, and whether it lets us in."""

from django.db import models

from smtpservers.models.server import SmtpServer
from words.texts import told


class ServerSession(models.Model):
    """What a server said when it was last tried. No secret and no recipient is in it."""

    class Fault(models.TextChoices):
        """The step that failed."""

        NONE = "", "none"
        CONNECTION = "connection", "connection"  # DNS, connect, banner, EHLO.
        TLS = "tls", "TLS"
        SIGN_IN = "sign-in", "sign-in"

    server = models.OneToOneField(SmtpServer, on_delete=models.CASCADE, related_name="session")
    wanted_at = models.DateTimeField(null=True)  # Since when it is to be tried; None: it is not.
    taken_at = models.DateTimeField(null=True)  # When a worker began the session that is under way.
    asked_at = models.DateTimeField(null=True)  # When it was last tried. None: never.
    version = models.PositiveIntegerField(default=0)  # Of the server's settings then.
    fault = models.CharField(max_length=10, choices=Fault, blank=True, default=Fault.NONE)
    is_temporary = models.BooleanField(default=False)  # The server said that it may work later.
    sentence = models.CharField(max_length=500, blank=True)  # Why it failed, with the server's reply, in English.
    words = models.JSONField(null=True)  # The same, by words.texts.kept.
    is_encrypted = models.BooleanField(default=False)
    is_signed_in = models.BooleanField(default=False)
    mechanism = models.CharField(max_length=16, blank=True)  # The one that it signed in with.
    extensions = models.CharField(max_length=500, blank=True)  # The keywords of EHLO, separated by spaces.
    # Envelope senders that it was asked about with MAIL, and its refusal; empty: it took them.
    senders = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["wanted_at"], name="session_wanted")]  # The errand's question.

    def __str__(self) -> str:
        return f"{self.server}: {self.fault or 'in order'}"

    @property
    def told(self) -> str:
        """Why it failed, which an edge can translate if its words were kept."""
        return told(self.sentence, self.words, 500)
