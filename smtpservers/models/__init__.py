"""The tables of the servers: servers, their quotas and use, their last sessions, and routing rules."""

from smtpservers.models.quota import QuotaPeriod, RecentUse, UsageEntry
from smtpservers.models.routes import RefusedSender, Route
from smtpservers.models.server import SECRETS, STATE, SmtpServer
from smtpservers.models.session import ServerSession

__all__ = [
    "SECRETS",
    "STATE",
    "QuotaPeriod",
    "RecentUse",
    "RefusedSender",
    "Route",
    "ServerSession",
    "SmtpServer",
    "UsageEntry",
]
