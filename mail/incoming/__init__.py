"""Incoming mail: bounces, complaints, receipts, automatic replies and requests to unsubscribe."""
