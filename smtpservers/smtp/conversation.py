"""What is known of a conversation with a server: its steps, what it offered, and what became of a message."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mail.replies.reply import Reply


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


_KEYWORD = re.compile(r"([^\s=]+)[\s=]*(.*)")
_SIZE = re.compile(r"[0-9]{1,18}")  # RFC 1870 allows 20 digits; nobody takes an exabyte.

Observer = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Extensions:
    """What EHLO offered (RFC 5321 section 4.1.1.1)."""

    keywords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, reply: Reply) -> "Extensions":
        """Read the lines after the first: a keyword, and its values behind a space or, from old servers, an "=".

        What a keyword says on a second line is added to the first.
        """
        keywords: dict[str, str] = {}
        for line in reply.text.split("\n")[1:]:
            if found := _KEYWORD.match(line.strip()):
                name, value = found.groups()
                keywords[name.upper()] = f"{keywords.get(name.upper(), '')} {value}".strip()
        return cls(keywords)

    def __contains__(self, name: str) -> bool:
        return name in self.keywords

    @property
    def size(self) -> int | None:
        value = self.keywords.get("SIZE", "")
        return (int(value) or None) if _SIZE.fullmatch(value) else None

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
