"""The tables of feedback: raw reports and what was read in them, what people and servers told us, opens and clicks."""

from feedback.models.feedback import Feedback, RelayedUnsubscribe
from feedback.models.hooks import Hook, HookToken
from feedback.models.mailboxes import ArrivedTest, Forward, Mailbox, MailboxMail, Probe
from feedback.models.reports import RawReport, RawSearch, Report, Seen
from feedback.models.visits import CountingGap, FirstVisit, GatheredFile, PendingVisit, Visit, VisitCount

__all__ = [
    "ArrivedTest",
    "CountingGap",
    "Feedback",
    "FirstVisit",
    "Forward",
    "GatheredFile",
    "Hook",
    "HookToken",
    "Mailbox",
    "MailboxMail",
    "PendingVisit",
    "Probe",
    "RawReport",
    "RawSearch",
    "RelayedUnsubscribe",
    "Report",
    "Seen",
    "Visit",
    "VisitCount",
]
