"""Intake of reports: whatever comes in is stored as it is, before anybody reads it."""
