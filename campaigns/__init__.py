"""Campaigns: content, audience, schedule, preflight checks, lifecycle, reports."""
