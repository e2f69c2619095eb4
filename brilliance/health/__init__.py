"""Answers for monitoring."""
