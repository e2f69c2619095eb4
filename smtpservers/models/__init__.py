"""The tables of the servers: servers, their quotas and use, and routing rules."""

from smtpservers.models.quota import QuotaPeriod, RecentUse, UsageEntry
from smtpservers.models.routes import RefusedSender, Route
from smtpservers.models.server import SECRETS, STATE, SmtpServer

__all__ = ["SECRETS", "STATE", "QuotaPeriod", "RecentUse", "RefusedSender", "Route", "SmtpServer", "UsageEntry"]
