"""What the errand that tries servers is told of campaigns: the servers they are about to use, and their own From."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

from campaigns.content.written import Written
from campaigns.models import Campaign
from smtpservers.routing.fleet import Fleet

BEFORE = dt.timedelta(minutes=10)  # Long enough for a try, and short enough that it still counts at the start.
MOST_CAMPAIGNS = 50  # Whose own From is asked about.


def upcoming_servers(now: dt.datetime) -> Iterator[int]:
    """Yield the servers of the scheduled campaigns that start soon."""
    soon = Campaign.objects.filter(
        status=Campaign.Status.SCHEDULED, starts_at__lte=now + BEFORE, is_overdue=False, mailing=None
    )
    fleet = Fleet(now)
    for written in Written.each(soon):
        for _letter, content in written.contents:
            yield from (server.pk for server in fleet.carriers(content.mail_from, content.server_ids))


def senders_by_server(now: dt.datetime) -> dict[int, list[str]]:
    """Return the From of campaigns that may still leave through each server, the newest first."""
    found: dict[int, list[str]] = defaultdict(list)
    own = Campaign.objects.filter(status__in=Campaign.UNFINISHED).exclude(mail_from="")
    fleet = Fleet(now)
    for campaign in own.order_by("-pk")[:MOST_CAMPAIGNS]:
        for server in fleet.carriers(campaign.mail_from, campaign.server_ids):
            found[server.pk].append(campaign.mail_from)
    return found
