"""The admin pages of feedback."""

from feedback.admin import mailboxes, replies

__all__ = ["mailboxes", "replies"]
