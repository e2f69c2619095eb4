"""The form of an A/B test: size of the sample, hours to wait, and the content of each variant."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from adminpages.changes import NoticesChanges
from adminpages.text_fields import RefusesControls
from campaigns.ab_test.variants import VARIED
from campaigns.ab_test.winner import Counting
from campaigns.content.build import body_of
from campaigns.content.written import Written
from campaigns.models import Campaign, Experiment, Variant
from campaigns.models.experiment import LETTERS
from mail.addresses import AddressInvalid, parse_mailbox
from mail.markup import TooMuch, check_bounds
from mail.merge_fields import MergeError, parse
from words.texts import translated

LEAST = 2
MOST_SHOWN = 500  # Characters of an inherited value.
SAID = ("subject", "preheader", "mail_from", "body", "text")


class ExperimentForm(RefusesControls, NoticesChanges, forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = Experiment
        fields = ["sample_percent", "wait_hours", "winner_by"]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        is_automatic = cleaned.get("winner_by", Experiment.WinnerBy.HAND) != Experiment.WinnerBy.HAND
        if is_automatic and cleaned.get("wait_hours") == 0 and cleaned.get("sample_percent") != 100:
            self.add_error(
                "wait_hours", _("Enter 1 hour or more to choose automatically. Visits take time to come in.")
            )
        return cleaned


class VariantForm(NoticesChanges, RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    prose = frozenset({"subject", "preheader"})

    class Meta:
        model = Variant
        fields = [*SAID]
        widgets = {"body": forms.Textarea(attrs={"rows": 8}), "text": forms.Textarea(attrs={"rows": 4})}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name in ("subject", "preheader", "body", "text"):
            try:
                parse(cleaned.get(name) or "")
                check_bounds(cleaned.get(name) or "")
            except (MergeError, TooMuch) as error:
                self.add_error(name, translated(error))
        try:
            if cleaned.get("mail_from"):
                parse_mailbox(cleaned["mail_from"])
        except AddressInvalid as error:
            self.add_error("mail_from", translated(error))
        return cleaned

    @property
    def says_anything(self) -> bool:
        return any(self.cleaned_data.get(name) for name in SAID)


class VariantForms:
    """All forms of one A/B test. The first variant may be the campaign itself; the others contain their changes."""

    def __init__(self, campaign: Campaign, given: Any = None) -> None:
        self._campaign = campaign
        self.experiment = Experiment.objects.filter(campaign=campaign).first() or Experiment(campaign=campaign)
        known = {} if self.experiment.pk is None else {v.position: v for v in self.experiment.variants.all()}
        self.form = ExperimentForm(given, instance=self.experiment)
        self.variants = [
            VariantForm(given, instance=known.get(position) or Variant(position=position), prefix=f"v{position}")
            for position in range(len(LETTERS))
        ]
        self.problem = ""
        inherited = {name: getattr(campaign, name) for name in VARIED} | {"body": body_of(campaign)}
        for form in self.variants:
            for name, value in inherited.items():
                same = _("As the campaign: %(value)s") % {"value": value[:MOST_SHOWN]} if value else ""
                form.fields[name].widget.attrs["placeholder"] = same

    def is_valid(self) -> bool:
        valid = [form.is_valid() for form in (self.form, *self.variants)]
        if not all(valid):
            return False
        if not any(form.says_anything for form in self.variants[1:]):
            self.problem = _("Add a second variant with its own subject, sender or content.")
            return False
        if why_not := self._why_nobody_can_be_ahead():
            advice = _("Choose “I choose”, or turn on counting first.")
            self.form.add_error("winner_by", f"{why_not} {advice}")
        return not self.form.errors

    def _why_nobody_can_be_ahead(self) -> str:
        """Return why the visits that are to choose the winner aren't counted; empty if they are, or nothing chooses."""
        winner_by = self.form.cleaned_data["winner_by"]
        if winner_by == Experiment.WinnerBy.HAND or self.form.cleaned_data["sample_percent"] == 100:
            return ""
        own = body_of(self._campaign)
        has_html = all((form.cleaned_data["body"] or own).strip() for form in self._kept)
        counting = Counting(Written(self._campaign).tracking, has_html, self._campaign.track_text)
        return counting.why_not(by_opens=winner_by == Experiment.WinnerBy.OPENS)

    @property
    def _kept(self) -> list[VariantForm]:
        """The first variant, and the others that say anything."""
        return [form for form in self.variants if form is self.variants[0] or form.says_anything]

    def save(self) -> Experiment:
        """Store the test. Empty variants after the first one are left out.

        :raises ValidationError: if the campaign has been queued meanwhile.
        """
        with transaction.atomic():
            campaign = Campaign.objects.select_for_update().get(pk=self._campaign.pk)
            if campaign.status != Campaign.Status.DRAFT:
                raise ValidationError(_("The campaign has been queued, so its A/B test can't be changed any more."))
            experiment: Experiment = self.form.save()
            experiment.variants.all().delete()
            for position, form in enumerate(self._kept):
                said = {name: form.cleaned_data[name] for name in SAID}
                Variant.objects.create(experiment=experiment, position=position, **said)
            campaign.save(update_fields=["updated_at"])  # Makes earlier checks of the campaign void.
        return experiment


def remove(campaign_id: int) -> bool:
    """Remove the A/B test of a draft. False if the campaign is no draft or has no test."""
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        if campaign.status != Campaign.Status.DRAFT:
            return False
        is_removed = bool(Experiment.objects.filter(campaign=campaign).delete()[0])
        campaign.save(update_fields=["updated_at"])  # Makes earlier checks of the campaign void.
    return is_removed
