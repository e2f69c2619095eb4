"""The pages of the fleet in the admin."""

from smtpservers.admin import routes, servers  # noqa: F401  # They register themselves.
