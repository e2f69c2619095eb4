"""An A/B test: its variants, its sample and its winner."""

import datetime as dt
import secrets

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from delivery.models import Mailing

LETTERS = "ABCDE"


def _seed() -> str:
    return secrets.token_hex(8)


class Experiment(models.Model):
    """The A/B test of a campaign: a sample gets the variants, then the rest gets the winner."""

    class WinnerBy(models.TextChoices):
        """How the winner is chosen. Only visits by people count, never those of programs."""

        HAND = "hand", _("I choose")
        CLICKS = "clicks", _("Most clicks, automatically")
        OPENS = "opens", _("Most opens, automatically (estimate)")

    class Undecided(models.TextChoices):
        """Why no winner was chosen automatically; a person has to choose."""

        UNCOUNTED = "uncounted", _("Opens and clicks aren't counted for this campaign.")
        # The number is that of campaigns.ab_test.winner.FEWEST.
        FEW = "few", _("Too few visits to choose by: the best variant needs at least 10.")
        TIE = "tie", _("Two variants are equally good.")
        REFUSED = "refused", _("A list or segment of the campaign is gone.")

    campaign = models.OneToOneField("campaigns.Campaign", on_delete=models.CASCADE, related_name="experiment")
    sample_percent = models.PositiveSmallIntegerField(
        _("sample size"),
        default=20,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_(
            "Percentage of recipients in the test, split evenly between the variants. At 100% everyone is in the test"
            " and there is no winner send."
        ),
    )
    wait_hours = models.PositiveSmallIntegerField(
        _("waiting time (hours)"),
        default=4,
        validators=[MaxValueValidator(24 * 14)],
        help_text=_("Wait this long after the test starts before choosing a winner."),
    )
    winner_by = models.CharField(
        _("winner"),
        max_length=6,
        choices=WinnerBy,
        default=WinnerBy.HAND,
        db_default=WinnerBy.HAND,
        help_text=_(
            "Automatic: when the waiting time is over, everyone else gets the variant with the most clicks per accepted"
            " message. On a tie, or with fewer than 10 clicks on the best variant, you choose."
        ),
    )
    undecided = models.CharField(max_length=9, choices=Undecided, blank=True, db_default="", editable=False)
    seed = models.CharField(max_length=16, default=_seed, editable=False)  # Gives each test a different sample.
    expected = models.PositiveIntegerField(null=True, editable=False)  # Size of the audience when the test began.
    begun_at = models.DateTimeField(null=True, editable=False)
    winner = models.ForeignKey(
        "campaigns.Variant", null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    chosen_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )
    chosen_at = models.DateTimeField(null=True, editable=False)
    # Recipients including the rest, if that is more than were approved. Then a second person has to choose the winner.
    unapproved = models.PositiveIntegerField(null=True, editable=False)
    is_rest_open = models.BooleanField(default=False, editable=False)  # The messages of the rest exist and may leave.

    def __str__(self) -> str:
        return f"A/B test of {self.campaign}"

    @property
    def ripe_at(self) -> dt.datetime | None:
        """The time to choose the winner; None before the start."""
        return self.begun_at + dt.timedelta(hours=self.wait_hours) if self.begun_at else None

    def is_ripe(self, now: dt.datetime) -> bool:
        return self.ripe_at is not None and self.ripe_at <= now

    @property
    def waits_for_winner(self) -> bool:
        """Whether its sample is on its way or sent, and the rest waits."""
        return self.begun_at is not None and self.has_rest and self.winner_id is None

    @property
    def holds_rest(self) -> bool:
        """Whether the rest has no messages yet that may leave, though the test has begun."""
        return self.begun_at is not None and self.has_rest and not self.is_rest_open

    @property
    def has_rest(self) -> bool:
        """Whether a rest of the audience is left for the winner."""
        return self.sample_percent < 100


class Variant(models.Model):
    """One variant of an A/B test. An empty field falls back to the campaign's value."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    position = models.PositiveSmallIntegerField()
    subject = models.CharField(_("subject"), max_length=300, blank=True)
    preheader = models.CharField(_("preheader"), max_length=200, blank=True)
    mail_from = models.CharField(_("from"), max_length=400, blank=True)
    body = models.TextField(_("content"), blank=True, help_text=_("In the campaign's format."))
    text = models.TextField(_("text"), blank=True)
    mailing = models.OneToOneField(Mailing, null=True, editable=False, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["position"]
        constraints = [models.UniqueConstraint(fields=["experiment", "position"], name="one_variant_each")]

    def __str__(self) -> str:
        return LETTERS[self.position]
