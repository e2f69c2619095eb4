"""The domains that mail is sent from, the findings about them, and the changes of those findings."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from mail.addresses import readable_domain
from mail.records.finding import Line, State


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
    checked_at = models.DateTimeField(null=True, editable=False)  # The last time that every line was asked for.
    # When it is due. None: it is not asked for by itself.
    next_check_at = models.DateTimeField(null=True, editable=False)
    taken_at = models.DateTimeField(null=True, editable=False)  # When a worker began the look that is under way.
    # Of the last MTA-STS policy, to notice what senders would miss: id, text, and since when it is in test mode.
    sts = models.JSONField(default=dict, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = _("domain")
        verbose_name_plural = _("domains")
        indexes = [models.Index(fields=["next_check_at"], name="domain_due")]  # The errand's question.

    def __str__(self) -> str:
        return readable_domain(self.name)


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
