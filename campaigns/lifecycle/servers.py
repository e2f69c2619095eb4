"""Changes the servers of a campaign that is already on its way. The plan of the outbox follows within a second."""

import datetime as dt
from collections.abc import Collection, Sequence

from django.db import transaction
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
        its, new = mailings.mailing_ids(campaign), mailings.servers_of(campaign)
        if _is_for_inbox(new) != _is_for_inbox(_used(its)) and _used(its):
            return [
                _("A part of this campaign was sent already. It can't change between the test inbox and real servers.")
            ]
        Campaign.objects.filter(pk=campaign_id).update(server_ids=campaign.server_ids)
        # A stored reason to wait was about the old servers; the next plan finds the new one.
        Mailing.objects.filter(pk__in=its).update(server_ids=new)
    return []


def _used(mailing_ids: Collection[int]) -> list[int]:
    """Return the servers that have answered for messages of these mailings, without deleted ones."""
    names = MailingOutcome.objects.filter(mailing__in=list(mailing_ids)).order_by().values("server_name").distinct()
    return list(SmtpServer.objects.filter(name__in=names).values_list("pk", flat=True))


def _is_for_inbox(server_ids: Collection[int]) -> bool:
    """Whether these servers lead to the test inbox. Empty means all, of which none does then."""
    named = SmtpServer.objects.filter(pk__in=list(server_ids))
    return any(leads_to_test_inbox(server) for server in named)


def users_of_servers(server_ids: Collection[int]) -> list[str]:
    """Return the names of unfinished campaigns that have chosen one of these servers, for people."""
    unfinished = Campaign.objects.filter(status__in=Campaign.UNFINISHED).only("name", "server_ids").order_by("name")
    return [
        _("the campaign “%(name)s”") % {"name": campaign}
        for campaign in unfinished
        if set(server_ids) & set(campaign.server_ids)
    ]
