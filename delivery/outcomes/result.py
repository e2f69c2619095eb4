"""The result of one attempt: its judgement, with what is needed to record it."""

import datetime as dt
from dataclasses import dataclass

from delivery.content.message import Outgoing
from delivery.outcomes.verdicts import Judgement
from mail.replies.reply import PlainReply, Reply


@dataclass(slots=True)  # Not frozen: a frozen instance takes twice as long to make, and there are thousands a second.
class Result:
    """The result of one attempt."""

    attempt_id: int
    message: Outgoing
    mailing_id: int
    stream: str
    server_id: int
    period_id: int | None
    reserved_at: dt.datetime
    judgement: Judgement
    stage: str = ""
    reply: Reply | PlainReply | None = None
    sent_before: int = 0  # Messages that its connection carried before; 0 if not counted.
