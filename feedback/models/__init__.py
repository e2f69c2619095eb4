"""The tables of feedback: raw reports, what was read in them, and what people and servers told us of messages."""

from feedback.models.feedback import Feedback, RelayedUnsubscribe
from feedback.models.mailboxes import Mailbox, MailboxMail, Probe
from feedback.models.reports import RawReport, Report, Seen

__all__ = ["Feedback", "Mailbox", "MailboxMail", "Probe", "RawReport", "RelayedUnsubscribe", "Report", "Seen"]
