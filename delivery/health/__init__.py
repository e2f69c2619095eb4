"""The health of sending: worker reports, heartbeats and named checks."""
