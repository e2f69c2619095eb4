"""The parts of an SMTP conversation: its steps and the server's extensions."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from mail.replies.reply import Reply


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a conversation, as shown to people; never contains secrets."""

    name: str  # DNS, connect, banner, EHLO, TLS, AUTH, MAIL, RCPT, DATA, message
    sent: str  # Our command; empty if there is none.
    code: int | None
    reply: str
    milliseconds: float
    is_ok: bool
    details: dict[str, str] = field(default_factory=dict)


_KEYWORD = re.compile(r"([^\s=]+)[\s=]*(.*)")
_SIZE = re.compile(r"[0-9]{1,18}")  # RFC 1870 allows 20 digits; no server takes an exabyte.

Observer = Callable[[Step], None]


@dataclass(frozen=True, slots=True)
class Extensions:
    """The extensions in the reply to EHLO (RFC 5321 section 4.1.1.1)."""

    keywords: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, reply: Reply) -> "Extensions":
        """Read the lines after the first: a keyword, then its values after a space or, from old servers, an "=".

        Values on a second line of the same keyword are appended.
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
    """Return the text of a reply, with its enhanced status code."""
    return reply.text if reply.enhanced in reply.text else f"{reply.enhanced} {reply.text}"


def since(began: float) -> float:
    return round((time.perf_counter() - began) * 1000, 1)


def lost_step(name: str, sent: str, problem: str, began: float) -> Step:
    return Step(name, sent, None, problem, since(began), False)
