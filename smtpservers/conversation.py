"""What is known of a conversation with a server: its steps, what it offered, and what became of a message."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mail.replies import Reply, Stage


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a conversation, as it is shown to people; secrets never get in."""

    name: str  # DNS, connect, banner, EHLO, TLS, AUTH, MAIL, RCPT, DATA, message
    sent: str  # What we said; empty where there is nothing to say.
    code: int | None
    reply: str
    milliseconds: float
    is_ok: bool
    details: dict[str, str] = field(default_factory=dict)


Observer = Callable[[Step], None]


@dataclass(slots=True)  # Not frozen: that would cost as much again, for each message.
class Answer:
    """What became of one message on the wire."""

    stage: Stage
    reply: Reply | None  # None: the line was lost; ``lost`` says how.
    is_dot_written: bool = False  # Whether the server may have the whole message.
    lost: str = ""
    is_local: bool = False  # The server was not asked: its EHLO already said no.


@dataclass(frozen=True, slots=True)
class Extensions:
    """What EHLO offered (RFC 5321 section 4.1.1.1)."""

    keywords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, reply: Reply) -> "Extensions":
        words = (line.strip().partition(" ") for line in reply.text.split("\n")[1:])
        return cls({name.upper(): value for name, _, value in words if name})

    def __contains__(self, name: str) -> bool:
        return name in self.keywords

    @property
    def size(self) -> int | None:
        value = self.keywords.get("SIZE", "")
        return int(value) if value.isdigit() and int(value) > 0 else None

    @property
    def mechanisms(self) -> frozenset[str]:
        return frozenset(self.keywords.get("AUTH", "").upper().replace("=", " ").split())


def said(reply: Reply) -> str:
    """Return a reply's words behind its code, the enhanced status among them."""
    return reply.text if reply.enhanced in reply.text else f"{reply.enhanced} {reply.text}"


def since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def lost_step(name: str, sent: str, problem: str, began: float) -> Step:
    return Step(name, sent, None, problem, since(began), False)
