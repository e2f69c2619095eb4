"""The demo: all parts under one roof, with example data."""
