"""What became of one attempt, as judging and recording hand it on."""

import datetime as dt
from dataclasses import dataclass

from delivery.content.message import Outgoing
from delivery.outcomes.verdicts import Judgement
from mail.replies.reply import Reply


@dataclass(slots=True)  # Not frozen: there are thousands a second, and that would take as long again.
class Result:
    """What became of one attempt."""

    attempt_id: int
    message: Outgoing
    mailing_id: int
    stream: str
    server_id: int
    period_id: int | None
    reserved_at: dt.datetime
    judgement: Judgement
    stage: str = ""
    reply: Reply | None = None
    sent_before: int = 0  # Messages its connection had carried before it; 0 where nobody counted.
