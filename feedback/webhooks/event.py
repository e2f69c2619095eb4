"""One event of a provider in our own words, and how events are read out of foreign JSON.

Nothing here trusts the shape of a body: a missing or foreign value reads as empty, and a text is cut and free of
characters that no database stores.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mail.replies.reply import Reply

LONGEST_TEXT = 600
LONGEST_NAME = 320  # An address, an id, a tag.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_TYPE = re.compile(r"(?:smtp|x-[a-z0-9-]+)[ \t]*;[ \t]*", re.IGNORECASE)  # Of a diagnostic (RFC 3464 section 2.3.6).


class EventKind(StrEnum):
    """What a provider says became of a message. Opens, clicks and receipts of submission are no events here."""

    BOUNCE = "bounce"  # The provider calls it permanent; a reply that says otherwise decides.
    SOFT_BOUNCE = "soft_bounce"  # Given up, and nothing says that the address is wrong.
    CONTENT = "content"  # Refused for what it holds: spam, a virus, its size.
    SERVER = "server"  # Refused for who sends it: reputation, policy, the account.
    COMPLAINT = "complaint"  # The recipient marked it as spam.
    DELIVERED = "delivered"
    SUPPRESSED = "suppressed"  # The provider didn't try: the address is on its own list.
    UNSUBSCRIBE = "unsubscribe"
    AUTO_REPLY = "auto_reply"
    DELAYED = "delayed"  # The provider tries again.
    OTHER = "other"  # Known to concern a message, without effect on it.


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to one message on its way to one recipient."""

    kind: EventKind
    recipient: str
    tag: str = ""  # The content of our reference header; not proved here.
    message_id: str = ""  # In <>, as our header has it; empty if the provider has only an id of its own.
    event_id: str = ""  # The provider's id of this event; empty if it has none.
    code: int | None = None  # The basic reply code (RFC 5321), if the provider quotes a reply.
    enhanced: str = ""  # The enhanced status code (RFC 3463).
    text: str = ""  # The provider's or the remote server's words.
    at: dt.datetime | None = None


def make_event(
    kind: EventKind,
    recipient: object,
    *,
    tag: object = "",
    message_id: object = "",
    event_id: object = "",
    reply: object = "",
    status: object = "",
    text: object = "",
    at: dt.datetime | None = None,
) -> Event:
    """Return an event of foreign values.

    :param reply: the reply of the remote server; its codes are read at its start only, where nothing is quoted.
    :param status: an enhanced status code that the provider gives apart; used if the reply has none.
    :param text: words in place of a reply.
    """
    words = cut(reply, LONGEST_TEXT)
    parsed = Reply.parse(words)
    # Parse derives a code from a bare status. A delivery report's 2.0.0 is no reply, so only a real one is passed on.
    code = parsed.code if parsed.code >= 200 else None
    status = cut(status, LONGEST_NAME)
    enhanced = parsed.enhanced or (status if re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", status) else "")
    return Event(
        kind,
        bare_address(recipient),
        tag=cut(tag, LONGEST_NAME).strip().lower(),
        message_id=_bracketed(cut(message_id, LONGEST_NAME)),
        event_id=cut(event_id, LONGEST_NAME),
        code=code,
        enhanced=enhanced,
        text=_said(code, enhanced, words or cut(text, LONGEST_TEXT)),
        at=at,
    )


def _said(code: int | None, enhanced: str, words: str) -> str:
    """Return words with their codes in front once. Providers put ``smtp;`` before them, or quote a reply in a reply."""
    codes = [re.escape(each) for each in (str(code or ""), enhanced) if each]
    found = _TYPE.match(words)
    rest = words[found.end() :] if found else words
    leading = re.compile(rf"(?:{_TYPE.pattern})?#?(?:{'|'.join(codes)})(?::?[ \t]+|-|\Z)", re.IGNORECASE)
    if not codes or not leading.match(rest):
        return rest
    while found := leading.match(rest):
        rest = rest[found.end() :]
    return " ".join(filter(None, (str(code or ""), enhanced, rest)))[:LONGEST_TEXT]


def reply_of(code: object, words: str) -> str:
    """Return a reply with its code in front. Some providers give it apart, and some of their words repeat it.

    :param code: of the remote server (RFC 5321); anything else is none.
    """
    has_code = isinstance(code, int) and 200 <= code < 600
    return f"{code} {words}" if has_code and not words.startswith(str(code)) else words


def parse_json(body: bytes) -> Any:
    """Return the parsed body.

    :raises ValueError: if it is no JSON, or nested without end.
    """
    try:
        return json.loads(body)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise ValueError("The body is not JSON.") from error


def events_of(items: object, read: Callable[[dict[str, Any]], Event | Iterable[Event] | None]) -> list[Event]:
    """Return the events of a list of objects, or of a single object.

    :raises ValueError: if it is neither.
    """
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list):
        raise ValueError("The body holds no events.")
    events: list[Event] = []
    for item in items:
        found = read(item) if isinstance(item, dict) else None
        events += [found] if isinstance(found, Event) else found or ()
    return events


def at_path(value: object, *path: str | int) -> Any:
    """Return what stands at a path of keys and positions; None if there is nothing."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value


def cut(value: object, length: int) -> str:
    """Return a text or number as text of at most ``length`` characters; anything else as an empty one."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**18 else ""
    return _UNSTORABLE.sub("", value[: length * 2])[:length].strip() if isinstance(value, str) else ""


def bare_address(value: object) -> str:
    """Return the address of ``Name <address>``, or of an address alone."""
    text = cut(value, 2 * LONGEST_NAME)
    if text.endswith(">"):
        text = text.rpartition("<")[2].removesuffix(">")
    return text[:LONGEST_NAME].strip()


def from_epoch(value: object, per_second: int = 1) -> dt.datetime | None:
    """Return the instant of a time since 1970, as number or text; None for anything else.

    :param per_second: 1,000 for milliseconds.
    """
    try:
        seconds = float(value) / per_second if isinstance(value, int | float | str) else math.nan
        return _believed(dt.datetime.fromtimestamp(seconds, dt.UTC))
    except (ValueError, ArithmeticError, OSError):
        return None


def from_iso(value: object) -> dt.datetime | None:
    """Return the instant of an ISO 8601 text with a zone; None for anything else. Nanoseconds are cut."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", cut(value, 64))
    try:
        found = dt.datetime.fromisoformat(text)
        return _believed(found.astimezone(dt.UTC)) if found.tzinfo else None
    except (ValueError, ArithmeticError):
        return None


def _believed(at: dt.datetime) -> dt.datetime | None:
    """Return an instant that may be one of mail; at the ends of the calendar there is none in every zone."""
    return at if 1970 <= at.year < 2200 else None


def _bracketed(message_id: str) -> str:
    if "@" not in message_id:
        return ""  # An id of the provider's own.
    return message_id if message_id.startswith("<") else f"<{message_id}>"
