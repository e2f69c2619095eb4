"""Every way in which a submission server can misbehave, as scripts for a peer.

The tests of single faults and the soak draw from the same ones. Each function returns a fresh script. A script
that takes ``times`` misbehaves so often and is well then; without it, it never is.
"""

import itertools
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from tests.peers.conversation import DROP, RESET, SILENT, STALL, Reply, Script, Take, in_pieces, late

FOR_EVER = 1_000_000_000
ENDLESS = b"250-more\r\n" * 2_000
STAGES = ("conn", "ehlo", "mail", "rcpt", "data", "dot")


def well() -> Script:
    """Does everything right."""
    return lambda event, context: None


def at(event: str, reply: Reply, times: int = FOR_EVER, after: int = 0) -> Script:
    """Gives ``reply`` at an event, ``times`` times, once it happened ``after`` times; then it is well."""
    seen = itertools.count()

    def script(happening: str, context: dict[str, Any]) -> Reply:
        if happening == event and after <= next(seen) < after + times:
            return reply
        return None

    return script


def to(recipient: str, event: str, reply: Reply, times: int = FOR_EVER) -> Script:
    """Gives ``reply`` at an event that is about a recipient whose address starts so."""
    seen = itertools.count()

    def script(happening: str, context: dict[str, Any]) -> Reply:
        if happening == event and context.get("rcpt_to", "").startswith(recipient) and next(seen) < times:
            return reply
        return None

    return script


def cut(part: Callable[[int], int], how: bytes = DROP, times: int = FOR_EVER) -> Script:
    """Ends the connection in the middle of a message: when it has read ``part(size)`` bytes of it."""
    seen = itertools.count()

    def script(event: str, context: dict[str, Any]) -> Reply:
        if event == "body" and next(seen) < times:
            return (Take(max(1, part(context["size"]))), how)
        return None

    return script


def greylisting(rejections: int = 1) -> Script:
    """Defers each recipient so often before it takes the message."""
    tries: Counter[str] = Counter()

    def script(event: str, context: dict[str, Any]) -> Reply:
        if event == "rcpt":
            tries[context["rcpt_to"]] += 1
            if tries[context["rcpt_to"]] <= rejections:
                return b"451 4.7.1 Greylisted, please try again later"
        return None

    return script


def limited(most: int, reply: Reply) -> Script:
    """Takes so many messages on one connection and says ``reply`` to the next MAIL."""
    taken: dict[int, int] = defaultdict(int)

    def script(event: str, context: dict[str, Any]) -> Reply:
        if event == "mail":
            taken[context["session"]] += 1
            if taken[context["session"]] > most:
                return reply
        return None

    return script


def idle_closing(most: int) -> Script:
    """Closes each connection after so many messages, without a word."""
    taken: dict[int, int] = defaultdict(int)

    def script(event: str, context: dict[str, Any]) -> Reply:
        if event == "answered":
            taken[context["session"]] += 1
            if taken[context["session"]] >= most:
                return DROP
        return None

    return script


def chaotic(seed: int, *, drops: float = 0.3, defers: float = 0.1, longest: float = 0.05) -> Script:
    """Accepts everything, but drops the line at random stages of so many messages, defers some, and is slow."""
    chance = random.Random(seed)

    def script(event: str, context: dict[str, Any]) -> Reply:
        if event == "mail":
            context["fate"] = chance.choice((*STAGES[2:], "body", "answered")) if chance.random() < drops else ""
            if not context["fate"] and chance.random() < defers:
                context["fate"] = "451"
        fate = context.get("fate", "")
        if fate == event:
            return (Take(max(1, context["size"] // 2)), DROP) if event == "body" else DROP
        if fate == "451" and event == "rcpt":
            return b"451 4.3.0 Try again later"
        if event == "dot" and chance.random() < 0.1:
            return late(chance.uniform(0, longest), b"250 2.0.0 queued")
        return None

    return script


def sometimes(seed: int, share: float, worse: Script) -> Script:
    """Is ``worse`` for that share of the events, and well else."""
    chance = random.Random(seed)
    return lambda event, context: worse(event, context) if chance.random() < share else None


ENDLESS_LINE = b"250 " + b"x" * 1_000_000 + b"\r\n"

# What is said in place of a proper reply; each is the server's fault alone.
NONSENSE: Mapping[str, Reply] = {
    "endless lines": (ENDLESS,),
    "a line of a megabyte": (ENDLESS_LINE,),
    "no code": b"hello there",
    "the code 000": b"000 what",
    "the code 999": b"999 what",
    "a code with a blank in it": b"2 50 ok",
    "a NUL in place of a code": b"\0\0\0 ok",
    "bytes above 127 in place of a code": b"\xff\xfe\xfd ok",
    "two codes in one reply": b"250-a\r\n451 b",
}

# One way of each kind, by what it is called in the soak's table; ``seed`` makes them differ.
WAYS: Mapping[str, Callable[[int], Script]] = {
    "well": lambda seed: well(),
    "chaotic": lambda seed: chaotic(seed),
    "resets new connections": lambda seed: sometimes(seed, 0.3, at("conn", RESET)),
    "never greets": lambda seed: at("conn", SILENT, times=3),
    "closes after the banner": lambda seed: sometimes(seed, 0.3, at("ehlo", DROP)),
    "closes after MAIL": lambda seed: sometimes(seed, 0.1, at("mail", DROP)),
    "closes after RCPT": lambda seed: sometimes(seed, 0.1, at("rcpt", DROP)),
    "closes after DATA": lambda seed: sometimes(seed, 0.1, at("data", DROP)),
    "closes within the message": lambda seed: sometimes(seed, 0.05, cut(lambda size: size // 2)),
    "closes at the last byte": lambda seed: sometimes(seed, 0.05, cut(lambda size: size - 1)),
    "closes after the dot": lambda seed: sometimes(seed, 0.02, at("dot", DROP)),
    "resets after the dot": lambda seed: sometimes(seed, 0.02, at("dot", RESET)),
    "never answers the dot": lambda seed: at("dot", SILENT, times=5, after=seed % 7),
    "closes after 250": lambda seed: sometimes(seed, 0.2, at("answered", DROP)),
    "answers in pieces": lambda seed: at("dot", in_pieces(b"250 2.0.0 queued\r\n", 10, 0.001)),
    "takes its time": lambda seed: at("dot", late(0.2, b"250 2.0.0 queued")),
    "answers late": lambda seed: at("dot", late(0.05, b"250 2.0.0 queued")),
    "drips its banner": lambda seed: at("conn", in_pieces(b"220 slow.example ESMTP\r\n", 22, 0.5), times=3),
    "stops reading": lambda seed: at("body", STALL, times=3, after=seed % 11),
    "greets with 421": lambda seed: sometimes(seed, 0.3, at("conn", b"421 4.3.2 too busy")),
    "421 to MAIL": lambda seed: sometimes(seed, 0.02, at("mail", b"421 4.7.0 closing")),
    "421 to the dot": lambda seed: sometimes(seed, 0.02, at("dot", b"421 4.3.0 not now")),
    "greylists": lambda seed: greylisting(),
    "throttles": lambda seed: sometimes(
        seed, 0.01, at("mail", b"454 4.7.0 Throttling failure: Maximum sending rate exceeded.")
    ),
    "says its day is over": lambda seed: at(
        "dot", b"454 4.7.0 Throttling failure: Daily message quota exceeded.", times=1, after=50
    ),
    "knows nobody of some": lambda seed: sometimes(seed, 0.02, at("rcpt", b"550 5.1.1 No such user here")),
    "has full mailboxes": lambda seed: sometimes(seed, 0.02, at("rcpt", b"552 5.2.2 Mailbox full")),
    "dislikes some content": lambda seed: sometimes(seed, 0.01, at("dot", b"554 5.7.1 Message refused as spam")),
    "refuses the sender": lambda seed: sometimes(seed, 0.02, at("mail", b"550 5.7.1 Sender refused")),
    "takes ten on a connection": lambda seed: limited(10, b"421 4.7.0 too many messages per connection"),
    "451 after ten on a connection": lambda seed: limited(10, b"451 4.7.0 Too many messages per connection"),
    "closes after five": lambda seed: idle_closing(5),
    "says more than it was asked": lambda seed: sometimes(
        seed, 0.05, at("dot", b"250 2.0.0 queued\r\n550 5.1.1 and who are you")
    ),
    **{
        f"{what} for a reply": lambda seed, reply=reply: sometimes(seed, 0.02, at("rcpt", reply))
        for what, reply in NONSENSE.items()
    },
}
