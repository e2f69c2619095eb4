"""Subscriptions on the public pages: subscribe, confirm, preferences."""
