"""The demo: all processes under one supervisor, with example data."""
