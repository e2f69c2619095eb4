"""The fleet: SMTP servers, their quotas, which of them is chosen, and how it is spoken to."""
