"""The outbox: mailings, plan, claims, leases and message counts."""
