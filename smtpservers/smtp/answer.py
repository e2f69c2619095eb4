"""What became of one message on the wire."""

from dataclasses import dataclass

from mail.replies.reply import Reply
from mail.replies.rules import Stage


@dataclass(slots=True)  # Not frozen: that would cost as much again, for each message.
class Answer:
    """What became of one message on the wire."""

    stage: Stage
    reply: Reply | None  # None: the line was lost; ``lost`` says how.
    is_dot_written: bool = False  # Whether the server may have the whole message.
    lost: str = ""
    is_local: bool = False  # The server was not asked: its EHLO already said no.
