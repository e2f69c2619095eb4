"""What a scripted SMTP server says, step by step, apart from how its bytes travel.

:func:`converse` yields what is to be done next with the connection, and is sent what came in. A driver does it:
with a thread for each connection (:mod:`tests.peers.peer`) or with one event loop for hundreds of servers
(:mod:`tests.peers.crowd`).

A script decides by event: ``script(event, context)`` returns None for the usual reply, or another one: ``bytes``, or
a tuple of what is done one after the other: bytes to say as they are, seconds to pause, ``Take(n)`` to read so many
bytes, and ``DROP``, ``RESET``, ``SILENT`` or ``STALL``, which end it. A script itself never waits.
"""

import base64
import re
import ssl
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.peers.auth import CHECKS, Accounts, Check

DROP = b"DROP"  # Closes the connection.
RESET = b"RESET"  # Closes it with RST instead of FIN.
SILENT = b"SILENT"  # Reads on and never says another word.
STALL = b"STALL"  # Reads no more: the sender's window closes.
ENDS = (DROP, RESET, SILENT, STALL)


@dataclass(frozen=True, slots=True)
class Take:
    """Read so many bytes of the message, or until the sender closes."""

    size: int


@dataclass(frozen=True, slots=True)
class Say:
    """Write these bytes; what the journal knows is on disk before."""

    what: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Encrypt:
    """Shake hands as a TLS server."""

    context: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class End:
    """Be done with the connection in one of the ways of ``ENDS``."""

    how: bytes


LINE = "line"  # Wants one line; is sent b"" when the sender is gone.
BODY = "body"  # Wants everything up to the dot, dots undoubled; is sent None when the sender is gone.

Reply = bytes | tuple[bytes | float | Take, ...] | None
Script = Callable[[str, dict[str, Any]], Reply]
Step = str | Take | Say | Pause | Encrypt | End
Talk = Generator[Step, bytes | None, None]

EXTENSIONS = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "AUTH PLAIN LOGIN")


@dataclass(slots=True)
class Role:
    """What one scripted server is like."""

    script: Script
    extensions: tuple[str, ...] = EXTENSIONS
    tls: ssl.SSLContext | None = None
    starttls: ssl.SSLContext | None = None
    accounts: Accounts | None = None  # Passwords by user name; then AUTH is really verified, and asked for first.
    checks: Mapping[str, Callable[[Accounts, bytes | None], Check]] | None = None


class _Over(Exception):
    """The connection is done with."""


def converse(
    role: Role,
    context: dict[str, Any],
    write: Callable[..., None],
    keep: Callable[[dict[str, Any], bytes], None] = lambda context, content: None,
) -> Talk:
    """Return one conversation.

    :param context: what every event of this connection knows: at least ``peer``, the sender's port.
    :param write: puts an event into the journal.
    :param keep: is given each message that came in full.
    """
    return _Conversation(role, context, write, keep).run()


class _Conversation:
    def __init__(self, role: Role, context: dict[str, Any], write: Any, keep: Any) -> None:
        self._role = role
        self._ours = dict(context)  # Of the connection; the rest of the context is the message's.
        self.context = dict(context)
        self._write = write
        self._keep = keep
        self._is_encrypted = False
        self._is_signed_in = False
        self._has_sender = False
        self._has_recipient = False

    def run(self) -> Talk:
        try:
            if self._role.tls:
                yield Encrypt(self._role.tls)
                self._is_encrypted = True
            self._write("conn", **self.context)
            yield from self._reply("conn", b"220 peer.example ESMTP")
            while line := (yield LINE):
                verb = line.strip().split(b" ")[0].upper().decode("ascii", "replace")
                yield from self._command(verb, line.strip().decode("utf-8", "replace"))
        except _Over:
            pass

    def _command(self, verb: str, line: str) -> Talk:
        self.context["line"] = line
        match verb:
            case "STARTTLS":
                yield from self._start_tls()
            case "EHLO":
                yield from self._reply("ehlo", self._greeting())
            case "MAIL" if self._role.accounts is not None and not self._is_signed_in:
                yield from self._reply("mail", b"530 5.7.0 sign in first")
            case "MAIL":
                self.context = {**self._ours, "mail_from": _path(line), "size": _size(line), "line": line}
                code = yield from self._event_and_reply("mail", b"250 2.1.0 ok")
                self._has_sender, self._has_recipient = code == 250, False
            case "RCPT":
                self.context["rcpt_to"] = _path(line)
                usual = b"250 2.1.5 ok" if self._has_sender else b"503 5.5.1 MAIL first"
                code = yield from self._event_and_reply("rcpt", usual)
                self._has_recipient = self._has_sender and code == 250
            case "DATA":
                yield from self._data()
            case "QUIT":
                self._write("quit", **self.context)
                yield from self._reply("quit", b"221 2.0.0 bye")
                raise _Over
            case "RSET":
                self._has_sender = self._has_recipient = False
                yield from self._reply("rset", b"250 ok")
            case "NOOP" | "HELO":
                yield from self._reply(verb.lower(), b"250 ok")
            case "AUTH":
                self._write("auth", **self.context)
                usual = b"235 2.7.0 ok" if self._role.accounts is None else (yield from self._authenticate(line))
                yield from self._reply("auth", usual)
            case _:
                yield from self._reply("unknown", b"500 5.5.1 what?")

    def _greeting(self) -> bytes:
        keywords = ["peer.example", *self._role.extensions]
        if self._role.starttls and not self._is_encrypted:
            keywords.append("STARTTLS")
        return b"".join(
            b"250%s%s\r\n" % (b" " if number == len(keywords) - 1 else b"-", word.encode())
            for number, word in enumerate(keywords)
        ).rstrip()

    def _start_tls(self) -> Talk:
        code = yield from self._reply("starttls", b"220 go ahead" if self._role.starttls else b"454 4.7.0 not now")
        if code != 220:
            return
        if not self._role.starttls:
            raise _Over
        yield Encrypt(self._role.starttls)
        self._is_encrypted = True

    def _authenticate(self, line: str) -> Generator[Step, bytes | None, bytes]:
        """Go through one mechanism and return the verdict; the script is asked first, and may refuse at once."""
        _, mechanism, *rest = line.split(" ")
        refusal = self._role.script("mechanism", {**self.context, "mechanism": mechanism})
        if isinstance(refusal, bytes):
            return refusal
        checks = self._role.checks or CHECKS
        check = checks[mechanism](self._role.accounts or {}, base64.b64decode(rest[0]) if rest else None)
        try:
            challenge = next(check)
            while True:
                yield Say(b"334 " + base64.b64encode(challenge) + b"\r\n")
                answer = ((yield LINE) or b"").strip()
                self._write("auth_line", **self.context | {"line": answer.decode("ascii")})
                if answer == b"*":
                    return b"501 5.0.0 cancelled"
                challenge = check.send(base64.b64decode(answer, validate=True))
        except StopIteration as verdict:
            self._is_signed_in = bool(verdict.value)
        return b"235 2.7.0 welcome" if self._is_signed_in else b"535 5.7.8 wrong name or password"

    def _data(self) -> Talk:
        if not self._has_recipient:
            if (yield from self._reply("data", b"503 5.5.1 no recipient")) == 354:  # RFC 2920 section 3.1 allows it.
                yield BODY
                yield Say(b"554 5.5.1 no valid recipients\r\n")
            return
        if (yield from self._event_and_reply("data", b"354 go on")) != 354:
            self._has_sender = self._has_recipient = False
            return
        if (instead := self._role.script("body", self.context)) is not None:
            yield from self._play(instead)
        content = yield BODY
        if content is None:
            raise _Over
        found = re.search(rb"(?im)^Message-ID: *(\S+)", content)
        self.context["message_id"] = found[1].decode() if found else ""
        self._write("dot", **self.context)
        self._keep(dict(self.context), content)
        answer = self._role.script("dot", self.context) or b"250 2.0.0 queued"
        # Written first: the sender may be gone the moment it reads the answer.
        if (code := _code(answer)) is not None:
            self._write("answer", code=code, **self.context)
        yield from self._play(answer)
        if (after := self._role.script("answered", self.context)) is not None:
            yield from self._play(after)
        self.context = dict(self._ours)
        self._has_sender = self._has_recipient = False
        if code == 421:
            raise _Over

    def _event_and_reply(self, event: str, usual: bytes) -> Generator[Step, bytes | None, int | None]:
        self._write(event, **self.context)
        return (yield from self._reply(event, usual))

    def _reply(self, event: str, usual: bytes) -> Generator[Step, bytes | None, int | None]:
        answer = self._role.script(event, self.context) or usual
        yield from self._play(answer)
        code = _code(answer)
        if code == 421:
            raise _Over
        return code

    def _play(self, answer: Reply) -> Talk:
        if answer is None:
            return
        if isinstance(answer, bytes) and answer not in ENDS:
            yield Say(answer if answer.endswith(b"\n") else answer + b"\r\n")
            return
        for part in answer if isinstance(answer, tuple) else (answer,):
            if isinstance(part, float):
                yield Pause(part)
            elif isinstance(part, Take):
                if (yield part) is None:
                    raise _Over
            elif part in ENDS:
                yield End(part)
                raise _Over
            else:
                yield Say(part)


def _code(answer: Reply) -> int | None:
    """Return the code of a reply, whole or in parts; None where nothing is said, or no code."""
    parts = answer if isinstance(answer, tuple) else (answer,)
    said = b"".join(part for part in parts if isinstance(part, bytes) and part not in ENDS)
    return int(said[:3]) if re.match(rb"\d{3}[ -]", said) and said.count(b"\n") <= 1_000 else None


def _path(line: str) -> str:
    found = re.search(r"<([^>]*)>", line)
    return found[1] if found else ""


def _size(line: str) -> int:
    """Return how large the sender says the message is; 0 where it does not."""
    found = re.search(r" SIZE=(\d+)", line)
    return int(found[1]) if found else 0


def in_pieces(reply: bytes, number: int, seconds: float = 0.005) -> tuple[bytes | float | Take, ...]:
    """Return ``reply`` cut into packets that come one after the other."""
    step = -(-len(reply) // number)
    parts: list[bytes | float | Take] = []
    for start in range(0, len(reply), step):
        parts += [reply[start : start + step], seconds]
    return tuple(parts)


def late(seconds: float, reply: bytes) -> tuple[bytes | float | Take, ...]:
    """Return a reply that is long in coming."""
    return (seconds, reply + b"\r\n")
