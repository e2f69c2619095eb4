"""What the errand that tries servers is told of campaigns: the servers they are about to use, and their own From."""

import datetime as dt
from collections.abc import Iterator

from campaigns.content.written import Written
from campaigns.models import Campaign
from smtpservers.models import SmtpServer
from smtpservers.routing.fleet import Fleet

BEFORE = dt.timedelta(minutes=10)  # Long enough for a try, and short enough that it still counts at the start.


def upcoming_servers(now: dt.datetime) -> Iterator[int]:
    """Yield the servers of the scheduled campaigns that start soon."""
    soon = Campaign.objects.filter(
        status=Campaign.Status.SCHEDULED, starts_at__lte=now + BEFORE, is_overdue=False, mailing=None
    )
    fleet = Fleet(now)
    for written in Written.each(soon):
        for _letter, content in written.contents:
            yield from (server.pk for server in fleet.carriers(content.mail_from, content.server_ids))


def senders_through(server: SmtpServer, now: dt.datetime) -> Iterator[str]:
    """Yield the From of campaigns that may still leave through a server, the newest first."""
    fleet = Fleet(now)
    own = Campaign.objects.filter(status__in=Campaign.UNFINISHED).exclude(mail_from="")
    for campaign in own.order_by("-pk"):
        if server.pk in {each.pk for each in fleet.carriers(campaign.mail_from, campaign.server_ids)}:
            yield campaign.mail_from
