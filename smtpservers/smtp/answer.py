"""The outcome of one message on the wire."""

from dataclasses import dataclass

from mail.replies.reply import Reply
from mail.replies.rules import Stage


@dataclass(slots=True)  # Not frozen: that would double the cost per message.
class Answer:
    """The outcome of one message on the wire."""

    stage: Stage
    reply: Reply | None  # None: the connection was lost; ``lost`` says how.
    is_dot_written: bool = False  # Whether the server may have the whole message.
    lost: str = ""
    is_local: bool = False  # The server was not asked: its EHLO ruled it out.


def accepted(text: str) -> Answer:
    """Return the answer to a message that the server accepted with 250.

    :param text: the reply after the code, with secrets masked.
    """
    return Answer(Stage.DOT, Reply.of(250, text), is_dot_written=True)
