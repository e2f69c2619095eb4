"""Admin pages of servers and routing rules."""

from smtpservers.admin import routes, servers  # noqa: F401  # They register themselves.
