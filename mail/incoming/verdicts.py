"""The kind of a failure that a report tells of, by the rules for replies at the stage DSN."""

import re
from dataclasses import replace

from mail.incoming.report import Kind
from mail.replies.reply import Reply, Verdict, classify
from mail.replies.rules import Action, Scope, Stage

# At the start of a line, before an enhanced code, or introduced as somebody's words.
_CODE = re.compile(
    r"^[ \t\"'(#<-]*+([45][0-9][0-9])(?=[\s:;#'-]|\Z)"
    r"|(?<![\w.@-])([45][0-9][0-9])[\s:-]{1,20}(?=[#(\"']{0,2}[45]\.[0-9]{1,3}\.[0-9]{1,3})"
    r"|(?:said|says|returned|responded|replied|answered|response|reason|error|reply|status|code"
    r"|->|<-|<<|\.\.\.|[\])>;:：])[:：]?[ \t]*+['\"(#<]?([45][0-9][0-9])(?=[\s:#)\]-])",
    re.IGNORECASE | re.MULTILINE,
)
_ENHANCED = re.compile(r"(?<![\w.])[45]\.[0-7]\.[0-9]{1,3}(?!\w|\.[0-9])")
_BEFORE_ENHANCED = re.compile(r"[\s:#(\"'-]{0,20}")
_SIZES = ("5.2.3", "5.3.4")
_SIZE = re.compile(r"\bsize\b|too (big|large)", re.IGNORECASE)
_MAILBOX = re.compile(r"mailbox|quota|storage", re.IGNORECASE)
_PROVIDERS = frozenset({Scope.SERVER, Scope.SERVER_DOMAIN, Scope.SERVER_FROM, Scope.FROM_DOMAIN, Scope.CONNECTION})


def codes_of(text: str) -> tuple[int | None, str]:
    """Return the basic and the enhanced code in a diagnostic; None and an empty text if it has none.

    The enhanced code is the one right after the basic code, else the first: gateways put their own before the reply.
    Some put the reply behind an arrow; the codes behind the last arrow count.
    """
    _before, arrow, after_arrow = text.rpartition("->")
    if arrow and (codes := codes_of(after_arrow)) != (None, ""):
        return codes
    code, enhanced = _CODE.search(text), _ENHANCED.search(text)
    if code:
        after = _BEFORE_ENHANCED.match(text, code.end())
        enhanced = _ENHANCED.match(text, after.end() if after else code.end()) or enhanced
    return int(code[code.lastindex or 0]) if code else None, enhanced[0] if enhanced else ""


def reply_in(text: str) -> str:
    """Return the text from the first code on; an empty text if it has none."""
    code, enhanced = _CODE.search(text), _ENHANCED.search(text)
    starts = [code.start(code.lastindex or 0)] if code else []
    starts += [enhanced.start()] if enhanced else []
    return text[min(starts) :] if starts else ""


def judge(code: int | None, enhanced: str, text: str, recipient: str, stage: Stage = Stage.DSN) -> tuple[Kind, Verdict]:
    """Return the kind of a failure and the verdict on its reply.

    Nothing is tried again after a report of a failure: a temporary reply is a soft bounce. If the classes of the two
    codes differ, the enhanced one decides, unless it is a mere x.0.0. Without any code, the failure is soft.

    :param stage: ``MAIL`` if the reply was about our sender.
    """
    is_specific = not enhanced.endswith(".0.0")
    if enhanced and (code is None or (is_specific and int(enhanced[0]) != code // 100)):
        code = int(enhanced[0]) * 100 + 50
    reply = replace(Reply.of(code or 0, text), enhanced=enhanced)
    verdict = classify(stage, reply, recipient)
    names_size = code == 552 and _SIZE.search(text) and not _MAILBOX.search(text)
    if enhanced in _SIZES or (names_size and verdict.kind != "mailbox-full"):
        return Kind.CONTENT, verdict
    return _kind(verdict), verdict


def _kind(verdict: Verdict) -> Kind:
    if verdict.action is Action.SUPPRESS:
        return Kind.HARD
    if verdict.action is Action.FAIL or verdict.scope is Scope.SERVER_MESSAGE:
        return Kind.CONTENT
    if verdict.scope in _PROVIDERS and verdict.kind != "transient":
        return Kind.SERVER
    return Kind.SOFT
