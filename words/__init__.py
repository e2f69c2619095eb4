"""Numbers, durations and instants as people read them, and texts that are translated later. No Django."""
