"""Whether mail can leave just now: worker reports, heartbeats, named checks."""
