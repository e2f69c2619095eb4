"""Stored findings about the domain and the server of a campaign whose mail goes to real mailboxes."""

import datetime as dt
import importlib
from typing import Any

from campaigns.models import Campaign
from campaigns.preflight.finding import Finding
from campaigns.preflight.review import Review, review
from delivery.models import ScoreCount
from domains.models import DnsFinding, SendingDomain
from mail.records.finding import Line
from smtpservers.models import ServerSession, SmtpServer

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
AUTHOR, ENVELOPE = "gatehouse.net", "bounces.gatehouse.net"
GOOD_ROW = ["Relay", ENVELOPE, AUTHOR, True, True]


def serve_https(settings: Any) -> None:
    """Let the site have a public address, as one-click unsubscribing needs."""
    importlib.import_module("brilliance.urls")  # Views keep the address that they find when they are imported.
    settings.BASE_URL, settings.IS_HTTPS, settings.IS_LOOPBACK = "https://mail.gatehouse.net", True, False


def know(domain: str, line: Line, state: str = "good", fault: str = "", sentence: str = "", **fields: Any) -> None:
    """Store what DNS said of a line of a domain."""
    owner, _ = SendingDomain.objects.get_or_create(name=domain)
    values = {"changed_at": NOW, "asked_at": NOW, "state": state, "fault": fault, "sentence": sentence or f"{fault}."}
    DnsFinding.objects.update_or_create(domain=owner, line=line.value, defaults=values | fields)


def know_all(asked_at: dt.datetime = NOW, row: list[Any] = GOOD_ROW) -> None:
    """Store that everything about both domains is good."""
    for domain in (AUTHOR, ENVELOPE):
        for line in Line:
            know(domain, line, asked_at=asked_at, rows=[row] if line is Line.ALIGNMENT else [])


def tried(server: SmtpServer, **fields: Any) -> None:
    """Store a session that went well, but for these fields."""
    features = "8BITMIME CHUNKING DSN PIPELINING SIZE SMTPUTF8"
    usual = {"asked_at": NOW, "version": server.version, "is_encrypted": True, "extensions": features}
    ServerSession.objects.update_or_create(server=server, defaults=usual | fields)


def accepted(provider: str, number: int, *, days_ago: int = 0, kind: str = "accepted") -> None:
    """Let a provider have accepted mail of the domain, or another fate of it."""
    day = NOW.date() - dt.timedelta(days=days_ago)
    ScoreCount.objects.create(day=day, from_domain=AUTHOR, provider=provider, kind=kind, number=number)


def of(found: Review, check_id: str) -> list[Finding]:
    return [finding for finding in found.findings if finding.check_id == check_id]


def told(campaign: Campaign, check_id: str, now: dt.datetime = NOW) -> list[str]:
    """Return the severities of the findings of one check in the real review."""
    return [finding.severity.value for finding in of(review(campaign, now), check_id)]
