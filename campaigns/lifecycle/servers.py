"""Which servers send a campaign that is on its way already; the plan follows within a second."""

from collections.abc import Collection, Sequence

from django.db import transaction

from campaigns.models import Campaign
from campaigns.preflight.refusals import server_refusals
from campaigns.schedule import mailings
from delivery.models import Mailing

STEERABLE = (Campaign.Status.SCHEDULED, Campaign.Status.SENDING, Campaign.Status.PAUSED)
NOT_ON_ITS_WAY = "The campaign is not on its way, so its servers cannot be changed here."


def change_servers(campaign_id: int, server_ids: Sequence[int]) -> list[str]:
    """Let only these servers send the rest, or all that the rules allow if none is named; return why not.

    What a server has in hand already, a few seconds' worth, still leaves through it.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        if campaign.status not in STEERABLE:
            return [NOT_ON_ITS_WAY]
        campaign.server_ids = list(server_ids)
        if reasons := server_refusals(campaign):
            return reasons
        Campaign.objects.filter(pk=campaign_id).update(server_ids=campaign.server_ids)
        # A reason to wait was about the old ones; the next plan finds out anew.
        Mailing.objects.filter(pk__in=mailings.mailing_ids(campaign)).update(server_ids=campaign.server_ids)
    return []


def users_of_servers(server_ids: Collection[int]) -> list[str]:
    """Return the campaigns that are not over and name one of these servers; their names, for people."""
    unfinished = Campaign.objects.filter(status__in=Campaign.UNFINISHED).only("name", "server_ids").order_by("name")
    return [f"the campaign “{campaign}”" for campaign in unfinished if set(server_ids) & set(campaign.server_ids)]
