"""Numbers, durations and instants as people read them. No Django."""
