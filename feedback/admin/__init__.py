"""The admin pages of feedback."""

from feedback.admin import mailboxes, reports, unsubscribes

__all__ = ["mailboxes", "reports", "unsubscribes"]
