"""The tables of feedback: raw reports, what was read in them, and what people and servers told us of messages."""

from feedback.models.feedback import Feedback, RelayedUnsubscribe
from feedback.models.hooks import Hook, HookToken
from feedback.models.mailboxes import ArrivedTest, Forward, Mailbox, MailboxMail, Probe
from feedback.models.reports import RawReport, RawSearch, Report, Seen

__all__ = [
    "ArrivedTest",
    "Feedback",
    "Forward",
    "Hook",
    "HookToken",
    "Mailbox",
    "MailboxMail",
    "Probe",
    "RawReport",
    "RawSearch",
    "RelayedUnsubscribe",
    "Report",
    "Seen",
]
