"""The health of servers: their last replies, what they hold back, and their incidents, for the operators to read."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from delivery.models import Attempt, Incident
from delivery.outcomes import provider_holds
from delivery.outcomes.provider_holds import HoldView
from smtpservers.limits import refused_senders
from smtpservers.models import RefusedSender, SmtpServer

LOOKED_AT = 20_000  # Attempts.
REPLIES = 3  # Of a server.


@dataclass(frozen=True, slots=True)
class ServerHealth:
    server: SmtpServer
    replies: list[Attempt]  # The newest that kept mail from leaving.
    holds: list[HoldView]
    senders: list[RefusedSender]
    incidents: list[Incident]


def of(servers: list[SmtpServer], now: dt.datetime) -> list[ServerHealth]:
    """Return the health of these servers, with as many queries for ten as for one."""
    replies: dict[int, list[Attempt]] = defaultdict(list)
    for attempt in replies_of(servers):
        if attempt.batch.server_id and len(replies[attempt.batch.server_id]) < REPLIES:
            replies[attempt.batch.server_id].append(attempt)
    incidents: dict[int, list[Incident]] = defaultdict(list)
    for incident in Incident.objects.filter(server__in=servers, seen_at__gt=now - Incident.SHOWN_FOR):
        incidents[incident.server_id].append(incident)
    holds = provider_holds.of_servers([server.pk for server in servers], now)
    senders = refused_senders.of_servers(servers, now)
    return [
        ServerHealth(
            server,
            replies[server.pk],
            holds.get(server.pk, []),
            senders.get(server.pk, []),
            incidents[server.pk],
        )
        for server in servers
    ]


def replies_of(servers: Iterable[SmtpServer]) -> QuerySet[Attempt]:
    """Return what kept mail from leaving, the newest first: refusals and lost lines, not messages never begun."""
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    recent = Attempt.objects.filter(pk__gt=newest - LOOKED_AT, batch__server__in=servers).exclude(reply="")
    is_no_trouble = [Attempt.Outcome.ACCEPTED, Attempt.Outcome.NOT_SENT]
    return recent.exclude(outcome__in=is_no_trouble).select_related("batch").order_by("-pk")
