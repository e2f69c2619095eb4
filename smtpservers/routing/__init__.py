"""Which server takes a message."""
