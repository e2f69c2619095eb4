"""Outcomes of attempts: verdicts on replies, and their consequences for message, server, sender and mailing."""
