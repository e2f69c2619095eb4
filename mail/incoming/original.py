"""The original in a mail that is about it: in parts of its own, or quoted in the text.

What the original says is not what the mail says, so the two are told apart before anything is looked for.
"""

import re

from mail.incoming.mime import Part

TYPES = ("message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers")

_MOST_TEXTS = 3
# Lines that introduce the original, or its header.
_MARK = re.compile(
    r"^[ \t]*+[-|=*_]*+[ \t]*+(?:"
    r"Below this line is a copy of|This is a copy of (?:the|your) (?:message|mail)"
    r"|The (?:headers?|body) of the original|The header and top"
    r"|(?:Possibly truncated |Unsent |Undelivered |Returned )?(?:original )?(?:message|mail)(?: headers?| text)?"
    r" follows?\b"
    r"|(?:Original )?(?:Message|Mail) headers?(?: follows?)?:[ \t]*+[-|]*+[ \t]*+$"
    r"|Begin forwarded message|Content-Type:[ \t]*+(?:message/rfc822|text/rfc822-headers|message/global)"
    r"|Return-Path:[ \t]*+<|Received:[ \t]*+(?:from|by)[ \t]"
    r"|On .{5,200} wrote:[ \t]*+$|Am .{5,200} schrieb .{0,200}:[ \t]*+$|Le .{5,200} a écrit[ \u00a0]?:[ \t]*+$"
    r")"
    r"|^[ \t]*+[-|=*_]{2,}+[ \t]*+(?:"
    r"(?:Original|Returned|Forwarded|Undelivered|Unsent|Urspr(?:ü|ue)ngliche|Weitergeleitete)[ \t]++"
    r"(?:Message|Mail|Nachricht|E-?Mail)"
    r"|Message d.origine|Mensaje original|Messaggio originale|Mensagem original|Oorspronkelijk bericht"
    r"|Исходное сообщение|Kopfzeilen"
    r")",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED_LINE = re.compile(r"^[ \t]{0,3}>(?!>).*$", re.MULTILINE)


def cut(text: str) -> tuple[str, str]:
    """Return what a mail says itself, without quoted lines, and the original that follows it."""
    found = _MARK.search(text)
    own, quoted = (text[: found.start()], text[found.start() :]) if found else (text, "")
    return _QUOTED_LINE.sub("", own), quoted


def parts_of(mail: Part) -> list[Part]:
    """Return the parts that hold the original, or its header."""
    return [part for part in mail.walk() if part.type in TYPES]


def own_text(mail: Part) -> tuple[str, str]:
    """Return what a mail says itself in its text parts before the original, and the original that follows there."""
    texts: list[str] = []
    for part in mail.walk():
        if part.type in TYPES:
            break
        is_broken = part.type.startswith("multipart/") and not part.parts  # Its boundary is missing.
        if (part.type in ("text/plain", "text/html") or is_broken) and not (
            part.type == "text/html" and "".join(texts).strip()
        ):
            texts.append(part.text())
        if len(texts) == _MOST_TEXTS:
            break
    return cut("\n\n".join(texts))
