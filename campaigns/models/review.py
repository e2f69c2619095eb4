"""The steps before a campaign is queued: approval, overridden checks, tests to seed lists."""

from django.conf import settings
from django.core.validators import MaxValueValidator
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from campaigns.models.campaign import Campaign


class ApprovalRule(models.Model):
    """The number of recipients above which a campaign needs approval: one row, changed by administrators."""

    needed_above = models.PositiveIntegerField(
        _("approval threshold"),
        null=True,
        blank=True,
        help_text=_(
            "Campaigns to more people than this need a second person's approval. Leave empty to turn approval off."
        ),
    )
    tolerance_percent = models.PositiveSmallIntegerField(
        _("allowed growth (percent)"),
        default=5,
        db_default=5,
        validators=[MaxValueValidator(100)],
        help_text=_(
            "An approved campaign still starts if its audience has grown by no more than this. Leave empty for 5."
        ),
    )
    tolerance_people = models.PositiveIntegerField(
        _("allowed growth (people)"),
        default=100,
        db_default=100,
        help_text=_("The smaller of the two limits applies. 0 allows no growth. Leave empty for 100."),
    )

    class Meta:
        verbose_name = _("approval rule")
        verbose_name_plural = _("approval rule")

    def __str__(self) -> str:
        if self.needed_above is None:
            return gettext("No campaign needs approval.")
        return ngettext(
            "Campaigns to more than %(n)s person need approval.",
            "Campaigns to more than %(n)s people need approval.",
            self.needed_above,
        ) % {"n": f"{self.needed_above:,}"}


class Approval(models.Model):
    """A request for a second person's approval of a campaign, and the decision. Rows are never deleted."""

    class Decision(models.TextChoices):
        OPEN = "", _("Requested")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="approvals")
    # A hash of everything in the campaign at the time of the request; see campaigns.lifecycle.approvals.
    version = models.CharField(max_length=64)
    requested_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    requested_by_name = models.CharField(max_length=150)
    requested_at = models.DateTimeField()
    request_note = models.CharField(max_length=1000, blank=True)
    people = models.PositiveIntegerField(null=True)  # The number of recipients that was shown at the decision.
    decision = models.CharField(max_length=8, choices=Decision, default=Decision.OPEN, blank=True)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    decided_by_name = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["campaign"],
                condition=models.Q(decision=""),
                name="one_open_approval_each",
            )
        ]

    def __str__(self) -> str:
        return f"{self.campaign}: {self.get_decision_display()}"


class CheckOverride(models.Model):
    """A preflight check that an administrator overrode, and why. Valid for one version only. Rows are never deleted."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="overrides")
    check_id = models.CharField(max_length=16)
    version = models.CharField(max_length=64)  # As in :class:`Approval`.
    sentence = models.CharField(max_length=1000)  # The finding that was overridden.
    reason = models.CharField(max_length=1000)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    by_name = models.CharField(max_length=150)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-pk"]
        constraints = [models.UniqueConstraint(fields=["campaign", "check_id", "version"], name="one_override_each")]

    def __str__(self) -> str:
        return f"{self.check_id} of {self.campaign}: {self.reason}"


class SeedList(models.Model):
    """Addresses of our own at the usual mailbox providers. They get a test of a campaign, to be checked by eye."""

    name = models.CharField(_("name"), max_length=150, unique=True)
    addresses = models.TextField(_("addresses"), max_length=8000, help_text=_("One address per line, at most 20."))
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = _("seed list")
        verbose_name_plural = _("seed lists")

    def __str__(self) -> str:
        return self.name
