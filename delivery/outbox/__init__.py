"""Messages from queueing to their claim: mailings, plan, claims, leases, counts."""
