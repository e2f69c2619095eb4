"""Which mailings a campaign has sent, and which campaign a mailing is of."""

from campaigns.models import Campaign


def mailing_ids(campaign: Campaign) -> list[int]:
    """Return the campaign's mailings in the order they were begun; none before it is frozen."""
    return [campaign.mailing_id] if campaign.mailing_id is not None else []


def campaign_of(mailing_id: int) -> Campaign | None:
    """Return the campaign that a mailing is of; None for a test, a single message, or a campaign that is gone."""
    return Campaign.objects.filter(mailing=mailing_id).first()
