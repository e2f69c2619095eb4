"""The mailings of a campaign, and the campaign of a mailing.

A campaign without an A/B test has one mailing. A campaign with a test has one for each variant, sent to the sample;
``Campaign.mailing`` is the mailing to the rest, once the winner is chosen.
"""

import hashlib
from collections.abc import Iterable

from django.db.models import Q, QuerySet, Sum

from campaigns.models import Campaign, FrozenContent, Variant
from delivery.content.test_inbox import leads_to_test_inbox
from delivery.models import Mailing, Message, StatusCount
from smtpservers.models import SmtpServer


def mailing_ids(campaign: Campaign) -> list[int]:
    """Return the ids of the campaign's mailings in the order of their start; empty before they are made."""
    samples = Variant.objects.filter(experiment__campaign=campaign.pk, mailing__isnull=False)
    found = list(samples.order_by("position").values_list("mailing_id", flat=True))
    return [*found, campaign.mailing_id] if campaign.mailing_id is not None else found


def people_in(mailing_ids: Iterable[int]) -> int:
    """Return the number of people in these mailings, without suppressed ones."""
    rows = StatusCount.objects.filter(mailing__in=list(mailing_ids), is_copy=False)
    return rows.exclude(status=Message.Status.SUPPRESSED).aggregate(sum=Sum("number"))["sum"] or 0


def identity_of(campaign: Campaign) -> str:
    """Return the value from which the Message-IDs of a queued campaign are derived; empty for a draft.

    The value is the same if the queued campaign is started again, for example in a database restored from a dump that
    is older than the start. So receivers recognise a second copy.
    """
    frozen = FrozenContent.objects.filter(campaign=campaign.pk).first()
    if frozen is None:
        return ""
    queued = f"{campaign.pk} {campaign.letter} {frozen.version} {frozen.frozen_at.isoformat()}"
    return hashlib.blake2b(queued.encode(), digest_size=16).hexdigest()


def is_for_test_inbox(campaign: Campaign) -> bool:
    """Whether the campaign goes to the test inbox, by the servers that can take its mail: active and tested ones.

    Servers that lead there never share a campaign with real ones; the preflight checks have found the usable ones to be
    of one kind. The mailing keeps it, so that whatever is added, tested or changed later takes nothing of the other
    kind. While none is usable, the active ones decide, and while none is active all that are chosen.
    """
    servers = SmtpServer.objects.all()
    chosen = [server for server in servers if not campaign.server_ids or server.pk in campaign.server_ids]
    active = [server for server in chosen if server.is_active]
    deciding = [server for server in active if server.tested_at is not None] or active or chosen
    return bool(deciding) and all(leads_to_test_inbox(server) for server in deciding)


def of_mailing(mailing_id: int) -> Q:
    """Return the condition that this mailing belongs to a campaign."""
    return Q(mailing=mailing_id) | Q(pk__in=Variant.objects.filter(mailing=mailing_id).values("experiment__campaign"))


def mailings_of(campaign_ids: Iterable[int]) -> QuerySet[Mailing]:
    """Return the mailings of these campaigns, for use within a query."""
    wanted = list(campaign_ids)
    samples = Variant.objects.filter(experiment__campaign__in=wanted, mailing__isnull=False)
    mains = Campaign.objects.filter(pk__in=wanted, mailing__isnull=False)
    return Mailing.objects.filter(Q(pk__in=mains.values("mailing")) | Q(pk__in=samples.values("mailing")))


def campaign_of(mailing_id: int) -> Campaign | None:
    """Return the campaign of a mailing; None for a test, a transactional message or a deleted campaign."""
    return Campaign.objects.filter(of_mailing(mailing_id)).first()
