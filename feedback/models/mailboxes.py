"""The tables of mailboxes that reports arrive in, of their mails, and of probes that showed a way in to work."""

import datetime as dt
from dataclasses import dataclass
from typing import ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from delivery.models import Mailing
from encryption.secret_field import SecretField
from feedback.models.reports import RawReport
from oauth.models import OAuthAccount
from smtpservers.models import SmtpServer


@dataclass(frozen=True, slots=True)
class MailboxDestination:
    """Everything that decides who can read a mailbox's password when it is used."""

    changed: ClassVar[str] = (
        "The mailbox changed: enter the password again. The stored one was entered for another server, port,"
        " encryption, trusted certificate or username, and goes nowhere else."
    )

    protocol: str
    host: str
    port: int
    security: str
    trusted_certificate: str
    username: str


class Mailbox(models.Model):
    """A mailbox that bounces and complaints arrive in, and how far it was read."""

    class Protocol(models.TextChoices):
        IMAP = "imap", _("IMAP")
        POP3 = "pop3", _("POP3")

    class Security(models.TextChoices):
        IMPLICIT = "tls", _("TLS")  # From the first byte (RFC 8314 section 3).
        STARTTLS = "starttls", _("STARTTLS")  # Required: nothing is said without it.

    class AfterReading(models.TextChoices):
        KEEP = "keep", _("Keep in Brilliance/done")
        DELETE = "delete", _("Delete after 30 days")

    name = models.CharField(
        _("name"), max_length=100, unique=True, help_text=_("Shown in lists and reports, e.g. “Bounces”.")
    )
    protocol = models.CharField(
        _("protocol"),
        max_length=4,
        choices=Protocol,
        default=Protocol.IMAP,
        help_text=_("Choose IMAP if your provider offers both. POP3 has no folders, so mail that was read is deleted."),
    )
    host = models.CharField(_("server"), max_length=253, help_text=_("Host name, e.g. imap.example.com."))
    port = models.PositiveIntegerField(
        _("port"),
        default=993,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text=_("IMAP: 993 with TLS, 143 with STARTTLS. POP3: 995 with TLS, 110 with STARTTLS."),
    )
    security = models.CharField(
        _("encryption"),
        max_length=8,
        choices=Security,
        default=Security.IMPLICIT,
        help_text=_("Without encryption nothing is read."),
    )
    trusted_certificate = models.TextField(
        _("trusted certificate"),
        blank=True,
        max_length=20_000,
        help_text=_("PEM of a private certificate authority. Leave empty for a public certificate."),
    )
    username = models.CharField(
        _("username"),
        max_length=255,
        blank=True,
        help_text=_("Usually the whole address. Leave empty to use the mailbox of the OAuth account."),
    )
    password = SecretField(_("password"), blank=True)
    oauth_account = models.ForeignKey(
        OAuthAccount,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("OAuth account"),
        help_text=_("Signs in with tokens instead of a password, for Microsoft 365 and Google."),
    )
    folder = models.CharField(
        _("folder"), max_length=200, default="INBOX", help_text=_("The folder that mail arrives in. POP3 has only one.")
    )
    after_reading = models.CharField(
        _("after reading"),
        max_length=8,
        choices=AfterReading,
        default=AfterReading.KEEP,
        help_text=_("Reports that were understood move to the folder Brilliance/done. Other mail stays untouched."),
    )
    servers = models.ManyToManyField(
        SmtpServer,
        blank=True,
        related_name="mailboxes",
        verbose_name=_("return path of"),
        help_text=_("The SMTP servers whose bounces arrive here. Send a probe to check it."),
    )
    authserv_id = models.CharField(
        _("name in results"),
        max_length=255,
        blank=True,
        help_text=_(
            "For a mailbox that you send tests to: the first word of its Authentication-Results headers, e.g."
            " mx.google.com, or - for Microsoft 365. Then tests show what the mailbox says of SPF, DKIM and DMARC."
        ),
    )
    is_active = models.BooleanField(_("active"), default=True, help_text=_("When off, the mailbox isn't read."))

    # How far it was read. Workers write these; all instants are the database's.
    uidvalidity = models.BigIntegerField(default=0, editable=False)  # RFC 9051 section 2.3.1.1; 0: never read.
    last_uid = models.BigIntegerField(default=0, editable=False)
    reread_since = models.DateTimeField(null=True, editable=False)  # A restored copy reads Brilliance/done from here …
    reread_uid = models.BigIntegerField(default=0, editable=False)  # … and is as far as this.
    swept_at = models.DateTimeField(null=True, editable=False)  # When old mails were deleted last.
    due_at = models.DateTimeField(null=True, editable=False)  # The next poll; None: as soon as possible.
    lease_key = models.CharField(max_length=32, default="", editable=False)  # Of the one who polls it.
    lease_until = models.DateTimeField(null=True, editable=False)
    polled_at = models.DateTimeField(_("last read"), null=True, editable=False)  # The last poll without an error.
    failures = models.PositiveIntegerField(default=0, editable=False)  # In a row.
    failing_since = models.DateTimeField(null=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=500, blank=True, editable=False)
    mail_count = models.PositiveIntegerField(_("mails seen"), default=0, editable=False)
    foreign_count = models.PositiveIntegerField(_("not ours"), default=0, editable=False)  # Left untouched.

    class Meta:
        ordering = ["name"]
        verbose_name = _("mailbox")
        verbose_name_plural = _("mailboxes")

    def __str__(self) -> str:
        return self.name

    @property
    def destination(self) -> MailboxDestination:
        return MailboxDestination(
            str(self.protocol), self.host, self.port, str(self.security), self.trusted_certificate, self.username
        )


class MailboxMail(models.Model):
    """A mail of a mailbox that was looked at. IMAP: one that was stored and lies in the folder still. POP3: any."""

    KEPT_FOR = dt.timedelta(days=30)  # After it was last listed.

    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+")
    uid = models.CharField(max_length=70)  # The UID, or of POP3 the name of UIDL (RFC 1939 section 7).
    raw = models.ForeignKey(RawReport, null=True, on_delete=models.SET_NULL, related_name="+")  # None: not ours.
    is_understood = models.BooleanField(default=False)  # Without a report: it was a probe.
    listed_at = models.DateTimeField()  # To the day.

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["mailbox", "uid"], name="one_mail_of_a_mailbox")]

    def __str__(self) -> str:
        return f"{self.mailbox} {self.uid}"


class ArrivedTest(models.Model):
    """A test message of ours that arrived in a mailbox, and what its server found of SPF, DKIM and DMARC."""

    message_id = models.CharField(max_length=255, unique=True)  # The header.
    mailbox = models.ForeignKey(Mailbox, on_delete=models.CASCADE, related_name="+")
    arrived_at = models.DateTimeField()
    checks = models.JSONField(null=True)  # Those of mail.incoming.authentication; None: the server wrote none.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.message_id} in {self.mailbox}"


class Forward(models.Model):
    """A mail to postmaster, abuse or a report address: people get it, unless a worker finds a report in it.

    Or a bounce that came to a return path and matches no message of ours.
    """

    raw = models.OneToOneField(RawReport, on_delete=models.CASCADE, related_name="+")
    address = models.CharField(max_length=320)  # That it was sent to.
    is_unmatched = models.BooleanField(default=False)  # A bounce, for Mail to unknown.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.raw} to {self.address}"


class Probe(models.Model):
    """A pair of mails that was sent to a return path's own addresses, to see whether they arrive.

    One goes to the tagged return path, as a bounce does, and the other one to the address for mailto unsubscribe.
    """

    WAITS_FOR = dt.timedelta(hours=1)

    server = models.ForeignKey(SmtpServer, on_delete=models.CASCADE, related_name="+")
    return_path = models.CharField(max_length=320)  # When it was sent.
    key = models.CharField(max_length=32, unique=True)  # In the subject of both mails; nobody can guess it.
    sent_at = models.DateTimeField()  # When it was queued.
    mailing = models.ForeignKey(Mailing, null=True, on_delete=models.SET_NULL, related_name="+")  # Of both mails.
    # The way that it came in by. A deleted mailbox proves nothing any more.
    mailbox = models.ForeignKey(Mailbox, null=True, on_delete=models.CASCADE, related_name="+")
    bounce_at = models.DateTimeField(null=True)
    unsubscribe_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Probe of {self.return_path}"
