"""The parsing of SMTP replies, and their meaning for the message and for the server.

Two questions are separate: what happens to the message, and who is at fault. A server that is blocked or over its quota
must never cost us the addresses of its recipients. Nothing here sends, stores or reads the clock;
:mod:`mail.replies.rules` has the table of known replies.
"""

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from mail.replies.rules import ANY, RULES, Action, ReplyRule, Scope, Stage

_TEXT_CHARACTERS = 8_000  # Enough for every EHLO; a hostile server may send more.

_CODE = re.compile(r"(?:(?:smtp|x-[a-z0-9-]+)[ \t]*;[ \t]*)?([2-5][0-9][0-9])(?:[ \t-]|(?=\r?\n|\Z))", re.IGNORECASE)
_ENHANCED = re.compile(r"(?<![\w.])[245]\.[0-9]{1,3}\.[0-9]{1,3}(?!\w|\.[0-9])")
_LEADING_ENHANCED = re.compile(r"#?([245]\.[0-9]{1,3}\.[0-9]{1,3})(?::?[ \t]+|(?=\r?\n|\Z))")
# Control characters, line separators, and the directional ones that turn the words around them.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# A text whose words are quoted as they stand, with its enhanced status and the rest.
_NEAT = re.compile(r"(?:(2\.[0-9]{1,3}\.[0-9]{1,3}) )?([A-Za-z<\[(].*)").fullmatch
_ADDRESS = re.compile(r"[^\s<>()\[\]{}\"',;:]+@[^\s<>()\[\]{}\"',;:]*[^\s<>()\[\]{}\"',;:.]")


def _visible(text: str) -> str:
    """Return the text with blanks in place of control characters; line ends become "\\n"."""
    return text if text.isprintable() else _CONTROL.sub(" ", text.replace("\r\n", "\n").removesuffix("\r"))


@dataclass(frozen=True, slots=True)
class Reply:
    """A parsed reply. ``code`` 0 means that it was no SMTP reply; its lines are in ``text``."""

    code: int
    enhanced: str  # The enhanced status code (RFC 3463), or empty.
    text: str  # Without code and leading status; several lines are separated by "\n".

    @classmethod
    def parse(cls, text: str) -> "Reply":
        """Parse a reply of one or several lines, with or without the code on the later ones.

        Also parses the diagnostic of a bounce (``smtp; 550 5.1.1 …``) and a bare status (``5.1.1 …``), for which the
        code is derived from its class. Never raises.
        """
        text = _visible(text[:_TEXT_CHARACTERS])
        found = _CODE.match(text)
        return cls._of(int(found[1]), text[found.end() :]) if found else cls._of(0, text)

    @classmethod
    def of(cls, code: int, text: str, mask: Callable[[str], str] = str) -> "Reply":
        """Return a reply whose lines were split already.

        :param text: the text after the code; several lines are separated by "\\n".
        :param mask: masks secrets. It gets the text before it is cut, because it knows no half of a secret.
        """
        return cls._of(code, mask(_visible(text))[:_TEXT_CHARACTERS])

    @classmethod
    def _of(cls, code: int, rest: str) -> "Reply":
        enhanced = ""
        if leading := _LEADING_ENHANCED.match(rest):
            enhanced, rest = leading[1], rest[leading.end() :]
            code = code or int(enhanced[0]) * 100 + 50
        elif code >= 400 and (within := _ENHANCED.search(rest)):
            enhanced = within[0]
        if "\n" in rest:
            prefix = rf"(?m)^(?:{code}[ -])?(?:#?{re.escape(enhanced)}:?[ ]+)?" if enhanced else rf"(?m)^{code}[ -]"
            first, _, others = rest.partition("\n")
            rest = f"{first}\n{re.sub(prefix, '', others)}".removesuffix("\n")
        return cls(code, enhanced, rest)

    def __str__(self) -> str:
        """Return the reply on one line, as people quote it."""
        parts = (str(self.code) if self.code else "", "" if self.enhanced in self.text else self.enhanced, self.text)
        return " ".join(" ".join(parts).split())

    @property
    def is_positive(self) -> bool:
        """Whether the server agreed so far."""
        return 200 <= self.code < 400


@dataclass(slots=True)
class PlainReply:
    """A reply 250 in one line of printable ASCII, unparsed: nearly every message gets one, and few are ever read."""

    text: str  # After the code, with secrets masked.

    code: ClassVar[int] = 250

    def __str__(self) -> str:
        """Return the reply on one line, in the same words as :class:`Reply`."""
        found = _NEAT(self.text)
        if found is None or (found[1] and found[1] in found[2]):
            return str(Reply.of(self.code, self.text))
        return " ".join(f"{self.code} {self.text}".split())


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of a reply: the rule that matches, and what the reply itself adds."""

    policy: ReplyRule
    delays: tuple[dt.timedelta, ...] = ()  # Before the next tries; the last one repeats. Empty: none of its own.
    gives_no_reason: bool = False  # It may concern anything: how many others get the same reply says more.

    @property
    def rule(self) -> str:
        """The rule's name."""
        return self.policy.name

    @property
    def action(self) -> Action:
        """What to do."""
        return self.policy.action

    @property
    def scope(self) -> Scope:
        """Whom the action concerns."""
        return self.policy.scope

    @property
    def kind(self) -> str:
        """A word for statistics: "user-unknown", "mailbox-full", "quota"."""
        return self.policy.kind


def classify(stage: Stage, reply: Reply, recipient: str = "") -> Verdict:
    """Return the meaning of ``reply``, given at ``stage``, for the message and the server.

    :param recipient: the address of the message; empty if it does not matter.

    A reply that is not SMTP, or impossible at this stage, is interpreted so that nothing is lost and nobody gets a
    message twice: after the final dot it is unknown whether the message was accepted; before it, another server may
    try. A failure without any reply, such as a refused certificate, is a ``Reply`` with code 0.
    """
    if _is_agreement(stage, reply):
        return _AGREED
    if not reply.is_positive:
        for compiled in _COMPILED:
            if compiled.fits(stage, reply, recipient):
                return compiled.verdict(reply)
    return _UNREADABLE_AT.get(stage, _UNREADABLE)


def _is_agreement(stage: Stage, reply: Reply) -> bool:
    if stage is Stage.DATA:
        return 300 <= reply.code < 400
    if stage is Stage.AUTH:
        return reply.is_positive
    return 200 <= reply.code < 300


_AGREED = Verdict(ReplyRule("ok", ANY, Action.ACCEPT, Scope.MESSAGE))
_UNREADABLE = Verdict(ReplyRule("unreadable", ANY, Action.RETRY_OTHER, Scope.SERVER, kind="unreadable"))
_UNREADABLE_AT = {
    Stage.DOT: Verdict(ReplyRule("unreadable", {Stage.DOT}, Action.UNKNOWN, Scope.MESSAGE, kind="unreadable")),
    Stage.DSN: Verdict(ReplyRule("unreadable", {Stage.DSN}, Action.SOFT, Scope.RECIPIENT, kind="unreadable")),
}


# Before RCPT the server knows neither recipient nor message: its reply is about itself or the sender. Without this,
# "550 5.1.1 unknown user" to MAIL FROM would suppress every recipient.
_RECIPIENT_KNOWN = frozenset({Stage.RCPT, Stage.DATA, Stage.DOT, Stage.DSN})


class _Compiled:
    """A rule with its patterns compiled."""

    def __init__(self, rule: ReplyRule) -> None:
        self.rule = rule
        is_about_recipient = rule.scope in (Scope.RECIPIENT, Scope.MESSAGE)
        self.stages = rule.stages & _RECIPIENT_KNOWN if is_about_recipient else frozenset(rule.stages)
        self.code = re.compile(rule.code) if rule.code else None
        self.enhanced = re.compile(rule.enhanced) if rule.enhanced else None
        self.text = re.compile(rule.text, re.IGNORECASE) if rule.text else None
        self.unless = re.compile(rule.unless, re.IGNORECASE) if rule.unless else None

    def fits(self, stage: Stage, reply: Reply, recipient: str) -> bool:
        return (
            stage in self.stages
            and (self.code is None or self.code.fullmatch(str(reply.code)) is not None)
            and (self.enhanced is None or self.enhanced.fullmatch(reply.enhanced) is not None)
            and (self.text is None or self.text.search(str(reply)) is not None)
            and (not self.rule.names_recipient or names_only(reply, recipient))
        )

    def verdict(self, reply: Reply) -> Verdict:
        rule = self.rule
        gives_no_reason = rule.gives_no_reason and (self.unless is None or not self.unless.search(str(reply)))
        is_end = rule.action is Action.SOFT and not 400 <= reply.code < 500
        return Verdict(rule, () if is_end else rule.delays, gives_no_reason)


def names_only(reply: Reply, address: str) -> bool:
    """Whether the reply names this address and no other."""
    named = {found.lower() for found in _ADDRESS.findall(str(reply))}
    return bool(address) and named == {address.lower()}


_COMPILED = tuple(_Compiled(rule) for rule in RULES)
