"""SMTP servers: their quotas and limits, the choice among them, and the SMTP connection to them."""
