"""What a campaign says in one of its variants."""

import copy

from campaigns.models import Campaign, Experiment, Variant

VARIED = ("subject", "preheader", "mail_from", "text")


def as_campaign(campaign: Campaign, variant: Variant) -> Campaign:
    """Return the campaign as the variant has it, to be checked, previewed and frozen; never to be saved."""
    varied = copy.copy(campaign)
    varied.letter = str(variant)
    for name in VARIED:
        if value := getattr(variant, name):
            setattr(varied, name, value)
    if variant.body:
        setattr(varied, "html" if campaign.markup == Campaign.Markup.HTML else "source", variant.body)
        if not variant.text:
            varied.text = ""  # That of the campaign would tell those who read text another story.
    return varied


def contents_of(campaign: Campaign) -> list[tuple[str, Campaign]]:
    """Return what recipients may get: each variant of the A/B test with its letter, or the campaign with none."""
    variants = Variant.objects.filter(experiment__campaign=campaign.pk)
    return [(str(variant), as_campaign(campaign, variant)) for variant in variants] or [("", campaign)]


def experiment_of(campaign: Campaign) -> Experiment | None:
    """Return the campaign's A/B test, if it has one."""
    return Experiment.objects.filter(campaign=campaign.pk).select_related("winner").first()


def is_saying_the_same(campaign: Campaign, one: Variant, other: Variant) -> bool:
    """Whether nobody could tell the two apart."""
    fields = (*VARIED, "html", "source")
    first, second = as_campaign(campaign, one), as_campaign(campaign, other)
    return all(getattr(first, name) == getattr(second, name) for name in fields)
