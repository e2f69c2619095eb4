"""The tables of feedback: raw reports, what was read in them, and what people and servers told us of messages."""

from feedback.models.feedback import Feedback, RelayedUnsubscribe
from feedback.models.reports import RawReport, Report, Seen

__all__ = ["Feedback", "RawReport", "RelayedUnsubscribe", "Report", "Seen"]
