"""The domains that mail is sent from, their DKIM keys, the findings about them, and what receivers report of them."""

import datetime as dt
import secrets
from dataclasses import dataclass
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from encryption.secret_field import SecretField
from mail.addresses import readable_domain
from mail.records.finding import Line, State
from oauth.models import OAuthAccount


def new_report_tag() -> str:
    """Return letters for the address of a domain's reports, which survive servers that fold case."""
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(10))


class SendingDomain(models.Model):
    """A domain of From or of a return path. An errand finds most of them in servers and campaigns."""

    name = models.CharField(  # An A-label in lower case.
        _("domain"),
        max_length=253,
        unique=True,
        error_messages={"unique": _("This domain is already listed.")},
        help_text=_("The part after the @ of your sender address, e.g. example.com."),
    )
    selectors = models.CharField(
        _("DKIM selectors"),
        max_length=500,
        blank=True,
        help_text=_(
            "The names of the DKIM keys that your provider shows you, separated by spaces, e.g. s1 s2. Leave empty to"
            " try the usual ones."
        ),
    )
    tracking_host = models.CharField(  # An A-label in lower case.
        _("Link host"),
        max_length=253,
        blank=True,
        help_text=_(
            "Opens and clicks of mail from this domain are counted under this name, e.g. click.example.com. The CNAME"
            " record that it needs is shown after you save. Leave empty to use this site's own address."
        ),
    )
    yahoo_loop_on = models.DateField(
        _("Yahoo feedback loop"),
        null=True,
        blank=True,
        help_text=_("When you registered this domain at senders.yahooinc.com. Leave empty if you haven't."),
    )
    microsoft_loop_on = models.DateField(
        _("Microsoft feedback loop"),
        null=True,
        blank=True,
        help_text=_("When you joined the JMRP for the addresses you send from. Leave empty if you haven't."),
    )
    # The last host of links that a look has proved to be ours, and whether the last look did. Mail uses no other one.
    proved_tracking_host = models.CharField(max_length=253, blank=True, default="", editable=False)
    is_tracking_host_good = models.BooleanField(default=False, db_default=False, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)  # The last time that every line was asked for.
    # When it is due. None: it is not asked for by itself.
    next_check_at = models.DateTimeField(null=True, editable=False)
    taken_at = models.DateTimeField(null=True, editable=False)  # When a worker began the look that is under way.
    report_tag = models.CharField(max_length=12, unique=True, default=new_report_tag, editable=False)
    # Of the last MTA-STS policy, to notice what senders would miss: id, text, and since when it is in test mode.
    sts = models.JSONField(default=dict, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = _("domain")
        verbose_name_plural = _("domains")
        indexes = [models.Index(fields=["next_check_at"], name="domain_due")]  # The errand's question.

    def __str__(self) -> str:
        return readable_domain(self.name)

    @property
    def used_tracking_host(self) -> str:
        """The host of links in new mail; empty: that of this installation."""
        is_proved = self.is_tracking_host_good and self.proved_tracking_host == self.tracking_host
        return self.tracking_host if is_proved else ""


class DnsFinding(models.Model):
    """The last known state of one line of a domain's page. An unanswered question leaves it as it was."""

    class LineName(models.TextChoices):
        SPF = Line.SPF.value, "SPF"
        DKIM = Line.DKIM.value, "DKIM"
        DMARC = Line.DMARC.value, "DMARC"
        ALIGNMENT = Line.ALIGNMENT.value, _("Alignment")
        RETURN_PATH = Line.RETURN_PATH.value, _("Return path")
        MX = Line.MX.value, "MX"
        PTR = Line.PTR.value, _("PTR and HELO")
        MTA_STS = Line.MTA_STS.value, "MTA-STS"
        TLS_RPT = Line.TLS_RPT.value, _("TLS reports")
        BIMI = Line.BIMI.value, "BIMI"
        TRACKING = Line.TRACKING.value, _("Links")
        BLOCK_LISTS = Line.BLOCK_LISTS.value, _("Block lists")

    class StateName(models.TextChoices):
        GOOD = State.GOOD.value, _("Good")
        LOOK = State.LOOK.value, _("Warning")
        BROKEN = State.BROKEN.value, _("Broken")
        UNKNOWN = State.UNKNOWN.value, _("Unknown")

    domain = models.ForeignKey(SendingDomain, on_delete=models.CASCADE, related_name="findings")
    line = models.CharField(max_length=16, choices=LineName)
    state = models.CharField(max_length=8, choices=StateName)
    fault = models.CharField(max_length=40, blank=True)  # A name of mail.records; empty: nothing is wrong.
    sentence = models.TextField(blank=True)  # In English.
    seen = models.TextField(blank=True)
    record_name = models.CharField(max_length=400, blank=True)  # Of a long domain it is longer than DNS allows.
    record_kind = models.CharField(max_length=8, blank=True)
    record_value = models.TextField(blank=True)
    rows = models.JSONField(default=list)  # Of the alignment's matrix.
    changed_at = models.DateTimeField()  # Of the state or the fault.
    asked_at = models.DateTimeField()  # The last time that DNS answered.
    unanswered_at = models.DateTimeField(null=True)  # The last look, if DNS did not answer it.
    unanswered = models.CharField(max_length=300, blank=True)  # Why not.

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["domain", "line"], name="finding_of_line")]

    def __str__(self) -> str:
        return f"{self.domain}: {self.line} {self.state}"


class DnsChange(models.Model):
    """A line whose state, fault or record changed."""

    domain = models.ForeignKey(SendingDomain, on_delete=models.CASCADE, related_name="changes")
    line = models.CharField(max_length=16, choices=DnsFinding.LineName)
    before = models.CharField(max_length=8, choices=DnsFinding.StateName)
    after = models.CharField(max_length=8, choices=DnsFinding.StateName)
    sentence = models.TextField(blank=True)
    seen_before = models.TextField(blank=True)
    seen_after = models.TextField(blank=True)
    changed_at = models.DateTimeField()
    is_told = models.BooleanField(default=False, db_default=False)

    class Meta:
        default_permissions = ()
        ordering = ["-changed_at", "-id"]
        indexes = [
            # Changes that the operators were not told of yet.
            models.Index(fields=["id"], condition=models.Q(is_told=False), name="change_untold"),
        ]

    def __str__(self) -> str:
        return f"{self.domain}: {self.line} {self.before} → {self.after}"


class DomainReport(models.Model):
    """A report about a domain that was counted, so that its repetition is not. What it says is in the counts."""

    class Kind(models.TextChoices):
        DMARC = "dmarc", _("DMARC report")
        TLS = "tls", _("TLS report")

    domain = models.ForeignKey(SendingDomain, on_delete=models.CASCADE, related_name="reports")
    kind = models.CharField(max_length=8, choices=Kind)
    identity = models.CharField(max_length=64, unique=True)  # SHA-256 of kind, organisation, its number and the domain.
    organisation = models.CharField(max_length=255)  # Untrusted text.
    policy = models.CharField(max_length=12, blank=True)  # Of DMARC, as the reporter saw it.
    begins_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    received_at = models.DateTimeField()
    total = models.BigIntegerField()  # Messages, or sessions.
    failed = models.BigIntegerField()

    class Meta:
        ordering = ["-begins_at", "-id"]
        default_permissions = ()
        indexes = [models.Index(fields=["domain", "-begins_at"], name="report_of_domain")]  # The page: the newest.

    def __str__(self) -> str:
        return f"{self.organisation} {self.day}"

    @property
    def day(self) -> dt.date:
        """The day that it is about, in UTC."""
        return self.begins_at.astimezone(dt.UTC).date()


class DmarcCount(models.Model):
    """Messages of one day from one network that had the same results, as receivers report them."""

    domain = models.ForeignKey(SendingDomain, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=64, unique=True)  # SHA-256 of all columns but the number.
    day = models.DateField()  # In UTC.
    author = models.CharField(max_length=253)  # The domain of From.
    network = models.CharField(max_length=45, blank=True)  # A /24 or /48; empty: of the many that are counted together.
    dkim_domain = models.CharField(max_length=253, blank=True)
    dkim_selector = models.CharField(max_length=63, blank=True)
    dkim_result = models.CharField(max_length=12)
    spf_domain = models.CharField(max_length=253, blank=True)
    spf_result = models.CharField(max_length=12)
    is_dkim_aligned = models.BooleanField()
    is_spf_aligned = models.BooleanField()
    disposition = models.CharField(max_length=12)
    messages = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        indexes = [
            models.Index(fields=["domain", "day"], name="dmarc_of_day"),  # The page's figures.
            models.Index(fields=["day"], name="dmarc_day"),  # Retention.
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.network} {self.messages}"


class TlsCount(models.Model):
    """Sessions of one day that ended alike, as others report them who sent mail to the domain."""

    domain = models.ForeignKey(SendingDomain, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    policy = models.CharField(max_length=16)  # Of mail.aggregates.
    result = models.CharField(max_length=32, blank=True)  # Empty: encrypted.
    host = models.CharField(max_length=253, blank=True)
    sessions = models.BigIntegerField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["domain", "day", "policy", "result", "host"], name="tls_of_day"),
        ]
        indexes = [models.Index(fields=["day"], name="tls_day")]  # Retention.

    def __str__(self) -> str:
        return f"{self.day} {self.result or 'encrypted'} {self.sessions}"


@dataclass(frozen=True, slots=True)
class KeyPlace:
    """The only place where a private key may be used."""

    changed: ClassVar[str] = "A private DKIM key belongs to another domain or selector. Revoke the keys of the domain."
    domain: str
    selector: str
    algorithm: str


class DkimKey(models.Model):
    """A key that signs mail of a domain. Keys are made in pairs: RSA, which all receivers know, and Ed25519."""

    class Algorithm(models.TextChoices):
        RSA = "rsa", "RSA"
        ED25519 = "ed25519", "Ed25519"  # Never alone: many receivers don't read it.

    class State(models.TextChoices):
        MADE = "made", _("Waiting for DNS")  # Its record is missing, wrong, or was never asked for.
        SEEN = "seen", _("Seen in DNS")  # Its record was right at the last check.
        SIGNING = "signing", _("Signing")
        RESTING = "resting", _("Resting")  # Replaced. Its record stays for mail that is still under way.
        REVOKED = "revoked", _("Revoked")  # Its private half is deleted.

    domain = models.ForeignKey(SendingDomain, on_delete=models.CASCADE, related_name="dkim_keys")
    pair = models.CharField(max_length=20)  # What the selectors of a pair have in common.
    selector = models.CharField(max_length=24)
    algorithm = models.CharField(max_length=8, choices=Algorithm)
    private = SecretField(blank=True, editable=False)  # PEM. Empty: deleted.
    record = models.TextField()  # The value to publish.
    state = models.CharField(max_length=8, choices=State, default=State.MADE)
    made_at = models.DateTimeField()
    starts_at = models.DateTimeField(null=True)  # It replaces another pair, and not before. None: as soon as it may.
    started_at = models.DateTimeField(null=True)  # When it last began to sign.
    # When its record had been wrong for too long, if it did not sign since.
    stopped_at = models.DateTimeField(null=True)
    rests_until = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    # --- of its record
    next_check_at = models.DateTimeField(null=True)  # None: nobody asks any more.
    checked_at = models.DateTimeField(null=True)  # The last time that DNS answered.
    good_since = models.DateTimeField(null=True)  # The first of the good checks without a wrong one since.
    is_proved = models.BooleanField(default=False, db_default=False)  # Good twice, with enough time in between.
    wrong_since = models.DateTimeField(null=True)
    fault = models.CharField(max_length=40, blank=True)  # A name of mail.records; empty: nothing is wrong.
    sentence = models.TextField(blank=True)  # In English.
    # Whether only resolvers answered, which may remember an older record for so long.
    is_from_cache = models.BooleanField(default=False, db_default=False)
    ttl_seconds = models.PositiveIntegerField(default=0, db_default=0)
    unanswered = models.CharField(max_length=300, blank=True)  # Why the last check had no answer.

    class Meta:
        default_permissions = ()
        ordering = ["-made_at", "-pk"]
        verbose_name = _("DKIM key")
        verbose_name_plural = _("DKIM keys")
        permissions = [("manage_dkim_keys", "Can make and revoke the DKIM keys of domains")]
        constraints = [
            models.UniqueConstraint(
                fields=["domain", "selector"], condition=~models.Q(state="revoked"), name="key_of_selector"
            )
        ]
        indexes = [
            models.Index(fields=["next_check_at"], name="key_due"),  # The errand's question.
            # The keys that mail is signed with.
            models.Index(fields=["domain"], condition=models.Q(state="signing"), name="key_signing"),
        ]

    def __str__(self) -> str:
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def destination(self) -> KeyPlace:
        """The place that the private half was made for."""
        return KeyPlace(self.domain.name, self.selector, self.algorithm)


class PostmasterAccess(models.Model):
    """An OAuth account that reads Gmail Postmaster Tools: when it is asked, and how the last round ended."""

    account = models.OneToOneField(OAuthAccount, on_delete=models.CASCADE, related_name="postmaster_access")
    next_at = models.DateTimeField()  # When it is due, or until when a worker has it.
    asked_at = models.DateTimeField(null=True)  # The end of the last round.
    failures = models.PositiveIntegerField(default=0)  # Consecutive rounds without an answer.
    problem = models.CharField(max_length=16, blank=True)  # Of domains.postmaster.answers; empty: none.
    replied = models.CharField(max_length=200, blank=True)  # Google's own words; untrusted text.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.account} {self.problem}".strip()


class PostmasterDomain(models.Model):
    """What Postmaster Tools says of a domain as it is now, and whether it could be read."""

    domain = models.OneToOneField(SendingDomain, on_delete=models.CASCADE, related_name="postmaster")
    account = models.ForeignKey(OAuthAccount, null=True, on_delete=models.SET_NULL, related_name="+")
    asked_at = models.DateTimeField(null=True)
    read_at = models.DateTimeField(null=True)  # The last time that the figures were read.
    problem = models.CharField(max_length=16, blank=True)  # Of domains.postmaster.answers; empty: none.
    replied = models.CharField(max_length=200, blank=True)  # Google's own words; untrusted text.
    requirements = models.JSONField(default=dict)  # Google's names of them, and whether they are met.

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.domain} {self.problem}".strip()


class PostmasterDay(models.Model):
    """Gmail's shares of one day's mail from a domain, from 0 to 1; None where Google says nothing."""

    domain = models.ForeignKey(SendingDomain, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()  # As Google counts days.
    spam_rate = models.FloatField(null=True)  # Marked as spam by users, of what was delivered to inboxes.
    spf_rate = models.FloatField(null=True)
    dkim_rate = models.FloatField(null=True)
    dmarc_rate = models.FloatField(null=True)
    tls_rate = models.FloatField(null=True)
    rejected_rate = models.FloatField(null=True)
    deferred_rate = models.FloatField(null=True)
    reasons = models.JSONField(default=dict)  # The same by reason, by the metrics' names.

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["domain", "day"], name="postmaster_of_day")]
        indexes = [models.Index(fields=["day"], name="postmaster_day")]  # Retention.

    def __str__(self) -> str:
        return f"{self.domain} {self.day}"
