"""Numbers as people read them. No Django."""
