"""The content of a campaign in one of its variants."""

import copy

from campaigns.models import Campaign, Experiment, Variant

VARIED = ("subject", "preheader", "mail_from", "text")


def as_campaign(campaign: Campaign, variant: Variant) -> Campaign:
    """Return a copy of the campaign with the variant's content, to check, preview and freeze. Never save it."""
    varied = copy.copy(campaign)
    varied.letter = str(variant)
    for name in VARIED:
        if value := getattr(variant, name):
            setattr(varied, name, value)
    if variant.body:
        setattr(varied, campaign.markup, variant.body)
        if not variant.text:
            varied.text = ""  # The campaign's text would differ from the variant's HTML.
    return varied


def experiment_of(campaign: Campaign) -> Experiment | None:
    """Return the campaign's A/B test; None if it has none."""
    return Experiment.objects.filter(campaign=campaign.pk).select_related("winner").first()


def have_same_content(campaign: Campaign, one: Variant, other: Variant) -> bool:
    """Whether a recipient could not tell the two variants apart."""
    fields = (*VARIED, campaign.markup)
    first, second = as_campaign(campaign, one), as_campaign(campaign, other)
    return all(getattr(first, name) == getattr(second, name) for name in fields)
