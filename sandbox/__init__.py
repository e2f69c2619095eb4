"""The sandbox of the default set-up: a local SMTP server, and pages that show its mail."""
