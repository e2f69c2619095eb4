"""The tables of sending: mailings, messages, attempts, lanes, counts, holds, notices and links."""

from delivery.models.attempts import Attempt, Batch, Correction, Lane
from delivery.models.counts import MailingOutcome, ScoreCount, ServerOutcome, StatusCount
from delivery.models.holds import ProviderHold, Refusal, StopTally, UnreachableDomain
from delivery.models.notices import Incident, Notice, Trial
from delivery.models.outbox import FAILED, NOT_ACCEPTED, TODAY, Mailing, Message, new_identity
from delivery.models.plan import Chunk, LaterChunk, Taken
from delivery.models.tracking import TrackedLink, TrackedMailing, TrackedTarget
from delivery.models.workers import ClockMark, Installation, WorkerReport, WorkerSeen

__all__ = [
    "FAILED",
    "NOT_ACCEPTED",
    "TODAY",
    "Attempt",
    "Batch",
    "Chunk",
    "ClockMark",
    "Correction",
    "Incident",
    "Installation",
    "Lane",
    "LaterChunk",
    "Mailing",
    "MailingOutcome",
    "Message",
    "Notice",
    "ProviderHold",
    "Refusal",
    "ScoreCount",
    "ServerOutcome",
    "StatusCount",
    "StopTally",
    "Taken",
    "TrackedLink",
    "TrackedMailing",
    "TrackedTarget",
    "Trial",
    "UnreachableDomain",
    "WorkerReport",
    "WorkerSeen",
    "new_identity",
]
