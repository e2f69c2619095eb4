"""Changes the servers of a campaign that is already on its way. The plan of the outbox follows within a second."""

import datetime as dt
from collections.abc import Collection, Sequence

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from campaigns.models import Campaign
from campaigns.preflight.refusals import server_refusals
from campaigns.schedule import mailings
from delivery.content.test_inbox import leads_to_test_inbox
from delivery.models import Mailing, MailingOutcome
from smtpservers.models import SmtpServer

STEERABLE = (Campaign.Status.SCHEDULED, Campaign.Status.SENDING, Campaign.Status.PAUSED)


def change_servers(campaign_id: int, server_ids: Sequence[int], now: dt.datetime) -> list[str]:
    """Let only these servers send the remaining messages; without any, all that the routing rules allow.

    Messages that a server has claimed already, a few seconds' worth, still leave through it.

    :return: the reasons to refuse; empty if the servers were changed.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().get(pk=campaign_id)
        if campaign.status not in STEERABLE:
            return [_("This campaign isn't scheduled or sending, so its servers can't be changed here.")]
        campaign.server_ids = list(server_ids)
        if reasons := server_refusals(campaign, now):
            return reasons
        its = Mailing.objects.filter(pk__in=mailings.mailing_ids(campaign))
        is_for_test_inbox = mailings.is_for_test_inbox(campaign)
        if _has_begun(its) and its.exclude(is_for_test_inbox=is_for_test_inbox).exists():
            return [
                _("A part of this campaign was sent already. It can't change between the test inbox and real servers.")
            ]
        Campaign.objects.filter(pk=campaign_id).update(server_ids=campaign.server_ids)
        # A stored reason to wait was about the old servers; the next plan finds the new one.
        its.update(server_ids=campaign.server_ids, is_for_test_inbox=is_for_test_inbox)
    return []


def _has_begun(its: QuerySet[Mailing]) -> bool:
    """Whether a server has answered for a message of these mailings."""
    return MailingOutcome.objects.filter(mailing__in=its).exists()


def users_of_servers(server_ids: Collection[int]) -> list[str]:
    """Return the names of unfinished campaigns that have chosen one of these servers or have no other, for people."""
    unfinished = Campaign.objects.filter(status__in=Campaign.UNFINISHED).order_by("name")
    servers = list(SmtpServer.objects.only("host", "port"))
    return [
        _("the campaign “%(name)s”") % {"name": campaign}
        for campaign in unfinished.only("name", "status", "server_ids", "mailing")
        if set(server_ids) & set(campaign.server_ids) or _needs(campaign, server_ids, servers)
    ]


def _needs(campaign: Campaign, server_ids: Collection[int], servers: Sequence[SmtpServer]) -> bool:
    """Whether the campaign's mail on its way is for the test inbox, and only these of the servers lead it there."""
    if campaign.status not in STEERABLE:
        return False
    under_way = Mailing.objects.filter(
        pk__in=mailings.mailing_ids(campaign), is_for_test_inbox=True, finished_at__isnull=True
    )
    inbox = {server.pk for server in servers if leads_to_test_inbox(server)}
    for named in under_way.values_list("server_ids", flat=True):
        possible = inbox & set(named) if named else inbox
        if possible and possible <= set(server_ids):
            return True
    return False
