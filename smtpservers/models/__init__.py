"""What is stored about the fleet: servers, what they have used, and routing rules."""

from smtpservers.models.quota import QuotaPeriod, RecentUse, UsageEntry
from smtpservers.models.routes import RefusedSender, Route
from smtpservers.models.server import SECRETS, STATE, SmtpServer

__all__ = ["SECRETS", "STATE", "QuotaPeriod", "RecentUse", "RefusedSender", "Route", "SmtpServer", "UsageEntry"]
