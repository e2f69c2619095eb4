"""Consent: its changes and history, and suppressions."""
