"""Contestants that send the same message in turn."""
