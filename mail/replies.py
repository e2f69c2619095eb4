"""What an SMTP server answered, and what the answer means for the message and for the server.

Two questions are kept apart: what becomes of the message, and whose fault it is. A server that is blocked or over
its quota must never burn the addresses it was asked to write to. Nothing here sends, stores or reads the clock;
the table of known answers is :mod:`mail.reply_rules`.
"""

import datetime as dt
import re
from dataclasses import dataclass

from mail.reply_rules import RULES, Action, Rule, Scope, Stage

__all__ = ["Action", "Reply", "Scope", "Stage", "Verdict", "classify"]

_TEXT_CHARACTERS = 8_000  # Enough for every EHLO; a hostile server may send more.

_CODE = re.compile(r"(?:(?:smtp|x-[a-z0-9-]+)[ \t]*;[ \t]*)?([2-5][0-9][0-9])(?:[ \t-]|(?=\r?\n|\Z))", re.IGNORECASE)
_ENHANCED = re.compile(r"(?<![\w.])[245]\.[0-9]{1,3}\.[0-9]{1,3}(?!\w|\.[0-9])")
_LEADING_ENHANCED = re.compile(r"#?([245]\.[0-9]{1,3}\.[0-9]{1,3})(?::?[ \t]+|(?=\r?\n|\Z))")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_ADDRESS = re.compile(r"[^\s<>()\[\]{}\"',;:]+@[^\s<>()\[\]{}\"',;:]*[^\s<>()\[\]{}\"',;:.]")
_DURATION = re.compile(r"\b([0-9]+)([smhd])\b")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply, taken apart. ``code`` 0 means that it was no SMTP reply; its lines are kept in ``text``."""

    code: int
    enhanced: str  # The enhanced status code (RFC 3463), or empty.
    text: str  # Without code and leading status; several lines are separated by "\n".

    @classmethod
    def parse(cls, text: str) -> "Reply":
        """Read a reply of one or several lines, with or without the code on the later ones.

        Also reads the diagnostic of a bounce (``smtp; 550 5.1.1 …``) and a bare status (``5.1.1 …``), for which
        the code is made up from its class. Never raises.
        """
        text = text[:_TEXT_CHARACTERS]
        found = _CODE.match(text)
        return cls._of(int(found[1]), text[found.end() :]) if found else cls._of(0, text)

    @classmethod
    def of(cls, code: int, text: str) -> "Reply":
        """Read a reply whose lines were taken apart already.

        :param text: what stands behind the code; several lines are separated by "\\n".
        """
        return cls._of(code, text[:_TEXT_CHARACTERS])

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
            rest = f"{first}\n{re.sub(prefix, '', others)}".replace("\r\n", "\n").removesuffix("\n")
        return cls(code, enhanced, rest if rest.isprintable() else _CONTROL.sub(" ", rest.removesuffix("\r")))

    def __str__(self) -> str:
        """Return the reply on one line, as people quote it."""
        parts = (str(self.code) if self.code else "", "" if self.enhanced in self.text else self.enhanced, self.text)
        return " ".join(" ".join(parts).split())

    @property
    def is_positive(self) -> bool:
        """Whether the server agreed so far."""
        return 200 <= self.code < 400


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reply means: the rule that said so, what to do, and about whom."""

    rule: str
    action: Action
    scope: Scope
    wait: str  # How long, and what else to do about it, in the words of the table.
    delays: tuple[dt.timedelta, ...] = ()  # Before the next tries; the last one repeats. Empty: time changes nothing.
    kind: str = ""  # A word to count by: "user-unknown", "mailbox-full", "quota".
    gives_no_reason: bool = False  # It may be about anything: who else gets the same answer tells more.


def classify(stage: Stage, reply: Reply, recipient: str = "") -> Verdict:
    """Return what ``reply``, given at ``stage``, means for the message and the server.

    :param recipient: the address that the message was for; empty where it does not matter.

    What is no SMTP reply, or no possible one at this stage, is judged so that nothing is lost and nobody gets a
    message twice: after the final dot it is unknown whether the message was taken; before it, another server may
    try. A failure without any reply, such as a refused certificate, is a ``Reply`` with code 0.
    """
    if _is_agreement(stage, reply):
        return Verdict("ok", Action.ACCEPT, Scope.MESSAGE, "-")
    if not reply.is_positive:
        for compiled in _COMPILED:
            if compiled.fits(stage, reply, recipient):
                return compiled.verdict(reply)
    return _judge_unreadable(stage)


def _is_agreement(stage: Stage, reply: Reply) -> bool:
    if stage is Stage.DATA:
        return 300 <= reply.code < 400
    if stage is Stage.AUTH:
        return reply.is_positive
    return 200 <= reply.code < 300


def _judge_unreadable(stage: Stage) -> Verdict:
    if stage is Stage.DOT:
        return Verdict("unreadable", Action.UNKNOWN, Scope.MESSAGE, "-", kind="unreadable")
    if stage is Stage.DSN:
        return Verdict("unreadable", Action.SOFT, Scope.RECIPIENT, "end", kind="unreadable")
    return Verdict("unreadable", Action.RETRY_OTHER, Scope.SERVER, "5m", (dt.timedelta(minutes=5),), "unreadable")


# Before RCPT the server has heard of no recipient and of no message: what it says then is about itself or the
# sender. Without this, "550 5.1.1 unknown user" to MAIL FROM would suppress everybody we meant to write to.
_RECIPIENT_KNOWN = frozenset({Stage.RCPT, Stage.DATA, Stage.DOT, Stage.DSN})


class _Compiled:
    """A rule with its patterns compiled."""

    def __init__(self, rule: Rule) -> None:
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
        delays = _delays(rule.wait, reply.code)
        return Verdict(rule.name, rule.action, rule.scope, rule.wait, delays, rule.kind, gives_no_reason)


def _delays(wait: str, code: int) -> tuple[dt.timedelta, ...]:
    """Read the durations out of the table's words: ``15m,30m,1h.. 72h`` is tried after 15, 30 and 60 minutes."""
    if by_class := re.search(rf"{code // 100}xx: ([^;]*)", wait):
        wait = by_class[1]
    told = re.split(r";|\.\. |, max|, then", wait)[0]
    if told == "0" or told.startswith("0,"):
        return (dt.timedelta(0),)
    delays = tuple(dt.timedelta(**{_UNITS[unit]: int(count)}) for count, unit in _DURATION.findall(told))
    if delays and "doubling" in told:
        delays += (delays[-1] * 2, delays[-1] * 4)
    return delays


def names_only(reply: Reply, address: str) -> bool:
    """Whether the reply names this address, and no other one."""
    named = {found.lower() for found in _ADDRESS.findall(str(reply))}
    return bool(address) and named == {address.lower()}


_COMPILED = tuple(_Compiled(rule) for rule in RULES)
