"""Segments: conditions, their SQL, and who is reached."""
