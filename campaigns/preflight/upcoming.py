"""What the errands that try servers and ask DNS are told of campaigns: what they will soon use, and their own From."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator

from django.db.models import QuerySet

from campaigns.content.written import Written
from campaigns.models import Campaign
from campaigns.preflight.checks.dns import names_of
from campaigns.preflight.checks.routes import carried, routes_of
from smtpservers.routing.fleet import Fleet

BEFORE = dt.timedelta(minutes=10)  # Long enough for a try, and short enough that it still counts at the start.
MOST_CAMPAIGNS = 50  # Whose own From is asked about.


def upcoming_servers(now: dt.datetime) -> Iterator[int]:
    """Yield the servers of the scheduled campaigns that start soon."""
    fleet = Fleet(now)
    for written in Written.each(_soon(now)):
        for _letter, content in written.contents:
            yield from (server.pk for server in fleet.carriers(content.mail_from, content.server_ids))


def upcoming_domains(now: dt.datetime) -> Iterator[str]:
    """Yield the domains that the scheduled campaigns that start soon are checked for, as A-labels."""
    fleet = Fleet(now)
    for written in Written.each(_soon(now)):
        yield from names_of(routes_of(carried(written, fleet)))


def _soon(now: dt.datetime) -> QuerySet[Campaign]:
    return Campaign.objects.filter(
        status=Campaign.Status.SCHEDULED, starts_at__lte=now + BEFORE, is_overdue=False, mailing=None
    )


def senders_by_server(now: dt.datetime) -> dict[int, list[str]]:
    """Return the From of campaigns that may still leave through each server, the newest first."""
    found: dict[int, list[str]] = defaultdict(list)
    own = Campaign.objects.filter(status__in=Campaign.UNFINISHED).exclude(mail_from="")
    fleet = Fleet(now)
    for campaign in own.order_by("-pk")[:MOST_CAMPAIGNS]:
        for server in fleet.carriers(campaign.mail_from, campaign.server_ids):
            found[server.pk].append(campaign.mail_from)
    return found
